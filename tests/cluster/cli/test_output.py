"""Plain tables: aligned where there is room, folded on a terminal that is too narrow, never cut."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.cli.output import table_text

ROWS = [("tiny", "1"), ("a wide one", "1000")]


def test_aligned() -> None:
    assert table_text(("weights", "n"), ROWS, numeric=(False, True)).splitlines() == [
        "weights        n",
        "tiny           1",
        "a wide one  1000",
    ]


def test_folded_keeps_every_word() -> None:
    text = table_text(("weights", "estimated energy (J)"), ROWS, width=20)
    assert all(len(line) <= 20 for line in text.splitlines())
    assert {"tiny", "wide", "1000", "estimated", "energy", "(J)"} <= set(text.split())


def test_no_rows_is_a_heading() -> None:
    assert table_text(("a", "b"), []) == "a  b"


@given(st.lists(st.tuples(st.text("abc ", max_size=9), st.text("123", max_size=9)), max_size=5))
def test_columns_begin_at_the_same_place(rows: list[tuple[str, str]]) -> None:
    lines = table_text(("left", "right"), rows).split("\n")
    assert len(lines) == 1 + len(rows)
    place = lines[0].index("right")
    assert all(line[place:] == right.rstrip() for line, (_, right) in zip(lines[1:], rows, strict=True))
