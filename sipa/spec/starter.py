"""The commented sweep file that `init` writes: a real one, kept valid by a test, with the name put in."""

import re
from importlib.resources import files

from sipa.errors import UsageError
from sipa.spec.document import FORMS, NAME
from sipa.spec.messages import got
from sipa.workloads import Kind

_NAMED = 'name = "example"'.ljust(36)


def template(name: str, kind: Kind) -> str:
    """The text of a new sweep file that runs as it is, on this machine, within minutes.

    Args:
        name: name of the sweep.
        kind: what it measures.

    Raises:
        UsageError: the name is none that a sweep can have.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(f"name of the sweep: {FORMS[NAME]}{got(name)}")
    text = files("sipa.spec").joinpath("templates", f"{kind}.toml").read_text(encoding="utf-8")
    # Padded, so that the comment behind it stays in its column.
    return text.replace(_NAMED, f'name = "{name}"'.ljust(35) + " ", 1)
