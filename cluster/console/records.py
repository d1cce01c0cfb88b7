"""Records of the journal back as events, so that the past is shown in the same words as the present."""

import re
from dataclasses import MISSING, fields
from typing import Any, get_args

from cluster.events import Event


def from_record(record: dict[str, Any]) -> Event | None:
    """The event that a record was made from; None for one that another version wrote.

    The journal leaves rows out, because they have files of their own: such an event has an empty one.
    """
    kind = _KINDS.get(str(record.get("event")))
    if kind is None:
        return None
    known = {"row": {}, **record}
    wanted = fields(kind)
    if any(field.name not in known for field in wanted if field.default is MISSING):
        return None
    event: Event = kind(**{field.name: known[field.name] for field in wanted if field.name in known})
    return event


def _name(kind: type) -> str:
    """`TrialStarted` is called "trial-started" in a record."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


_KINDS: dict[str, Any] = {_name(kind): kind for kind in get_args(Event)}
