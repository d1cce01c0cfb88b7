"""The host's fingerprint: what must be equal for two rows to be comparable. Its hash is the row's `environment_id`.

Only what stays the same while a sweep runs belongs here; the boot id, the node's name and the load do not.
"""

import hashlib
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from sipa import __version__
from sipa.trial import Row, digest

_MEMORY_STEP = 2**28

PACKAGES = ("torch", "numpy", "opencv-python-headless", "pycocotools", "safetensors")
"""What runs inside the measured window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who measured: read once a session.

    Attributes:
        environment: the fingerprint, JSON values.
        columns: the identity columns of every row of this session.
    """

    environment: Mapping[str, Any]
    columns: Row


def identify(root: Path) -> Identity:
    """Read the host below `root`."""
    environment = fingerprint(root)
    return Identity(
        environment=environment,
        columns={
            "environment_id": digest(environment),
            "code_version": code_version(),
            "node_uid": _node_uid(root),
            "boot_id": _text(root / "proc/sys/kernel/random/boot_id") or "unknown",
            "cpu_model": environment["cpu_model"],
        },
    )


def fingerprint(root: Path) -> dict[str, Any]:
    """The host and its software as JSON values; null where a thing cannot be read."""
    cpu = _cpuinfo(root)
    policy = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "cpu_model": cpu.get("model name"),
        "microcode": cpu.get("microcode"),
        "cpus": _cpus(root),
        "sockets": _sockets(root),
        "smt": _text(root / "sys/devices/system/cpu/smt/control"),
        "memory_bytes": _memory_bytes(root),
        "hypervisor": "hypervisor" in (cpu.get("flags") or "").split(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "governor": _text(policy / "scaling_governor"),
        "frequency_driver": _text(policy / "scaling_driver"),
        "energy_performance_preference": _text(policy / "energy_performance_preference"),
        "turbo": _turbo(root),
        "numa_balancing": _text(root / "proc/sys/kernel/numa_balancing"),
        "transparent_hugepages": _chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        "rehearsal_root": None if root == Path("/") else str(root),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "sipa_cluster": __version__,
    }


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys whose values differ, packages by name: `packages.torch: 2.13.0 became 2.14.0`."""
    first, second = _flat(one), _flat(other)
    return [
        f"{key}: {first.get(key)} became {second.get(key)}"
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]


@cache
def code_version() -> str:
    """The version of sipa-cluster, with the commit and a mark for uncommitted changes where there is a checkout."""
    home = Path(__file__).resolve().parent.parent
    if not (home / ".git").exists():
        return __version__
    try:
        found = subprocess.run(
            ["git", "-C", str(home), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{found.stdout.strip()}"


def _flat(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    packages = {f"packages.{name}": version for name, version in (fingerprint.get("packages") or {}).items()}
    return {**{key: value for key, value in fingerprint.items() if key != "packages"}, **packages}


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _cpuinfo(root: Path) -> dict[str, str]:
    lines = (_text(root / "proc/cpuinfo") or "").split("\n\n", 1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def available_cpus() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0))


def _cpus(root: Path) -> int | None:
    if root == Path("/"):
        return os.cpu_count()
    return len(list(root.glob("sys/devices/system/cpu/cpu[0-9]*"))) or None


def _sockets(root: Path) -> int | None:
    paths = root.glob("sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id")
    return len({_text(path) for path in paths}) or None


def _memory_bytes(root: Path) -> int | None:
    for line in (_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            # What the kernel keeps for itself differs by kilobytes from boot to boot.
            return round(int(line.split()[1]) * 1024 / _MEMORY_STEP) * _MEMORY_STEP
    return None


def _turbo(root: Path) -> bool | None:
    no_turbo = _text(root / "sys/devices/system/cpu/intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = _text(root / "sys/devices/system/cpu/cpufreq/boost")
    return None if boost is None else boost == "1"


def _chosen(options: str | None) -> str | None:
    return options.partition("[")[2].partition("]")[0] or None if options else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _node_uid(root: Path) -> str:
    """A hash, because machine-id(5) asks not to publish the id itself."""
    found = _text(root / "etc/machine-id") or socket.gethostname()
    return hashlib.sha256(f"sipa-cluster {found}".encode()).hexdigest()[:16]
