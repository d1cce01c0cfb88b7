"""Where the limits of the verdicts lie and where they come from: a table for the page."""

from jobs.commission import idle, latency, memory_power, repeatability, update, wraps

THRESHOLDS = (
    ("Idle drift", f"warn above {idle.MAX_DRIFT:.0%} of the mean, fail above {idle.BAD_DRIFT:.0%}", "ours"),
    ("Idle noise", f"warn above {idle.MAX_NOISE:.0%} of the mean, fail above {idle.BAD_NOISE:.0%}", "ours"),
    ("Quiet", f"warn above {idle.MAX_OTHERS_CORES:g} CPUs", "the default gate of a trial"),
    (
        f"Read latency: twice the 99th percentile, of {latency.WINDOW_S:g} s",
        f"warn above {latency.MAX_SHARE:.2%}, fail above {latency.BAD_SHARE:.1%}",
        "the update period alone makes 0.02 %",
    ),
    ("Counter update period", f"warn above {update.SLOW_S * 1e3:g} ms", "twice what Intel says (SDM volume 3B)"),
    (
        "A real wrap",
        f"fail if the power across it is off by more than {wraps.MAX_DEVIATION:.0%} and than four standard deviations",
        "ours; an error of arithmetic is four orders of magnitude larger",
    ),
    ("Cooling under load", "warn if a package throttled", "ours"),
    (
        "Repeatability",
        f"warn above {repeatability.MAX_SPREAD:.0%}, fail above {repeatability.BAD_SPREAD:.0%}",
        "Green Metrics Tool gates its clusters at 1 %",
    ),
    (
        "powercap against perf",
        "fail beyond 0.2 %, an update at each edge, 0.27 % of DRAM",
        "units in the kernel’s source",
    ),
    ("Counters below node power", "fail if they claim more than a watt above it", "DCMI shows whole watts"),
    (
        "DRAM: power of a socket",
        f"fail outside {memory_power.MIN_W:g} to {memory_power.MAX_W:g} W",
        "PAPI issue 635: 200.0 W",
    ),
    (
        "DRAM: sockets, and the load",
        f"warn if sockets differ {memory_power.MAX_RATIO:g}-fold, or if it does not rise under load",
        "the same: 200.0 W beside 6.0 W",
    ),
)
"""(verdict, limit, where it comes from)."""
