"""A two-socket server and a clock that stands still."""

from pathlib import Path

import pytest

from tests.sipa.energy.fake_clock import FakeClock
from tests.sipa.energy.powercap_tree import PowercapTree


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
