"""Checks of this Python: its version, and what each extra of sipa-cluster needs against what is installed."""

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata

from packaging.requirements import Requirement

from jobs.preflight import Check, CheckState

DISTRIBUTION = "sipa-cluster"
PURPOSES = {
    "": "reading results and the command line need it",
    "node": "measuring detection trials on this machine needs it; reading results does not",
    "cluster": "'run --ray' and more than one node need it; one machine does not",
}
"""Extra -> what it is for; "" is what is always installed."""

VersionOf = Callable[[str], str | None]


def checks() -> tuple[Check, ...]:
    """Python, sipa-cluster itself, and the packages of each extra."""
    own = installed(DISTRIBUTION)
    python = Check(name="python", state=CheckState.OK, found=platform.python_version(), why="3.11 or later")
    if own is None:
        return python, Check(
            name=DISTRIBUTION,
            state=CheckState.WARN,
            found="running from a folder, not installed",
            why="without the package's metadata nobody knows which versions it needs",
            cure="pip install . in the folder of the source",
        )
    itself = Check(name=DISTRIBUTION, state=CheckState.OK, found=own, why="this program")
    return python, itself, *package_checks(metadata.requires(DISTRIBUTION) or [], installed)


def package_checks(requires: Sequence[str], version_of: VersionOf) -> Iterator[Check]:
    """One check a package: missing or unsuitable is a failure in the base and a warning in an extra.

    Args:
        requires: requirements as the package's metadata has them.
        version_of: version of an installed package, or None.
    """
    known = [Requirement(each) for each in requires]
    for extra, purpose in PURPOSES.items():
        for each in _needed(known, extra):
            yield _check(each, extra, purpose, version_of(each.name))


def installed(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _needed(known: Sequence[Requirement], extra: str) -> Iterator[Requirement]:
    """The requirements of an extra; an extra that names another one stands for that one's."""
    for each in known:
        if not _applies(each, extra):
            continue
        if each.name == DISTRIBUTION:
            for other in sorted(each.extras):
                yield from _needed(known, other)
        else:
            yield each


def _applies(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return extra == ""
    return requirement.marker.evaluate({"extra": extra}) and not (extra and requirement.marker.evaluate({"extra": ""}))


def _check(requirement: Requirement, extra: str, purpose: str, version: str | None) -> Check:
    name = f"{requirement.name} ({extra})" if extra else requirement.name
    wanted = str(requirement.specifier) or "any version"
    if version is not None and requirement.specifier.contains(version, prereleases=True):
        return Check(name=name, state=CheckState.OK, found=version, why=purpose)
    return Check(
        name=name,
        state=CheckState.WARN if extra else CheckState.FAIL,
        found=f"not installed (needs {wanted})" if version is None else f"{version} (needs {wanted})",
        why=purpose,
        cure=f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}",
    )
