"""What a sweep file may ask for and this version cannot do yet: refused before anything starts, never ignored."""

from collections.abc import Iterator

from sipa.errors import UsageError
from sipa.spec.model import SweepSpec


def refuse_unsupported(spec: SweepSpec) -> None:
    """Refuse a sweep that this version would not run as its file says.

    Raises:
        UsageError: every such key, with what to do instead.
    """
    found = list(_unsupported(spec))
    if found:
        raise UsageError("\n".join(f"{spec.source}: {each}" for each in found))


def _unsupported(spec: SweepSpec) -> Iterator[str]:
    if spec.mirror is not None:
        yield "results.mirror: this version copies no rows elsewhere. Leave the key out and copy the results folder."
