"""Inputs of a command belong to the identity of its trials."""

from pathlib import Path

import pytest

from jobs.command import inputs_digest
from sipa.errors import WorkloadError
from sipa.spec.model import CommandOutput


def test_inputs_are_hashed_by_content_and_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    by_name = [inputs_digest(CommandOutput(inputs=("{f}",)), {"f": name}, tmp_path) for name in ("a.py", "b.py")]
    (tmp_path / "a.py").write_text("2")
    changed = inputs_digest(CommandOutput(inputs=("{f}",)), {"f": "a.py"}, tmp_path)
    assert len({*by_name, changed}) == 3
    assert inputs_digest(CommandOutput(), {}, tmp_path) is None
    with pytest.raises(WorkloadError, match=r"no\.py"):
        inputs_digest(CommandOutput(inputs=("no.py",)), {}, tmp_path)
