"""Where nodes come from. `local` is this machine: exactly one node, because two workers would share its counters."""

import socket
from dataclasses import dataclass
from typing import assert_never

from sipa.errors import UsageError
from sipa.spec.model import TestbedKind, TestbedSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine that measures one trial at a time.

    Attributes:
        name: as it appears in the rows.
        site: testbed site; None without a lease.
        lease_id: None without a lease.
    """

    name: str
    site: str | None = None
    lease_id: str | None = None


def nodes(testbed: TestbedSpec) -> tuple[Node, ...]:
    """The nodes of a testbed.

    Raises:
        UsageError: a kind of testbed that this version cannot reach.
    """
    match testbed.kind:
        case TestbedKind.LOCAL:
            return (Node(name=socket.gethostname()),)
        case TestbedKind.STATIC | TestbedKind.CHAMELEON:
            raise UsageError(
                f"testbed.kind = {testbed.kind.value!r}: this version runs sweeps on one machine. "
                "Use kind = 'local', or run the same sweep file with --local on the node itself."
            )
        case _:
            assert_never(testbed.kind)
