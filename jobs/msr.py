"""Model-specific registers through `/dev/cpu/N/msr`: eight bytes at the register's number. Read, never written.

Needs the module `msr` and root (CAP_SYS_RAWIO). Each read interrupts the CPU that it asks, so none belongs inside a
measured window. Names and bits: Intel SDM volume 4, table 2-2.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from jobs.sysfs import packages

IA32_MISC_PACKAGE_CTLS = 0xBC
"""Bit 0, ENERGY_FILTERING_ENABLE: RAPL shows filtered values. Once set it stays set until the next reset."""

IA32_MPERF = 0xE7
"""Counts at a fixed frequency while the CPU is not halted."""

IA32_APERF = 0xE8
"""Counts at the frequency at which the CPU really runs, while it is not halted."""

_BYTES = 8


def path(root: Path, cpu: int) -> Path:
    """The device file of a CPU's registers."""
    return root / "dev/cpu" / str(cpu) / "msr"


def read_msr(root: Path, cpu: int, register: int) -> int | None:
    """A register's 64 bits; None if it cannot be read: no module, no permission, no such register."""
    found = read_msrs(root, cpu, (register,))
    return None if found is None else found[0]


def read_msrs(root: Path, cpu: int, registers: Iterable[int]) -> tuple[int, ...] | None:
    """Several registers of a CPU, one right after the other; None if any cannot be read."""
    try:
        descriptor = os.open(path(root, cpu), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = [os.pread(descriptor, _BYTES, register) for register in registers]
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return tuple(int.from_bytes(each, "little") for each in found) if all(len(e) == _BYTES for e in found) else None


def energy_filter(root: Path) -> bool | None:
    """Whether any package shows filtered energy; None if a package's register cannot be read."""
    cpus = [each[0] for each in packages(root).values()] or [0]
    values = [read_msr(root, cpu, IA32_MISC_PACKAGE_CTLS) for cpu in cpus]
    if any(value is not None and value & 1 for value in values):
        return True
    return None if None in values else False
