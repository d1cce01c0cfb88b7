"""The plan of a sweep: every trial once, in the order in which they are meant to run.

It is a function of the sweep file, the label of the replicate and what the names in the file stand for. It
knows no node and no clock, so the same sweep has the same trials wherever and whenever it runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sipa.plan.expand import Contents, expand
from sipa.plan.order import blocks
from sipa.plan.protocol import protocol_id
from sipa.spec.model import SweepSpec, WorkloadSpec
from sipa.trial import Treatment, Trial, trial_id
from sipa.workloads import WORKLOADS, ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The trials of a sweep.

    Attributes:
        treatments: in the order of the file.
        trials: in planned order: repetition 1 of every treatment, then repetition 2, ...
        positions: trial_id -> place in `trials`, from 0.
        repetitions: of each treatment; the maximum where there is a stop rule.
        types: type of each parameter of the workload and each free factor, by name.
    """

    treatments: tuple[Treatment, ...]
    trials: tuple[Trial, ...]
    positions: Mapping[str, int]
    repetitions: int
    types: Mapping[str, ValueType]

    def trial(self, trial_id: str) -> Trial:
        """The trial of that id.

        Raises:
            KeyError: the plan has no such trial.
        """
        return self.trials[self.positions[trial_id]]


def make_plan(spec: SweepSpec, *, replicate: str = "", contents: Contents) -> Plan:
    """Plan a sweep.

    Args:
        spec: the sweep.
        replicate: label of the sweep measured anew; "" for the first.
        contents: what the names in a combination stand for; called once for each treatment.
    """
    treatments = expand(spec, contents)
    protocol = protocol_id(spec)
    trials = tuple(
        Trial(
            treatment=treatment,
            repetition=repetition,
            replicate=replicate,
            trial_id=trial_id(treatment.treatment_id, protocol, repetition, replicate),
        )
        for repetition, block in enumerate(blocks(treatments, spec.design, replicate), start=1)
        for treatment in block
    )
    return Plan(
        treatments=treatments,
        trials=trials,
        positions={trial.trial_id: position for position, trial in enumerate(trials)},
        repetitions=spec.design.repetitions,
        types=_types(spec.workload),
    )


def _types(workload: WorkloadSpec) -> dict[str, ValueType]:
    """A free factor may bear the name of another workload's parameter; it then shares the column and its type."""
    declared = {each.name: each.type for every in WORKLOADS.values() for each in every.parameters}
    return {**declared, **dict(workload.output.free_types)}
