"""Threats to validity, made from rows, flags and spec: each says what is so and what it does to conclusions.

A rule speaks only where its condition holds in these rows; the list is never a fixed text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sipa.analysis.facts import SweepFacts
from sipa.analysis.quantities import Role
from sipa.analysis.stats import SweepSummary, flag_counts

ENOUGH = 5
"""Repetitions from which an interval is not mainly the smallness of n: t falls from 12.7 (n = 2) to 2.8 (n = 5)."""

SHORT_WINDOW_S = 10.0
SURE = 0.01
DRIFT_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """One threat.

    Attributes:
        what: a heading of a few words.
        why: what follows for conclusions, and the cure where there is one.
    """

    what: str
    why: str


def threats(facts: SweepFacts, summary: SweepSummary) -> tuple[Threat, ...]:
    """Every threat that these rows show, the gravest first."""
    rules = (_energy, _gates, _repetitions, _rows, _machine, _order, _flags, _drift, _accuracy, _scope)
    return tuple(threat for rule in rules for threat in rule(facts, summary))


def _energy(facts: SweepFacts, _: SweepSummary) -> Iterator[Threat]:
    roles = {each.role for each in facts.quantities()}
    if Role.ESTIMATE in roles:
        yield Threat(
            what="Energy is estimated",
            why=f"The model meter multiplies time by {_watts(facts.trials)}, chosen by CPU utilisation. It knows "
            "nothing of memory traffic, vector units or frequency. A figure of it against latency shows the model: "
            "no conclusion about energy and latency is drawn here. Differences between treatments of equal time and "
            "utilisation are invisible to it. Measure on a machine with powercap or perf counters.",
        )
    if Role.ENERGY in roles:
        domains = sorted({str(name) for names in facts.trials["energy_domains"] for name in names})
        yield Threat(
            what="Energy is of the processor, gross",
            why=f"Summed domains: {', '.join(domains) or 'none named'}. Disks, fans, network and losses of the power "
            "supply are not in it, and what the machine draws when idle is. Joules here are not joules at the plug; "
            "energy_net_j subtracts the idle power of the same domains where idle windows were measured.",
        )
    if not roles & {Role.ENERGY, Role.ESTIMATE}:
        yield Threat(what="No energy", why="No row has an energy. These rows carry no conclusion about energy.")


_GATES = {
    "energy filter": Threat(
        what="Energy counters are noised on purpose",
        why="The processor adds noise to its energy counters while SGX is on. Short windows and small differences say "
        "little. Switch SGX off in the firmware.",
    ),
    "cross-check": Threat(
        what="Meters disagree",
        why="powercap and perf read one register; where they differ, one of them was read wrongly or missed a wrap. Do "
        "not use these rows before it is known which.",
    ),
    "node power": Threat(
        what="RAPL is not below the node’s power",
        why="The BMC’s power of the whole node, right after the window and averaged over seconds, should be above that "
        "of packages and DRAM. Either is wrong, or the window was too short for the BMC.",
    ),
    "cool-down": Threat(
        what="Trials began on a warm node",
        why="A warm processor leaks more, so a trial pays for the heat of the one before. Raise "
        "measurement.cooldown_timeout_s; randomised blocks spread what is left over the treatments.",
    ),
    "warm-up": Threat(
        what="Measured before the machine was steady",
        why="Throughput or temperature still changed when the window began. Raise measurement.warmup_max_s.",
    ),
    "power limit": Threat(
        what="At the power limit",
        why="The packages reached their power limit (PL1 or PL2), which is normal under full load: the frequency, and "
        "with it time and energy, is then what the firmware’s limit leaves; another limit would give other numbers.",
    ),
}
"""Gates by the name of their flag: what they say in a report, the gravest first."""


def _gates(facts: SweepFacts, _: SweepSummary) -> Iterator[Threat]:
    flags = flag_counts(facts.trials[facts.trials["flags"].map(len) > 0])
    for name, threat in _GATES.items():
        if count := flags.get(name):
            yield replace(threat, what=f"{threat.what} ({count} row{'s' if count > 1 else ''})")


def _watts(trials: pd.DataFrame) -> str:
    pairs = trials[["model_idle_w", "model_max_w"]].dropna().drop_duplicates()
    named = [f"{idle:g} to {most:g} W" for idle, most in pairs.itertuples(index=False)]
    return " or ".join(named) if named else "watts that the sweep file declares"


def _repetitions(_facts: SweepFacts, summary: SweepSummary) -> Iterator[Threat]:
    counts = [each.n_valid for each in summary.treatments]
    fewest, share = min(counts), sum(1 for count in counts if count < ENOUGH)
    if not share:
        return
    which = "Every treatment has" if share == len(counts) else f"{share} of {len(counts)} treatments have"
    range_ = f"{fewest}" if fewest == max(counts) else f"{fewest} to {max(counts)}"
    yield Threat(
        what=f"Few repetitions (n = {range_})",
        why=f"{which} fewer than {ENOUGH} valid repetitions. With n = 1 there is no interval; with n = 2 it is 12.7 "
        "standard errors wide to each side. The intervals assume normal, independent repetitions, which so few "
        "cannot show. Overlapping intervals are not evidence that treatments are equal.",
    )


def _rows(facts: SweepFacts, summary: SweepSummary) -> Iterator[Threat]:
    if facts.missing:
        yield Threat(
            what="Not all planned trials are there",
            why=f"{len(facts.missing)} of {len(facts.planned or ())} planned trials have no row. If trials are missing "
            "because they failed or were slow, the rest is not a fair sample of the treatments.",
        )
    if summary.n_valid < summary.n:
        verb = "averaged all the same, as asked" if summary.with_invalid else "shown but not averaged"
        yield Threat(
            what=f"{summary.n - summary.n_valid} of {summary.n} rows are not valid",
            why=f"They are {verb}. Leaving rows out is a choice too: their reasons stand under failures and flags.",
        )
    hashes = facts.trials["spec_hash"].nunique()
    if hashes > 1:
        yield Threat(
            what=f"Rows of {hashes} versions of the sweep file",
            why="Their trials are the same (ids are made from everything that changes the numbers), but they ran at "
            "different times, so the blocks are no longer complete in time.",
        )


def _machine(facts: SweepFacts, _summary: SweepSummary) -> Iterator[Threat]:
    trials = facts.trials
    virtual = [each for each in facts.environments.values() if each.get("hypervisor")]
    if virtual:
        yield Threat(
            what="A virtual machine",
            why="Neighbours share caches, memory and turbo with it, unseen by any gate; its clock and CPU utilisation "
            "are the hypervisor's account. Times may shift between blocks for reasons outside these rows.",
        )
    environments, nodes = trials["environment_id"].nunique(), trials["node_uid"].nunique()
    if environments > 1:
        yield Threat(
            what=f"{environments} environments in one mean",
            why="Rows of different fingerprints (see the machine) are averaged together here; a difference between "
            "treatments may be a difference between machines where they are not balanced over them.",
        )
    if nodes == 1:
        yield Threat(
            what="A single node",
            why="Processors of one model differ by several per cent in power. The intervals hold for this one machine; "
            "they say nothing about another of the same kind.",
        )
    elif environments == 1:
        yield Threat(
            what=f"{nodes} nodes in one mean",
            why="The spread between nodes is part of every interval; it is not separated from repetition here.",
        )


def _order(facts: SweepFacts, _summary: SweepSummary) -> Iterator[Threat]:
    if facts.setting("design", "order") == "as-listed":
        yield Threat(
            what="Order not randomised",
            why="Trials ran as listed, so warming up, drift and neighbours are confounded with the treatments. "
            'Set design.order = "randomised-blocks".',
        )
    sessions = facts.trials["session_id"].nunique()
    if sessions > 1:
        yield Threat(
            what=f"{sessions} sessions",
            why="The sweep was resumed; between sessions the machine may have changed in ways that no column shows.",
        )


def _flags(facts: SweepFacts, _summary: SweepSummary) -> Iterator[Threat]:
    flags = flag_counts(facts.trials[facts.trials["flags"].map(len) > 0])
    foreign = sum(count for name, count in flags.items() if name.startswith("foreign"))
    if foreign:
        worst = facts.trials["foreign_cores"].max()
        size = "" if pd.isna(worst) else f", up to {worst:.2g} cores"
        yield Threat(
            what="Foreign work on the machine",
            why=f"In {foreign} rows other processes used CPU time during the window{size}. It costs time and energy "
            'that is counted for the treatment. Stop what else runs, or set gates = "refuse".',
        )
    throttled = int((facts.trials["throttle_events"].fillna(0) > 0).sum())
    if throttled:
        yield Threat(
            what=f"Throttling in {throttled} rows",
            why="The processor slowed itself down; those times and energies are of a hot machine.",
        )
    shortest = facts.trials["window_s"].min()
    if shortest < SHORT_WINDOW_S:
        yield Threat(
            what=f"Short windows (from {shortest:.2g} s)",
            why="A short window weighs single disturbances heavily, and energy counters tick only about every "
            f"millisecond. Set measurement.min_window_s to {SHORT_WINDOW_S:g} or more.",
        )
    if facts.trials["frequency_effective_hz"].isna().all() and facts.setting("measurement", "governor") is None:
        yield Threat(
            what="CPU frequency neither fixed nor known",
            why="The sweep file leaves the governor as it is and no row has a frequency: turbo and power saving may "
            "differ between trials.",
        )


def _drift(facts: SweepFacts, _summary: SweepSummary) -> Iterator[Threat]:
    found = drift(facts.trials)
    if found is None or found.p_value >= SURE:
        return
    way = "slower" if found.correlation > 0 else "faster"
    yield Threat(
        what="Drift",
        why=f"Trials became {way} in the course of the sweep (Spearman’s rank correlation of position and time "
        f"relative to the treatment’s mean: {found.correlation:.2f}, n = {found.n}, p = {found.p_value:.1g}). "
        "Randomised blocks spread a drift over the treatments; it still widens the intervals.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How much trials changed in the course of the sweep.

    Attributes:
        correlation: Spearman's, of position and time relative to the treatment's mean; -1 to 1.
    """

    correlation: float
    p_value: float
    n: int


