"""What the tool says about its own numbers, and which command would make them better.

Advice is given only where it changes a decision: nothing is said about an interval that is narrow enough.
"""

from collections.abc import Iterator

from sipa.analysis.intervals import Estimate, repetitions_needed
from sipa.analysis.stats import Summary, SweepSummary

GOOD_ENOUGH = 0.02
"""Half width of an interval, relative to the mean, below which nothing is said."""

FEW = 3


def advise(summary: SweepSummary) -> tuple[str, ...]:
    """Everything that the reader of a summary must know, one sentence or two each; empty if there is nothing."""
    return (
        *_doubtful(summary),
        *_remarked(summary),
        *_missing(summary),
        *_single(summary),
        *_wide(summary),
        *_estimated(summary),
    )


def _doubtful(summary: SweepSummary) -> Iterator[str]:
    doubtful = summary.n - summary.n_valid
    if not doubtful:
        return
    reasons = ", ".join(f"{name} ({count})" for name, count in summary.doubts.items())
    verb = "averaged all the same, as asked" if summary.with_invalid else "not averaged"
    yield f"{doubtful} of {summary.n} rows are not valid and are {verb}: {reasons}."
    empty = sum(1 for each in summary.treatments if not each.n_valid)
    if empty and not summary.with_invalid:
        yield f"{empty} of {len(summary.treatments)} treatments have no valid row, so they have no mean."


def _remarked(summary: SweepSummary) -> Iterator[str]:
    if summary.remarks:
        listed = ", ".join(f"{name} ({count} of {summary.n})" for name, count in summary.remarks.items())
        yield f"Averaged rows have remarks: {listed}. The report says what they mean."


def _missing(summary: SweepSummary) -> Iterator[str]:
    rows = summary.n if summary.with_invalid else summary.n_valid
    for metric in summary.metrics:
        there = sum(each.metrics[metric].n for each in summary.treatments)
        if 0 < there < rows:
            yield f"{metric}: {rows - there} of {rows} rows have no value; the flags say why."


def _single(summary: SweepSummary) -> Iterator[str]:
    single = sum(1 for each in summary.treatments if max((e.n for e in each.metrics.values()), default=0) == 1)
    if single:
        yield (
            f"{single} of {len(summary.treatments)} treatments have one repetition (n = 1): a mean but no interval. "
            "Raise design.repetitions and run again; what is there is kept."
        )


def _wide(summary: SweepSummary) -> Iterator[str]:
    """The widest interval of energy, or of time where no energy was measured; an estimate gets no such advice."""
    metric = next((name for name in summary.metrics if name.startswith("energy") and "estimated" not in name), None)
    metric = metric or next((name for name in summary.metrics if name.startswith("time_per_")), None)
    if metric is None:
        return
    widest = max(summary.treatments, key=lambda each: each.metrics[metric].relative_half_width or 0.0, default=None)
    if widest is None or (widest.metrics[metric].relative_half_width or 0.0) <= GOOD_ENOUGH:
        return
    yield _widest(metric, widest, widest.metrics[metric], summary.confidence)


def _widest(metric: str, treatment: Summary, estimate: Estimate, confidence: float) -> str:
    needed = repetitions_needed(estimate, GOOD_ENOUGH, confidence)
    guess = f", a guess from {estimate.n} values" if estimate.n <= FEW else ""
    goal = f"±{100 * GOOD_ENOUGH:.0f} %"
    cure = (
        f"design.repetitions = {needed} would give {goal} if the spread stays as it is{guess}"
        if needed
        else f"no number of repetitions up to a thousand would give {goal}; look for what disturbs it"
    )
    share = 100 * (estimate.relative_half_width or 0.0)
    where = f"{treatment.label}, n = {estimate.n}"
    return f"{metric}: the widest interval is ±{_percent(share)} % of the mean ({where}); {cure}."


def _percent(share: float) -> str:
    return f"{share:.0f}" if share >= 10 else f"{share:.2g}"


def _estimated(summary: SweepSummary) -> Iterator[str]:
    if any("estimated" in name for name in summary.metrics):
        yield (
            "Estimated energy is the model meter's: watts from CPU utilisation, times time. "
            "It is no evidence about energy, least of all about energy against latency."
        )
