"""Whether the node can be cooled while all of it works. Pure."""

from jobs.commission.stress import Stress
from jobs.commission.verdict import Finding, Verdict, finding


def judge_cooling(stress: Stress, cpus: int | None) -> Finding:
    """Whether the packages throttled, and how warm, fast and loaded they were.

    Args:
        stress: the node under full load.
        cpus: of the machine; None where unknown.
    """
    title, why = (
        "Cooling under load",
        "a package that throttles for heat is slower and draws less: time and energy both drift",
    )
    said = [f"load on {stress.loaded_cpus} of {cpus or '?'} CPUs"]
    said += [f"{stress.window.power_w:.1f} W"] if stress.window.power_w is not None else []
    said += [f"{stress.frequency_hz / 1e9:.2f} GHz"] if stress.frequency_hz is not None else []
    said += [f"up to {max(c for _, c in stress.temperature):.0f} °C"] if stress.temperature else []
    if stress.throttle_events is None:
        text = ", ".join([*said, "throttling cannot be read"])
        return finding("cooling", title, Verdict.UNKNOWN, text, why=why)
    text = ", ".join([*said, f"throttled {stress.throttle_events} times"])
    verdict = Verdict.WARN if stress.throttle_events else Verdict.OK
    cure = "measure with turbo off (measurement.turbo = false), or on a node that is cooled better"
    return finding("cooling", title, verdict, text, why=why, cure=cure)
