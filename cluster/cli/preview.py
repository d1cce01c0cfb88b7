"""What a run would do, for people and for programs: `plan` and `run --dry-run` show the same."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cluster.cli.output import write_table
from cluster.console.lines import SHORT
from cluster.console.quantities import UNKNOWN, duration, quantity

if TYPE_CHECKING:
    from cluster.survey import Survey
    from sipa.plan import Amount, Forecast
    from sipa.trial import Treatment, Trial

_FIRST = 10
_TREATMENTS = 50
_STATES = ("done", "failed", "not needed", "to run")


def show(survey: "Survey", *, everything: bool) -> None:
    """Print the treatments, the next trials and the forecast.

    Args:
        survey: what is there and what is left.
        everything: every trial of the plan with its state, not only the next ones.
    """
    factors = [name for name, _ in survey.request.spec.workload.factors]
    state = states(survey)
    click.echo(_headline(survey, state))
    click.echo()
    _treatments(survey, factors, state, everything=everything)
    click.echo()
    _trials(survey, factors, state, everything=everything)
    for line in forecast_lines(survey.forecast):
        click.echo(line)


def states(survey: "Survey") -> dict[str, str]:
    """trial_id -> done, failed, not needed or to run."""
    left = {trial.trial_id for trial in survey.remaining}

    def state(trial_id: str) -> str:
        if trial_id in survey.committed:
            return "done"
        if trial_id in left:
            return "to run"
        return "failed" if trial_id in survey.failed else "not needed"

    return {trial.trial_id: state(trial.trial_id) for trial in survey.plan.trials}


def record(survey: "Survey") -> dict[str, Any]:
    """The whole preview as one JSON value."""
    state = states(survey)
    counts = Counter(state.values())
    return {
        "sweep": survey.request.spec.name,
        "spec_hash": survey.request.spec.spec_hash,
        "replicate": survey.request.replicate,
        "nodes": [node.name for node in survey.nodes],
        "planned": len(survey.plan.trials),
        "committed": counts["done"],
        "failed": counts["failed"],
        "stopped": counts["not needed"],
        "remaining": counts["to run"],
        "superseded": list(survey.superseded),
        "restored": list(survey.restored),
        "forecast": asdict(survey.forecast),
        "treatments": [
            {"treatment_id": each.treatment_id, "parameters": dict(each.parameters)} for each in survey.plan.treatments
        ],
        "trials": [
            {
                "planned_position": position,
                "trial_id": each.trial_id,
                "treatment_id": each.treatment.treatment_id,
                "repetition": each.repetition,
                "state": state[each.trial_id],
            }
            for position, each in enumerate(survey.plan.trials)
        ],
    }


def forecast_lines(forecast: "Forecast") -> Iterator[str]:
    """Time, energy and cost of what is left, and what was assumed; nothing when nothing is left."""
    if not forecast.trials:
        return
    time = duration(forecast.wall_s)
    if forecast.wall_interval_s is not None:
        low, high = forecast.wall_interval_s
        time += f" (95 %: {duration(low)} to {duration(high)})"
    yield ""
    yield f"time    {time}"
    yield f"energy  {_amount(forecast.energy_j, 'J')}"
    yield f"cost    {_amount(forecast.cost, forecast.currency or '')}"
    if forecast.service_units.value is not None:
        yield f"charge  {_amount(forecast.service_units, 'SU')}"
    yield from (f"assumed {assumption}" for assumption in forecast.assumptions)


def _headline(survey: "Survey", state: dict[str, str]) -> str:
    spec, plan = survey.request.spec, survey.plan
    counts = Counter(state.values())
    parts = [f"{counts[name]} {name}" for name in _STATES if counts[name]]
    parts += [f"{len(survey.superseded)} rows that are not in this plan go to superseded/"] if survey.superseded else []
    parts += [f"{len(survey.restored)} rows come back from superseded/"] if survey.restored else []
    nodes = ", ".join(node.name for node in survey.nodes)
    size = f"{len(plan.treatments)} treatments x {plan.repetitions} repetitions = {len(plan.trials)} trials"
    return f"{spec.name}: {size} on {nodes}: {', '.join(parts)}"


def _treatments(survey: "Survey", factors: Sequence[str], state: dict[str, str], *, everything: bool) -> None:
    counts: dict[str, Counter[str]] = {}
    for trial in survey.plan.trials:
        counts.setdefault(trial.treatment.treatment_id, Counter())[state[trial.trial_id]] += 1
    states_there = [name for name in _STATES if any(each[name] for each in counts.values())]
    chosen = survey.plan.treatments if everything else survey.plan.treatments[:_TREATMENTS]
    write_table(
        ("treatment", *factors, *states_there),
        [
            (
                each.treatment_id[:SHORT],
                *_levels(each, factors),
                *(str(counts[each.treatment_id][name]) for name in states_there),
            )
            for each in chosen
        ],
        numeric=(False, *_numeric(survey.plan.treatments, factors), *(True for _ in states_there)),
    )
    _more(len(survey.plan.treatments) - len(chosen), "treatments")


def _trials(survey: "Survey", factors: Sequence[str], state: dict[str, str], *, everything: bool) -> None:
    chosen: Sequence[Trial] = survey.plan.trials if everything else survey.remaining[:_FIRST]
    if not chosen:
        click.echo("nothing to do")
        return
    positions = survey.plan.positions
    write_table(
        ("place", "trial", "repetition", *factors, *(("state",) if everything else ())),
        [
            (
                str(positions[each.trial_id]),
                each.trial_id[:SHORT],
                str(each.repetition),
                *_levels(each.treatment, factors),
                *((state[each.trial_id],) if everything else ()),
            )
            for each in chosen
        ],
        numeric=(
            True,
            False,
            True,
            *_numeric(survey.plan.treatments, factors),
            *((False,) if everything else ()),
        ),
    )
    if not everything:
        _more(len(survey.remaining) - len(chosen), "to run")


def _more(hidden: int, what: str) -> None:
    if hidden > 0:
        click.echo(f"... and {hidden} more {what} (--all shows them)")


def _levels(treatment: "Treatment", factors: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(treatment.parameters.get(name, UNKNOWN)) for name in factors)


def _numeric(treatments: "Sequence[Treatment]", factors: Sequence[str]) -> tuple[bool, ...]:
    return tuple(all(isinstance(each.parameters.get(name), int | float) for each in treatments) for name in factors)


def _amount(amount: "Amount", unit: str) -> str:
    if amount.value is None:
        return f"not known: {amount.reason}"
    shown = quantity(amount.value, unit) if unit == "J" else f"{amount.value:.2f} {unit}".rstrip()
    return f"{shown} ({amount.reason})"
