"""Paths of TOML documents stand on the lines that a reader would point at."""

import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipa.spec.lines import Lines, TomlPath, statement_begin

TRICKY = '''\
# a comment with [design] and key = 2
schema = 1
text = """
[design]
repetitions = 99
"""
'quoted key' = 1
"a.b" = 2
design.seed = 3   # a dotted key before any table

[workload]
command = \'\'\'
[[design.include]]
\'\'\' # behind the end

[factors] # with a comment ]
weights = [ # one
    "a",    # a text
    "]",    # not the end ]
    "#",

    """
    [factors]
    """, "x",   # ["
    [1,
     2], { a = 1, b = [
        1,
        2, ], c.d = [
        3 ] },
]
batch_size = [1,
  2,
]  # the end
  indented = 5

[measurement.model]
idle_w = 5
[measurement]
idle_s = 1

[[design.include]]
weights = "a"
[[design.include]]  # the second
weights = "b"
[design.include.deeper]
key = [
1]
[design.stop]
metric = "m"
'''

PLACES: list[tuple[TomlPath, int]] = [
    (("schema",), 2),
    (("text",), 3),
    (("quoted key",), 7),
    (("a.b",), 8),
    (("design", "seed"), 9),
    (("design",), 9),
    (("workload",), 11),
    (("workload", "command"), 12),
    (("workload", "missing"), 11),
    (("factors",), 16),
    (("factors", "weights"), 17),
    (("factors", "weights", 0), 18),
    (("factors", "weights", 1), 19),
    (("factors", "weights", 2), 20),
    (("factors", "weights", 3), 22),
    (("factors", "weights", 4), 24),
    (("factors", "weights", 5), 25),
    (("factors", "weights", 5, 1), 26),
    (("factors", "weights", 6), 26),
    (("factors", "weights", 6, "a"), 26),
    (("factors", "weights", 6, "b"), 26),
    (("factors", "weights", 6, "b", 0), 27),
    (("factors", "weights", 6, "b", 1), 28),
    (("factors", "weights", 6, "c"), 28),
    (("factors", "weights", 6, "c", "d"), 28),
    (("factors", "weights", 6, "c", "d", 0), 29),
    (("factors", "weights", 7), 17),
    (("factors", "batch_size", 0), 31),
    (("factors", "batch_size", 1), 32),
    (("factors", "indented"), 34),
    (("factors", "missing"), 16),
    (("measurement", "model"), 36),
    (("measurement", "model", "max_w"), 36),
    (("measurement", "model", "idle_w"), 37),
    (("measurement",), 38),
    (("measurement", "idle_s"), 39),
    (("design", "include", 0), 41),
    (("design", "include", 0, "weights"), 42),
    (("design", "include", 1), 43),
    (("design", "include", 1, "weights"), 44),
    (("design", "include", 1, "deeper"), 45),
    (("design", "include", 1, "deeper", "key", 0), 47),
    (("design", "stop"), 48),
    (("design", "stop", "metric"), 49),
    (("prices",), 1),
    ((), 1),
]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(("path", "line"), PLACES)
def test_tricky(path: TomlPath, line: int, ending: str) -> None:
    text = TRICKY.replace("\n", ending)
    tomllib.loads(text)
    assert Lines(text).line(path) == line


