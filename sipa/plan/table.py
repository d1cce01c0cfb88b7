"""The plan as plan.parquet: one line a trial, in planned order, with the names and types that rows have."""

from typing import assert_never

import pyarrow as pa

from sipa.plan.plan import Plan
from sipa.workloads import ValueType


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
        columns[name] = pa.array(values, _arrow_type(plan.types[name]))
    return pa.table(columns)


def _arrow_type(kind: ValueType) -> pa.DataType:
    match kind:
        case ValueType.INTEGER:
            return pa.int64()
        case ValueType.NUMBER:
            return pa.float64()
        case ValueType.TEXT:
            return pa.string()
        case ValueType.BOOLEAN:
            return pa.bool_()
        case ValueType.TIMESTAMP | ValueType.TEXTS:
            raise ValueError(f"a parameter is one plain value and cannot be of type {kind}")
        case _:
            assert_never(kind)
