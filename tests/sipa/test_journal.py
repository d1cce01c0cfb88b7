"""The journal survives being cut anywhere."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sipa.journal import Journal

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none(), max_size=3))


@given(RECORDS, RECORDS, st.data())
@settings(max_examples=80, deadline=None)
def test_after_a_cut_at_any_byte_whole_records_stay_and_appending_goes_on(
    before: list[dict[str, object]], after: list[dict[str, object]], data: st.DataObject
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        with Journal(path, durable=False) as journal:
            for record in before:
                journal.append(record)
        content = path.read_bytes() if path.exists() else b""
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n")
        with Journal(path, durable=False) as journal:
            for record in after:
                journal.append(record)
            assert list(journal.replay()) == [*before[:whole], *after]


def test_a_journal_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "none.jsonl").replay()) == []