@dataclass
class Writer:
    """Writes a random document and notes the line of everything that it writes."""

    draw: Any
    text: str = ""
    places: dict[TomlPath, int] = field(default_factory=dict)

    def here(self, path: TomlPath) -> None:
        self.places.setdefault(path, self.text.count("\n") + 1)

    def chance(self) -> bool:
        return bool(self.draw(st.booleans()))

    def gap(self) -> None:
        """What may stand between the elements of an array."""
        self.text += self.draw(st.sampled_from(["", " ", "\n", "\n\n  ", " # ] } = [x]\n", "\n# \"\"\" '''\n"]))

    def value(self, path: TomlPath, depth: int) -> None:
        kinds = ["scalar", "string", *(["array", "table"] if depth else [])]
        match self.draw(st.sampled_from(kinds)):
            case "scalar":
                self.text += self.draw(st.sampled_from(["1", "true", "'#]'", '"[a]"', "1979-05-27", "nan"]))
            case "string":
                quotes = self.draw(st.sampled_from(['"""', "'''"]))
                self.text += quotes + self.draw(st.sampled_from(["\n[t]\n", "a\n\nk = [\n", "]", "\n]\n}\n"])) + quotes
            case "array":
                self.array(path, depth)
            case "table":
                self.table(path, depth)

    def array(self, path: TomlPath, depth: int) -> None:
        self.text += "["
        size = self.draw(st.integers(0, 3))
        for index in range(size):
            self.gap()
            self.here((*path, index))
            self.value((*path, index), depth - 1)
            self.gap()
            if index < size - 1 or self.chance():
                self.text += ","
        self.gap()
        self.text += "]"

    def table(self, path: TomlPath, depth: int) -> None:
        self.text += "{ "
        for index in range(size := self.draw(st.integers(0, 2))):
            self.key_value(path, f"k{index}", depth)
            self.text += ", " if index < size - 1 else " "
        self.text += "}"

    def key_value(self, path: TomlPath, key: str, depth: int) -> None:
        self.here((*path, key))
        self.text += key
        path = (*path, key)
        if self.chance():
            self.here((*path, "d"))
            self.text += ".d"
            path = (*path, "d")
        self.text += " = "
        self.value(path, depth - 1)

    def document(self) -> None:
        for index in range(self.draw(st.integers(0, 3))):
            self.key_value((), f"root{index}", 3)
            self.text += self.draw(st.sampled_from(["\n", " # [x]\n", "\n\n"]))
        for index in range(self.draw(st.integers(0, 3))):
            self.header(index)

    def header(self, index: int) -> None:
        path: TomlPath = (f"t{index % 2}", f"n{index}")
        if self.chance():
            self.here(path)
            self.text += f"[{path[0]}.{path[1]}]\n"
            self.body(path)
        else:
            for entry in range(self.draw(st.integers(1, 2))):
                self.here(path)
                self.here((*path, entry))
                self.text += f"[[ {path[0]} . {path[1]} ]] # [y]\n"
                self.body((*path, entry))

    def body(self, path: TomlPath) -> None:
        for index in range(self.draw(st.integers(0, 2))):
            self.key_value(path, f"k{index}", 3)
            self.text += self.draw(st.sampled_from(["\n", " # [x]\n", "\n\n"]))


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.document()
    return writer


@given(documents())
def test_every_path_of_a_random_document(written: Writer) -> None:
    tomllib.loads(written.text)
    lines = Lines(written.text)
    assert {path: lines.line(path) for path in written.places} == written.places


def test_long_files_are_no_burden() -> None:
    entries = "".join(f"    {{ weights = 'w{n}', batch_size = {n} }},\n" for n in range(300))
    text = f"a = 1\n[design]\ninclude = [\n{entries}]\nseed = 1\n"
    lines = Lines(text)
    assert [lines.line(("design", "include", n, "weights")) for n in range(300)] == list(range(4, 304))
    assert lines.line(("design", "seed")) == 305


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = [\n1,\n\nc = 2\n", 2),
        ('a = 1\n\n# x\nb = """\nc = 2\n[d]\n', 4),
        ("[a\nb = 1", 1),
        ("a = 1\n", 2),
        ("", 1),
    ],
)
def test_the_statement_of_the_last_line(text: str, line: int) -> None:
    assert statement_begin(text.split("\n")) == line


def test_the_statement_of_every_line() -> None:
    lines = ["a = 1", "", "b = [", "1,", "]", "# x", "[t]", "c = [1,", "2] # x", "= 2"]
    assert [statement_begin(lines, number) for number in range(1, 11)] == [1, 2, 3, 3, 3, 6, 7, 8, 8, 10]
