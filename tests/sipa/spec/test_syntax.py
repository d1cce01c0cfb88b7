"""Files that are no TOML, no text, or no files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sipa.errors import SpecError
from sipa.spec import load_spec, parse_spec
from sipa.spec.syntax import MAX_BYTES

Read = Callable[[str], list[str]]
RULE = "a line is key = value, [table] or # comment"


# What `tomllib` says in its own words differs between Python versions: only what is ours is compared.
@pytest.mark.parametrize(
    ("text", "line", "ours"),
    [
        ("schema = 1\nname = x\n", 2, "(column 8): texts stand in quotes; true and false in small letters"),
        ("schema 1\n", 1, f"(column 8): {RULE}"),
        ("schema = 1\n= 2", 2, f"(column 1): {RULE}"),
        ("a = 1\n\na = 2\n", 3, "the key or table stands twice"),
        ("a = 1\na = [\n1,\n]\nb = 2\n", 4, "the value begins at line 2): the key or table stands twice"),
        ("[a]\n[b]\n[a]\n", 3, "('a',) twice"),
        ('a = "b\nc = 1\n', 1, "not TOML: "),
        ("a = [1,\n  2\n\nc = 1\n", 4, "the value begins at line 1): a ] or a comma is missing"),
        ('a = 1\nb = """\nc\n[d]\n', 2, "(begins here and is never finished)"),
        ("a = 1\nb = [\n1,\n", 2, "(begins here and is never finished)"),
        ("a = 1979-02-30\n", 1, "not TOML: "),
        (f"a = 1\nb = {'9' * 5000}\n", 2, "not TOML: a number has too many digits"),
        (f"a = 1\nb = {'[' * 3000}\n", 2, "not TOML: brackets are nested too deep"),
        ("a = 1\nb = 'x\x00'\n", 2, r"\x00"),
        ("a = 1\rb = 2\n", 1, "one key = value a line, or a quote too many"),
        ("a = '\ud800'", 1, "is not Unicode text (half of a surrogate pair)"),
    ],
    ids=str,
)
def test_one_mistake(text: str, line: int, ours: str, broken: Read) -> None:
    (problem,) = broken(text)
    assert problem.startswith(f"s.toml:{line}: ")
    assert ours in problem
    assert problem.isprintable()


def test_several_mistakes(broken: Read) -> None:
    problems = broken('name = x\n[workload]\nkind = "a\nweights = \n[factors]\nweights = [1, 2\n\nseed = y\n')
    assert [problem.split(": ")[0] for problem in problems] == ["s.toml:1", "s.toml:3", "s.toml:4", "s.toml:8"]


def test_no_more_than_twenty_mistakes(broken: Read) -> None:
    assert len(broken("a = x\n" * 100)) == 20


def _problems(path: str | Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'schema = 1\nname = "\xfc"\n', "2: is not UTF-8 text (byte 0xfc); save the file as UTF-8"),
        ("schema = 1".encode("utf-16"), "1: is not UTF-8 text (byte 0xff); save the file as UTF-8"),
        (b"# \n" * MAX_BYTES, f"1: is larger than {MAX_BYTES} bytes; that is no sweep file"),
    ],
)
def test_bytes_that_are_no_text(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_bytes(content)
    assert _problems(path) == [f"{path}:{problem}"]


def test_no_file(tmp_path: Path) -> None:
    assert _problems(tmp_path / "x") == [f"{tmp_path}/x: no such file. `sipa-cluster init` writes one"]
    assert _problems(tmp_path) == [f"{tmp_path}: is a folder; give the sweep file in it"]
    assert _problems("a\0b") == ["a\0b: cannot be read: embedded null byte"]
    assert "cannot be read" in _problems("x" * 5000)[0]


def test_byte_order_mark_and_line_ends_of_windows(good_files: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    text = good_files["chameleon"].replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    spec = load_spec(path)
    assert (spec.text, spec.source) == (text, path)
    assert spec.spec_hash == parse_spec(text, path).spec_hash


def test_the_file_is_named_as_it_was_given(broken: Read) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec("schema = 2", "./sweeps/../a.toml")
    assert str(caught.value).startswith("./sweeps/../a.toml:1: ")


def test_dotted_keys_without_end(broken: Read) -> None:
    assert "s.toml:1: a: unknown key" in broken("a" + ".a" * 2000 + " = 1")
