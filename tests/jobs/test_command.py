"""The command line is filled in safely, and inputs belong to the identity."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.command import arguments, filled, inputs_digest
from sipa.errors import WorkloadError
from sipa.spec.model import CommandOutput


@given(st.text(), st.integers(), st.booleans())
def test_a_value_is_always_one_argument(text: str, number: int, flag: bool) -> None:
    """Spaces, quotes, semicolons in a level never become syntax: there is no shell."""
    found = arguments("prog --a {text} --n={number} --f {flag}", {"text": text, "number": number, "flag": flag})
    assert found == ["prog", "--a", text, f"--n={number}", "--f", str(flag).lower()]


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="{}", codec="utf-8")), min_size=1))
def test_a_quoted_template_is_split_like_a_shell_does(parts: list[str]) -> None:
    assert arguments(shlex.join(parts), {}) == parts


def test_braces_are_doubled_to_stay() -> None:
    assert filled("{{x}} {x}", {"x": 1}) == "{x} 1"


@pytest.mark.parametrize("template", ["prog 'open", "prog {missing}", "prog {}"])
def test_a_broken_template_is_an_error(template: str) -> None:
    with pytest.raises(WorkloadError):
        arguments(template, {})


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
