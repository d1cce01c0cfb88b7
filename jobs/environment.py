"""Who measured: the host's fingerprint, whose hash is a row's `environment_id`, and the rest of its identity.

Read once a session, after governor and turbo were set.
"""

import hashlib
import json
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jobs.commission.registry import latest_id
from jobs.fingerprint import fingerprint
from jobs.fingerprint.processor import available_cpus
from jobs.sysfs import text
from sipa import __version__
from sipa.trial import Row, digest

__all__ = ["Identity", "available_cpus", "code_version", "differing", "fingerprint", "identify", "node_uid"]


_PRIVILEGED = frozenset({"energy_filter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who measured: read once a session.

    Attributes:
        environment: the fingerprint, JSON values.
        columns: the identity columns of every row of this session.
    """

    environment: Mapping[str, Any]
    columns: Row


def identify(root: Path, variables: Mapping[str, str] | None = None) -> Identity:
    """Read the host.

    Args:
        root: where `sys`, `proc`, `dev` and `etc` are.
        variables: the environment variables that trials run with; None: not known.
    """
    environment = fingerprint(root, variables)
    uid = node_uid(root)
    return Identity(
        environment=environment,
        columns={
            "environment_id": environment_id(environment),
            "code_version": code_version(),
            "node_uid": uid,
            "boot_id": text(root / "proc/sys/kernel/random/boot_id") or "unknown",
            "cpu_model": environment["cpu_model"],
            "commission_id": latest_id(uid, root),
        },
    )


def environment_id(environment: Mapping[str, Any]) -> str:
    """The hash of a fingerprint, without what only root can read: who runs a sweep is no part of the host."""
    return digest({name: value for name, value in environment.items() if name not in _PRIVILEGED})


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Values that differ, by name: `packages.torch: 2.13.0 became 2.14.0`, `idle_states.disabled.C6: nothing became 4`.

    Where only one side has a whole group of values, the group is named once.
    """
    found = []
    for key in sorted(one.keys() | other.keys()):
        first, second = one.get(key), other.get(key)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            found += [f"{key}.{each}" for each in differing(first, second)]
        elif first != second:
            found.append(f"{key}: {_shown(first)} became {_shown(second)}")
    return found


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


def node_uid(root: Path) -> str:
    """The node's id: a hash, because machine-id(5) asks not to publish the id itself."""
    found = text(root / "etc/machine-id") or socket.gethostname()
    return hashlib.sha256(f"sipa-cluster {found}".encode()).hexdigest()[:16]


def _shown(value: Any) -> str:
    """A value for people: texts as they are, groups as JSON, and what is not there as "nothing"."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
