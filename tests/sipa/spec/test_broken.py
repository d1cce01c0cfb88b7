"""Thousands of good files spoilt at random: each gives problems with their lines, or a valid sweep. Nothing else."""

import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sipa.errors import SpecError
from sipa.spec import SweepSpec, load_spec


def words(text: str) -> list[str]:
    return text.split()


VALUES = [
    *words("0 -1 1 2 32.0 32.5 -0.0 1e3 1e308 1e999 inf -inf nan true false 9007199254740993 99999999999999999999"),
    *words("yes None 01 1_000 0b1 +5 .5 5. 0xffffffffffffffffff 1979-05-27 1979-05-27T07:32:00Z 07:32:00 1979-13-01"),
    *words('"" "a" "digits" "grid" "random:3" "random:0" "perf" "model" "none" "local" "static" "chameleon"'),
    *words('"command" "detection" "x\\u0000" "a\\nb" "{weights}" "{" "{{}}" "é" "\\U0001F600" "-x" "user@host:path"'),
    *words('[] [[]] [1,1.0] [1,"a"] [true,1] [1.5] ["a"] ["a","a"] [{}] [nan] [1979-05-27] [[1],[2]] [{weights="a"}]'),
    *words('{} {a=1} {min=1,max=2} {min=3,max=2} {score="number"}'),
    '{metric="window_s",half_width=0.1,min_repetitions=2}',
    *words("""'x" "x' "unclosed [1,2 {a=1 '"""),
    "9" * 5000,
    "0x" + "f" * 5000,
    "[" * 400 + "]" * 400,
    "[" * 2000,
    "{a=" * 300,
    '"' + "x" * 3000 + '"',
]
KEYS = [
    *words("schema name kind weights batch_size images image_size dataset execution threads confidence command"),
    *words("metrics work inputs begin_marker end_marker repetitions order seed points include exclude stop meter"),
    *words("idle_s min_window_s warmup_max_s cooldown_within_c cooldown_timeout_s control_s gates deadline_s governor"),
    *words("turbo scope model idle_w max_w hosts user jump site"),
    *words("node_types nodes head hours key max_su max_failures retries currency electricity_per_kwh node_hour"),
    *words("mirror design workload energy_pkg_j X a.b '' - a-b é"),
    '"a b"',
    '"\\n"',
]
HEADERS = [
    *words("workload factors design measurement measurement.model testbed limits prices results design.stop"),
    *words("design.include x"),
    '""',
]
JUNK = [b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\x00", b"\r", b"\x0b", b"\xe2\x80\xa8", b"\x1b", b"\t", b"\xed\xa0\x80"]
CHARACTERS = [*"'\"[]{}=.,#\\ \tx0-\n", '"""', ""]

Mutation = Callable[[random.Random, list[str]], None]


def _line(chance: random.Random, lines: list[str]) -> int:
    return chance.randrange(len(lines))


def _pair(chance: random.Random, lines: list[str]) -> tuple[int, str, str]:
    """A random line that is key = value, or any line."""
    pairs = [index for index, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    index = chance.choice(pairs or range(len(lines)))
    key, _, value = lines[index].partition("=")
    return index, key.strip(), value.strip()


def delete_line(chance: random.Random, lines: list[str]) -> None:
    del lines[_line(chance, lines)]


def repeat_line(chance: random.Random, lines: list[str]) -> None:
    lines.insert(_line(chance, lines), lines[_line(chance, lines)])


def swap_lines(chance: random.Random, lines: list[str]) -> None:
    a, b = _line(chance, lines), _line(chance, lines)
    lines[a], lines[b] = lines[b], lines[a]


def rename_key(chance: random.Random, lines: list[str]) -> None:
    index, _, value = _pair(chance, lines)
    lines[index] = f"{chance.choice(KEYS)} = {value}"


def misspell_key(chance: random.Random, lines: list[str]) -> None:
    index, key, value = _pair(chance, lines)
    letters = list(key or "x")
    letters[chance.randrange(len(letters))] = chance.choice(["", "x", "_", "E"])
    lines[index] = f"{''.join(letters)} = {value}"


def change_value(chance: random.Random, lines: list[str]) -> None:
    index, key, _ = _pair(chance, lines)
    lines[index] = f"{key} = {chance.choice(VALUES)}"


def swap_values(chance: random.Random, lines: list[str]) -> None:
    a, key_a, value_a = _pair(chance, lines)
    b, key_b, value_b = _pair(chance, lines)
    lines[a], lines[b] = f"{key_a} = {value_b}", f"{key_b} = {value_a}"


def list_value(chance: random.Random, lines: list[str]) -> None:
    index, key, value = _pair(chance, lines)
    lines[index] = f"{key} = [\n{value},\n{chance.choice(VALUES)}]"


def add_key(chance: random.Random, lines: list[str]) -> None:
    lines.insert(_line(chance, lines), f"{chance.choice(KEYS)} = {chance.choice(VALUES)}")


def add_header(chance: random.Random, lines: list[str]) -> None:
    header = chance.choice(HEADERS)
    lines.insert(_line(chance, lines), chance.choice([f"[{header}]", f"[[{header}]]", f"[{header}", "[]"]))


def truncate(chance: random.Random, lines: list[str]) -> None:
    index = _line(chance, lines)
    lines[index] = lines[index][: chance.randrange(len(lines[index]) + 1)]
    del lines[index + 1 :]


def change_character(chance: random.Random, lines: list[str]) -> None:
    index = _line(chance, lines)
    characters = list(lines[index]) or [" "]
    characters[chance.randrange(len(characters))] = chance.choice(CHARACTERS)
    lines[index] = "".join(characters)


STRUCTURAL: list[Mutation] = [
    delete_line,
    repeat_line,
    swap_lines,
    rename_key,
    misspell_key,
    change_value,
    change_value,
    swap_values,
    list_value,
    add_key,
    add_header,
    truncate,
    change_character,
]


def mutant(seed: int, bases: list[str]) -> bytes:
    """A good file, spoilt in one to four ways; every tenth in its bytes as well."""
    chance = random.Random(seed)
    lines = chance.choice(bases).split("\n")
    for _ in range(chance.choice([1, 1, 2, 4])):
        chance.choice(STRUCTURAL)(chance, lines)
        lines = lines or [""]
    content = bytearray("\n".join(lines).encode())
    if chance.random() < 0.1:
        place = chance.randrange(len(content) + 1)
        content[place : place + chance.choice([0, 1])] = chance.choice(JUNK)
    return bytes(content)


def judge(content: bytes, path: Path) -> bool:
    """Whether a file is a sweep; fails if it is neither that nor has problems as they should be."""
    path.write_bytes(content)
    try:
        spec = load_spec(path)
    except SpecError as error:
        problems = error.problems
    else:
        check_valid(spec)
        return True
    assert problems
    for problem in problems:
        place = re.match(re.escape(str(path)) + r":(\d+): \S", problem)
        assert place, problem
        assert 1 <= int(place[1]) <= content.count(b"\n") + 1, problem
        assert problem.isprintable(), problem
    return False


def check_valid(spec: SweepSpec) -> None:
    """What everything that follows relies on."""
    names = [name for name, _ in spec.workload.fixed] + [name for name, _ in spec.workload.factors]
    assert len(set(names)) == len(names)
    assert all(levels and len(set(levels)) == len(levels) for _, levels in spec.workload.factors)
    assert not any(level in {math.inf, -math.inf} for _, levels in spec.workload.factors for level in levels)
    factors = {name for name, _ in spec.workload.factors}
    assert all({name for name, _ in entry} == factors for entry in spec.design.include)
    assert all({name for name, _ in entry} <= factors for entry in spec.design.exclude)
    assert 1 <= spec.design.repetitions <= 10_000
    assert ("model" in spec.measurement.meter) == (spec.measurement.model is not None)
    assert re.fullmatch("[0-9a-f]{16}", spec.spec_hash)


@pytest.fixture
def bases(good_files: dict[str, str]) -> list[str]:
    return list(good_files.values())


def _run(seeds: range, bases: list[str], path: Path) -> float:
    """The share of spoilt files with problems."""
    return 1 - sum(judge(mutant(seed, bases), path) for seed in seeds) / len(seeds)


def test_the_bases_are_good(bases: list[str], tmp_path: Path) -> None:
    assert all(judge(base.encode(), tmp_path / "sweep.toml") for base in bases)


def test_a_few_hundred_spoilt_files(bases: list[str], tmp_path: Path) -> None:
    assert _run(range(500), bases, tmp_path / "sweep.toml") > 0.6


@pytest.mark.slow
def test_ten_thousand_spoilt_files(bases: list[str], tmp_path: Path) -> None:
    assert _run(range(10_000), bases, tmp_path / "sweep.toml") > 0.6
