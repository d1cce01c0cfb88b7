"""Where commissionings are kept on a node, and which one is the latest.

A user's lie in the user's state folder; root's lie where every user finds them, because what root finds out about a
node holds for whoever measures there. Those of a made tree lie below its root and never mix with the machine's.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipa.errors import ResultsError
from sipa.trial import digest

SYSTEM = Path("var/lib/sipa-cluster/commissioning")
"""Below the root: of root, and of every rehearsal."""

_ID = "commission_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One commissioning that is kept.

    Attributes:
        content: the JSON file's, without the id.
    """

    commission_id: str
    path: Path
    content: Mapping[str, Any]

    @property
    def page(self) -> Path:
        """The HTML file beside it."""
        return self.path.with_suffix(".html")

    @property
    def quick(self) -> bool:
        """Whether it was a shortened one."""
        return bool(self.content.get("quick"))


def latest_id(node_uid: str, root: Path = Path("/")) -> str | None:
    """Id of the latest commissioning of a node; None if it has none.

    A shortened one counts only where there is no full one: it is evidence of less.
    """
    quick: str | None = None
    for path in reversed(_paths(node_uid, root)):
        found = _read(path)
        if found is not None and not found.quick:
            return found.commission_id
        if found is not None and quick is None:
            quick = found.commission_id
    return quick


def kept(node_uid: str, root: Path = Path("/")) -> list[Kept]:
    """Every commissioning of a node, oldest first; files that are damaged or were edited are passed over."""
    return [each for path in _paths(node_uid, root) if (each := _read(path)) is not None]


def find(commission_id: str, root: Path = Path("/")) -> Kept | None:
    """The commissioning with an id, of whatever node; None if it is not kept here."""
    paths = [path for folder in _folders(root) for path in folder.glob(f"*/*-{commission_id}.json")]
    return next((each for path in paths if (each := _read(path)) is not None), None)


def folder_for(node_uid: str, root: Path = Path("/")) -> Path:
    """The folder for a node's next commissioning; it is made.

    Raises:
        ResultsError: it cannot be written.
    """
    return writable(_own(root) / node_uid, "set XDG_STATE_HOME to one that is")


def writable(folder: Path, cure: str) -> Path:
    """Make a folder and see that it takes files: better known before the hour than after it.

    Args:
        folder: where files are to go.
        cure: another place, and how it is named.

    Raises:
        ResultsError: it does not.
    """
    probe = folder / f".{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ResultsError(
            f"{folder}: the commissioning could not be kept there: {error.strerror}. "
            f"Cure: make the folder writable, or {cure}"
        ) from error
    return folder


def commission_id(content: Mapping[str, Any]) -> str:
    """The id of a content: a hash of all of it."""
    return digest({name: value for name, value in content.items() if name != _ID})


def write(content: Mapping[str, Any], page: str, folder: Path, started: datetime) -> Path:
    """Write both files into a folder, the page first: where the JSON file is, all is.

    Args:
        content: JSON values, without the id.
        page: HTML.
        folder: of `folder_for`, or any other.
        started: begin of the commissioning.

    Returns:
        The JSON file.

    Raises:
        ResultsError: the disk is full or the folder cannot be written.
    """
    number = commission_id(content)
    path = folder / f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{number}.json"
    _replace(path.with_suffix(".html"), page)
    try:
        _replace(path, _lines({_ID: number, **content}))
    except BaseException:
        path.with_suffix(".html").unlink(missing_ok=True)
        raise
    return path


def _paths(node_uid: str, root: Path) -> list[Path]:
    """Every file of a node, oldest first: names begin with the time."""
    paths = (path for folder in _folders(root) for path in (folder / node_uid).glob("*.json"))
    return sorted(paths, key=lambda path: path.name)


def _lines(content: Mapping[str, Any]) -> str:
    """JSON with a line for each member: traces are long, and a file of one number a line is read by nobody."""
    members = (
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for name, value in content.items()
    )
    return "{\n" + ",\n".join(members) + "\n}\n"


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path) -> Kept | None:
    """A file's content; None if it is not whole, not ours, or was edited."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            number = content.pop(_ID, None)
            if number == commission_id(content):
                return Kept(commission_id=number, path=path, content=content)
    return None


def _own(root: Path) -> Path:
    """Where this process keeps them."""
    return root / SYSTEM if root != Path("/") or os.geteuid() == 0 else _state()


def _folders(root: Path) -> tuple[Path, ...]:
    """Where they may lie."""
    return (root / SYSTEM,) if root != Path("/") else (root / SYSTEM, _state())


def _state() -> Path:
    """The user's state folder (XDG Base Directory Specification 0.8: a relative path is ignored)."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = named if named.is_absolute() else Path("~/.local/state").expanduser()
    return base / "sipa-cluster" / "commissioning"
