"""The rules of the house, checked: small modules with one purpose, names that mean something, the tree of errors."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sipa
import sipa.errors
from sipa.errors import TRIAL_ERRORS, Retry, SipaError

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for package in ("cluster", "jobs", "sipa") for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "types"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_one_concept(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert path.stem not in FORBIDDEN
    if text.strip():
        described = ast.get_docstring(ast.parse(text))
        assert described, "says in one line what it is for"
        assert len(described.splitlines()[0]) <= 120


def exceptions() -> list[type[SipaError]]:
    members = inspect.getmembers(sipa.errors, inspect.isclass)
    return [each for _, each in members if issubclass(each, SipaError)]


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_that_the_docstring_draws(kind: type[SipaError]) -> None:
    drawn = sipa.errors.__doc__ or ""
    line = next(line for line in drawn.splitlines() if f" {kind.__name__} " in line)
    assert str(kind.exit_code) in line.split()
    assert isinstance(kind.retry, Retry)
    assert kind.__doc__


def test_every_trial_error_can_be_named_in_a_failure() -> None:
    named = {each.__name__ for each in exceptions() if issubclass(each, sipa.errors.TrialError)}
    assert set(TRIAL_ERRORS) == named - {"TrialError"}


def test_public_names_are_sorted_and_there() -> None:
    assert sipa.__all__ == sorted(sipa.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in sipa.__all__:
        assert getattr(sipa, name) is not None
    with pytest.raises(AttributeError, match="no_such"):
        _ = sipa.no_such


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("sipa", ["numpy", "pandas", "pyarrow", "pydantic", "matplotlib"]),
        ("cluster.cli", ["numpy", "pandas", "pyarrow", "pydantic", "matplotlib", "torch", "ray", "rich"]),
        ("cluster.sweep", ["torch", "ray", "matplotlib", "cv2", "sklearn"]),
        ("jobs.trial_process", ["torch", "pandas", "pyarrow", "cv2", "sklearn", "matplotlib"]),
    ],
)
def test_heavy_imports_wait_until_they_are_needed(module: str, banned: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {banned!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "[]"


def test_the_energy_package_is_standard_library_only() -> None:
    for path in (ROOT / "sipa/energy").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            tops = {name.split(".")[0] for name in names}
            assert tops <= set(sys.stdlib_module_names) | {"sipa"}, path


def test_every_module_can_be_imported_by_itself() -> None:
    for path in MODULES:
        if path.stem != "__main__":
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
