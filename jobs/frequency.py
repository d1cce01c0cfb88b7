"""The frequency at which the CPUs really ran between two looks: base frequency times APERF over MPERF.

Both counters stand still while a CPU is halted, so this is the mean over the time that CPUs worked, weighted by it;
it needs no sampling and knows turbo and throttling (Intel SDM volume 3, "Hardware coordination feedback").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.msr import IA32_APERF, IA32_MPERF, read_msrs
from jobs.sysfs import number, numbered

_MODULUS = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyCounts:
    """One look at every CPU.

    Attributes:
        aperf: CPU -> cycles at the real frequency.
        mperf: CPU -> cycles at the base frequency.
        base_hz: base frequency; None where the driver does not say it, or CPUs differ in it.
    """

    aperf: Mapping[int, int]
    mperf: Mapping[int, int]
    base_hz: float | None


def read(root: Path) -> FrequencyCounts | None:
    """Look at every CPU that is online; None where registers cannot be read. Wakes each CPU, some 10 us of each."""
    aperf: dict[int, int] = {}
    mperf: dict[int, int] = {}
    for folder in numbered(root / "dev/cpu", ""):
        cpu = int(folder.name)
        found = read_msrs(root, cpu, (IA32_APERF, IA32_MPERF))
        if found is None:
            return None
        aperf[cpu], mperf[cpu] = found
    return FrequencyCounts(aperf=aperf, mperf=mperf, base_hz=_base_hz(root)) if aperf else None


def effective_hz(begin: FrequencyCounts | None, end: FrequencyCounts | None) -> float | None:
    """Mean frequency of the CPUs between two looks, Hz.

    None if a look or the base frequency is missing, a CPU came or went meanwhile, or every CPU was halted.
    """
    if begin is None or end is None or begin.base_hz is None or begin.aperf.keys() != end.aperf.keys():
        return None
    real, base = _sum(begin.aperf, end.aperf), _sum(begin.mperf, end.mperf)
    return begin.base_hz * real / base if base else None


def _sum(begin: Mapping[int, int], end: Mapping[int, int]) -> int:
    return sum((end[cpu] - begin[cpu]) % _MODULUS for cpu in begin)


def _base_hz(root: Path) -> float | None:
    policies = numbered(root / "sys/devices/system/cpu/cpufreq", "policy")
    found = {number(policy / "base_frequency") for policy in policies}
    only = found.pop() if len(found) == 1 else None
    return None if only is None else only * 1e3
