"""Fixtures of the detection tests."""

from collections.abc import Iterator

import pytest
import torch  # noqa: TID253


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine two threads that wait for each other are much slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