def drift(trials: pd.DataFrame) -> Drift | None:
    """Whether time per unit of work changes with the position; None with too few rows to say.

    Dividing by the treatment's mean takes the treatment out, so that only the course of time is left.
    """
    from scipy.stats import spearmanr

    rows = trials[trials["valid"].astype(bool) & trials["time_per_work_unit_s"].notna()]
    means = rows.groupby("treatment_id")["time_per_work_unit_s"].transform("mean")
    repeated = rows.groupby("treatment_id")["trial_id"].transform("count") > 1
    relative, position = (rows["time_per_work_unit_s"] / means)[repeated], rows["position"][repeated]
    if len(relative) < DRIFT_ROWS or relative.nunique() < 2 or position.nunique() < 2:
        return None
    result: Any = spearmanr(position, relative)
    return Drift(correlation=float(result.statistic), p_value=float(result.pvalue), n=len(relative))


def _accuracy(facts: SweepFacts, summary: SweepSummary) -> Iterator[Threat]:
    accuracies = [each for each in facts.quantities() if each.role is Role.ACCURACY]
    if not accuracies:
        return
    repeated = [each.metrics[accuracies[0].column] for each in summary.treatments if each.n > 1]
    if repeated and all(estimate.sd == 0 for estimate in repeated if estimate.n > 1):
        yield Threat(
            what="Accuracy does not vary, and is still uncertain",
            why="Repetitions give the same outputs, so their interval is zero wide. It does not say how accuracy would "
            "change with other inputs: that uncertainty comes from the data set, not from repeating.",
        )
    if facts.trials["workload"].eq("command").any():
        yield Threat(
            what="Metrics are the command’s word",
            why="They are what the program printed; nothing here recomputes or checks them.",
        )


def _scope(facts: SweepFacts, _summary: SweepSummary) -> Iterator[Threat]:
    datasets = {str(each) for each in facts.trials["dataset"].dropna().unique()} if "dataset" in facts.trials else set()
    if datasets:
        yield Threat(
            what=f"One data set ({', '.join(sorted(datasets))})"
            if len(datasets) == 1
            else f"{len(datasets)} data sets",
            why="Accuracy, and the time spent on boxes, hold for these images and not for others.",
        )
