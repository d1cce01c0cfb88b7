"""Where commissionings are kept: ids that are hashes, the latest one, files that are damaged."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.commission import registry
from jobs.environment import identify
from sipa.errors import ResultsError

NODE = "0123456789abcdef"
BEGAN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def keep(root: Path, *, hours: float = 0.0, **content: Any) -> Path:
    folder = registry.folder_for(NODE, root)
    return registry.write({"quick": False, **content}, "<html>", folder, BEGAN + timedelta(hours=hours))


@given(st.dictionaries(st.text(min_size=1), json_values, max_size=5))
def test_the_id_survives_the_file(content: dict[str, Any]) -> None:
    content.pop("commission_id", None)
    number = registry.commission_id(content)
    again = json.loads(json.dumps({"commission_id": number, **content}))
    assert registry.commission_id(again) == number
    assert registry.commission_id({**content, "x" * 9: 1}) != number


def test_a_node_without_one_has_none(tmp_path: Path) -> None:
    assert registry.latest_id(NODE, tmp_path) is None
    assert registry.kept(NODE, tmp_path) == []
    assert registry.find("0" * 16, tmp_path) is None
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"


def test_the_latest_full_one_counts(tmp_path: Path) -> None:
    keep(tmp_path, hours=1, verdict="ok")
    second = keep(tmp_path, hours=30, verdict="warn")
    keep(tmp_path, hours=40, quick=True)
    keep(tmp_path, hours=2, verdict="fail")
    assert registry.latest_id(NODE, tmp_path) == second.stem.rpartition("-")[2]
    assert [each.content.get("verdict") for each in registry.kept(NODE, tmp_path)] == ["ok", "fail", "warn", None]


def test_a_quick_one_counts_where_there_is_no_other(tmp_path: Path) -> None:
    path = keep(tmp_path, quick=True)
    assert registry.latest_id(NODE, tmp_path) == path.stem.rpartition("-")[2]


def test_both_files_lie_side_by_side_and_nothing_else(tmp_path: Path) -> None:
    path = keep(tmp_path, number=1.5)
    assert path.name.startswith("20261120T120000Z-")
    assert sorted(each.suffix for each in path.parent.iterdir()) == [".html", ".json"]
    found = registry.find(path.stem.rpartition("-")[2], tmp_path)
    assert found is not None
    assert found.content == {"quick": False, "number": 1.5}
    assert found.page.read_text() == "<html>"


@pytest.mark.parametrize("damage", ["cut", "edited", "empty", "foreign"])
def test_a_damaged_file_is_passed_over(tmp_path: Path, damage: str) -> None:
    older = keep(tmp_path, verdict="ok", number=1)
    newer = keep(tmp_path, hours=5, verdict="ok", number=2)
    text = newer.read_text()
    newer.write_text(
        {"cut": text[: len(text) // 2], "edited": text.replace('"ok"', '"fail"'), "empty": "", "foreign": "[]"}[damage]
    )
    assert registry.latest_id(NODE, tmp_path) == older.stem.rpartition("-")[2]
    assert registry.find(newer.stem.rpartition("-")[2], tmp_path) is None


def test_a_number_that_json_does_not_know_is_a_defect_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        keep(tmp_path, number=float("nan"))
    assert list(registry.folder_for(NODE, tmp_path).iterdir()) == []


def test_a_json_that_cannot_be_written_takes_the_page_with_it(tmp_path: Path) -> None:
    folder = registry.folder_for(NODE, tmp_path)
    (folder / f"20261120T120000Z-{registry.commission_id({'quick': False})}.json").mkdir()
    with pytest.raises(ResultsError, match="cannot be written"):
        keep(tmp_path)
    assert list(folder.glob("*.html")) == list(folder.glob(".*")) == []


def test_a_folder_that_takes_no_files_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(ResultsError, match="Cure"):
        registry.folder_for(NODE, tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be two users")
def test_what_root_found_is_found_by_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keep(tmp_path)
    for each in (path, *path.parents):
        if each.stat().st_uid == os.getuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os._exit(0 if registry.latest_id(NODE, tmp_path) == path.stem.rpartition("-")[2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_rows_of_the_node_carry_it(tmp_path: Path) -> None:
    uid = identify(tmp_path).columns["node_uid"]
    assert identify(tmp_path).columns["commission_id"] is None
    path = registry.write({"quick": False}, "", registry.folder_for(uid, tmp_path), BEGAN)
    assert identify(tmp_path).columns["commission_id"] == path.stem.rpartition("-")[2]
