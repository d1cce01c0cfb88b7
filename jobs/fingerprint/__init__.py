"""The host and its software as JSON values: what must be equal for two rows to be comparable.

Only what stays the same while a sweep runs belongs here: the boot id, the node's name, the load and permissions do
not. What cannot be read is null.
"""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jobs.fingerprint.firmware import dimms, firmware
from jobs.fingerprint.power import power_limits
from jobs.fingerprint.processor import available_cpus, idle_states, processor
from jobs.msr import energy_filter
from jobs.sysfs import numbered, text
from sipa import __version__

PACKAGES = ("torch", "numpy", "opencv-python-headless", "pycocotools", "safetensors")
"""What runs inside the measured window."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES")
"""Variables that decide how many threads a user's command has, and where."""

_MEMORY_STEP = 2**28


def fingerprint(root: Path, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The fingerprint of the host below a root.

    Args:
        root: where `sys`, `proc` and `dev` are.
        variables: the environment variables that trials run with; None: not known.
    """
    return {
        **processor(root),
        "idle_states": idle_states(root),
        "memory_bytes": _memory_bytes(root),
        "dimms": dimms(root),
        "numa_nodes": len(numbered(root / "sys/devices/system/node", "node")) or None,
        "numa_balancing": text(root / "proc/sys/kernel/numa_balancing"),
        "transparent_hugepages": chosen(text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        "clock_source": text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "firmware": firmware(root),
        "power_limits": power_limits(root),
        "energy_filter": energy_filter(root),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "rehearsal_root": None if root == Path("/") else str(root),
        "cpus_allowed": available_cpus(),
        "thread_variables": {name: (variables or {}).get(name) for name in THREAD_VARIABLES},
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "sipa_cluster": __version__,
    }


def chosen(options: str | None) -> str | None:
    """The one in brackets: `always [madvise] never`."""
    return options.partition("[")[2].partition("]")[0] or None if options else None


def _memory_bytes(root: Path) -> int | None:
    for line in (text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            # What the kernel keeps for itself differs by kilobytes from boot to boot.
            return round(int(line.split()[1]) * 1024 / _MEMORY_STEP) * _MEMORY_STEP
    return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
