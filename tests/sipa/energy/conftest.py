"""A two-socket server, a clock that stands still, and perf where it is allowed."""

from pathlib import Path

import pytest

from tests.sipa.energy.fake_clock import FakeClock
from tests.sipa.energy.perf_tree import why_not_perf
from tests.sipa.energy.powercap_tree import PowercapTree


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def perf() -> None:
    """Skips where perf_event_open refuses to count for the whole machine."""
    if reason := why_not_perf():
        pytest.skip(reason)
