"""What the report says besides means and figures: question, sources, failures, flags, machine, design. Values, no HTML.

Everything here is made from the folder; where it is silent the text says so.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sipa.analysis.facts import SweepFacts
from sipa.analysis.quantities import Role, digits
from sipa.analysis.stats import SweepSummary, as_value
from sipa.analysis.tables import NOTHING
from sipa.analysis.threats import drift

Pair = tuple[str, str]

MOST_LISTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A table of texts.

    Attributes:
        left_out: how many more rows there are.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


def asked(facts: SweepFacts, summary: SweepSummary) -> tuple[Pair, ...]:
    """What the sweep was to find out, in the words of its file; from the rows where there is no file."""
    pairs = [(f"{name} (factor)", _listed(values)) for name, values in summary.levels.items()]
    pairs += [(name, str(value)) for name, value in summary.fixed.items()]
    for section in ("design", "measurement", "measurement.model", "limits"):
        table: Any = facts.spec
        for part in section.split("."):
            table = table.get(part) if isinstance(table, Mapping) else None
        if isinstance(table, Mapping):
            pairs += [
                (f"{section}.{key}", _listed(value) if isinstance(value, list) else str(value))
                for key, value in table.items()
                if not isinstance(value, Mapping)
            ]
    return tuple(pairs)


def sources(facts: SweepFacts, summary: SweepSummary) -> Listing:
    """What is measured, what is computed, what is estimated: one line a quantity."""
    rows = []
    for each in facts.quantities():
        there = int(facts.trials[each.column].notna().sum())
        source = f"{each.source}{_meters(facts.trials, each.role)}"
        rows.append((each.label, each.column, source, f"{there} of {summary.n}"))
    found = {row[1] for row in rows}
    if not any(name.startswith("energy") for name in found):
        rows.append(("energy", NOTHING, "not measured and not estimated", f"0 of {summary.n}"))
    return Listing(headers=("quantity", "column", "where it comes from", "rows"), rows=tuple(rows))


def qualities(trials: pd.DataFrame) -> Listing:
    """Quality of every energy domain: how many rows are measured, derived, estimated, unavailable."""
    counts = Counter(str(entry) for entries in trials["energy_quality"] for entry in entries)
    rows = tuple(
        (domain.strip(), quality.strip(), str(count))
        for entry, count in sorted(counts.items())
        for domain, _, quality in [entry.partition(":")]
    )
    return Listing(headers=("energy domain", "quality", "rows"), rows=rows)


def failures(facts: SweepFacts, labels: Mapping[str, str]) -> Listing:
    """Every failed attempt, and what became of its trial."""
    there = set(facts.trials["trial_id"])
    attempts = [each for found in facts.failures.values() for each in found]
    rows = tuple(
        (
            each.trial_id,
            labels.get(each.trial_id, ""),
            str(each.attempt),
            each.error,
            each.phase,
            each.message,
            "a later attempt gave a row" if each.trial_id in there else "no row",
        )
        for each in attempts[:MOST_LISTED]
    )
    headers = ("trial", "treatment", "attempt", "error", "phase", "message", "outcome")
    return Listing(headers=headers, rows=rows, left_out=max(0, len(attempts) - MOST_LISTED))


def flags(trials: pd.DataFrame) -> Listing:
    """Every flag by name: how many rows have it, how many of those are not valid, one of its reasons in full."""
    names: dict[str, list[tuple[bool, str]]] = {}
    for valid, found in zip(trials["valid"], trials["flags"], strict=True):
        for name, detail in {str(flag).partition(":")[0].strip(): str(flag) for flag in found}.items():
            names.setdefault(name, []).append((bool(valid), detail))
    ordered = sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = tuple(
        (name, str(len(seen)), str(sum(not valid for valid, _ in seen)), min(detail for _, detail in seen))
        for name, seen in ordered
    )
    headers = ("flag", "rows", "of these not valid", "for example")
    return Listing(headers=headers, rows=rows[:MOST_LISTED], left_out=max(0, len(rows) - MOST_LISTED))


def invalid_rows(trials: pd.DataFrame, labels: Mapping[str, str]) -> Listing:
    """The rows that are not averaged, with all of their reasons."""
    bad = trials[~trials["valid"].astype(bool)].sort_values("position")
    shown = ("trial_id", "repetition", "flags")
    rows = tuple(
        (str(trial), labels.get(str(trial), ""), str(repetition), "; ".join(map(str, found)))
        for trial, repetition, found in zip(*(bad[name].head(MOST_LISTED) for name in shown), strict=True)
    )
    headers = ("trial", "treatment", "repetition", "flags")
    return Listing(headers=headers, rows=rows, left_out=max(0, len(bad) - MOST_LISTED))


def machine(facts: SweepFacts) -> Listing:
    """The fingerprint of every environment, a column each; what differs comes first."""
    used = [str(each) for each in facts.trials["environment_id"].value_counts().index]
    flat = {each: dict(_flat(facts.environments.get(each, {}))) for each in used}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    differing = [key for key in keys if len({values.get(key) for values in flat.values()}) > 1]
    ordered = [*differing, *(key for key in keys if key not in differing)]
    counts = facts.trials["environment_id"].value_counts()
    headers = ("", *(f"{each} ({counts[each]} rows)" for each in used))
    marked = {key: f"{key} (differs)" if key in differing else key for key in ordered}
    rows = tuple((marked[key], *(flat[each].get(key, NOTHING) for each in used)) for key in ordered)
    return Listing(headers=headers, rows=rows)


def nodes(trials: pd.DataFrame) -> Listing:
    """Which node measured how much, and when."""
    rows = []
    for name, found in trials.groupby("node"):
        began, ended = found["started_at"].min(), found["ended_at"].max()
        model = ", ".join(str(each) for each in found["cpu_model"].dropna().unique()) or NOTHING
        rows.append((str(name), model, str(len(found)), _time(began), _time(ended)))
    return Listing(headers=("node", "processor", "rows", "first start (UTC)", "last end (UTC)"), rows=tuple(rows))


def design(facts: SweepFacts, summary: SweepSummary) -> tuple[Pair, ...]:
    """How the trials were ordered and what that order shows."""
    trials = facts.trials
    order = facts.setting("design", "order")
    pairs = [
        ("treatments", str(len(summary.treatments))),
        ("repetitions (blocks)", _range(trials["repetition"])),
        ("order", str(order) if order else "randomised-blocks (the default)" if facts.spec else "not known: no spec"),
        ("seed", "not given" if (seed := facts.setting("design", "seed")) is None else str(seed)),
        ("positions", _range(trials["position"])),
        ("ran as planned", _as_planned(trials)),
        ("sessions", str(trials["session_id"].nunique())),
    ]
    replicates = sorted({str(each) or "(first)" for each in trials["replicate"]})
    if len(replicates) > 1:
        pairs.append(("replicates", ", ".join(replicates)))
    found = drift(trials)
    if found is not None:
        said = f"Spearman {found.correlation:+.2f}, p = {digits(found.p_value, 2)}, n = {found.n}"
        pairs.append(("drift of time with position", said))
    return tuple(pairs)


def labels(facts: SweepFacts, summary: SweepSummary) -> dict[str, str]:
    """trial_id -> the varying parameters of its treatment, for rows and for planned trials without one."""
    found: dict[str, str] = {}
    for frame in (facts.plan, facts.trials):
        names = [name for name in summary.factors if frame is not None and name in frame]
        if frame is not None and names:
            cells = frame[["trial_id", *names]].itertuples(index=False, name=None)
            found |= {
                str(trial): " ".join(f"{name}={as_value(value)}" for name, value in zip(names, values, strict=True))
                for trial, *values in cells
            }
    return found


def _meters(trials: pd.DataFrame, role: Role) -> str:
    if role not in {Role.ENERGY, Role.ESTIMATE}:
        return ""
    column = "energy_total_j" if role is Role.ENERGY else "energy_estimated_j"
    counts = trials[trials[column].notna()]["energy_source"].value_counts()
    named = ", ".join(f"{name} in {count} rows" for name, count in counts.items())
    return f" ({named})" if named else ""


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[Pair]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", _plain(key, value)


def _plain(key: str, value: object) -> str:
    if value is None:
        return "not readable"
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _listed(value) if isinstance(value, list) else str(value)


def _listed(values: Sequence[object]) -> str:
    texts = [NOTHING if value is None else str(value) for value in values]
    return ", ".join(texts if len(texts) <= 24 else (*texts[:20], f"… {len(texts) - 20} more"))


def _range(series: "pd.Series[Any]") -> str:
    low, high = series.min(), series.max()
    return f"{low}" if low == high else f"{low} to {high}"


def _as_planned(trials: pd.DataFrame) -> str:
    """Whether each node's trials ran in the planned order."""
    sessions = trials.sort_values("position").groupby(["node_uid", "session_id"])["planned_position"]
    late = sum(int((places.diff() < 0).sum()) for _, places in sessions)
    return (
        "yes" if late == 0 else f"{late} trials ran after one that was planned later (retries, nodes that came or went)"
    )


def _time(moment: Any) -> str:
    return NOTHING if pd.isna(moment) else f"{moment:%Y-%m-%d %H:%M:%S}"
