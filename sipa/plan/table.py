"""The plan as plan.parquet: one line a trial, in planned order, with the names and types that rows have."""

import pyarrow as pa

from sipa.arrow import arrow_type
from sipa.plan.plan import Plan


def plan_table(plan: Plan) -> pa.Table:
    """A plan as an Arrow table: position, identity and every parameter that the sweep file sets."""
    trials = plan.trials
    columns = {
        "planned_position": pa.array(range(len(trials)), pa.int64()),
        "trial_id": pa.array([trial.trial_id for trial in trials], pa.string()),
        "treatment_id": pa.array([trial.treatment.treatment_id for trial in trials], pa.string()),
        "repetition": pa.array([trial.repetition for trial in trials], pa.int64()),
        "replicate": pa.array([trial.replicate for trial in trials], pa.string()),
    }
    for name in plan.treatments[0].parameters if plan.treatments else ():
        values = [trial.treatment.parameters[name] for trial in trials]
        columns[name] = pa.array(values, arrow_type(plan.types[name]))
    return pa.table(columns)
