"""What meters said, beside the truth, as a table: a cell is `ok`, or what was said where that is not true."""

import re
from collections.abc import Mapping, Sequence
from textwrap import shorten, wrap
from typing import Any

from tests.peers.scenarios import Scenario

TOLERANCE = 1e-3
SOCKETS_UNTOLD = "all"
WIDTH = 30
ERROR_LENGTH = 160

_PATHS = re.compile(r"/\S+/")


def cell(answer: Mapping[str, Any] | None, scenario: Scenario) -> str:
    """What one meter said, in a few words."""
    if answer is None:
        return "-"
    if error := answer.get("error"):
        return shorten(_PATHS.sub("", str(error)), ERROR_LENGTH, placeholder=" ...")
    both = {"package": scenario.truth_j("package"), "dram": scenario.truth_j("dram")}
    both["package and dram"] = {SOCKETS_UNTOLD: sum(sum(each.values()) for each in both.values())}
    said = {kind: _said(kind, answer[kind], truth) for kind, truth in both.items() if kind in answer}
    if set(said.values()) == {"ok"}:
        return "ok"
    words = [f"{kind} ok" if each == "ok" else each for kind, each in said.items()]
    words += [f"estimates {_joules(joules)} for RAM" for joules in answer.get("ram as estimated", {}).values()]
    return "; ".join(words) or "says nothing"


def is_true(answer: Mapping[str, Any], scenario: Scenario) -> bool:
    """Whether it told every socket's packages and memory rightly."""
    return cell(answer, scenario) == "ok"


def _said(kind: str, found: Mapping[str, float | None], truth: Mapping[str, float]) -> str:
    if not found:
        return f"no {kind}"
    if SOCKETS_UNTOLD in found:
        truth = {SOCKETS_UNTOLD: sum(truth.values())}
    if not _same(found, truth) and _near(_sum(found), _sum(truth)):
        return f"{kind} right in sum, not by socket"
    wrong = [
        f"{kind} {'' if socket == SOCKETS_UNTOLD else socket} {_joules(found.get(socket))}".replace("  ", " ")
        for socket in sorted({*found, *truth})
        if not _near(found.get(socket), truth.get(socket))
    ]
    return ", ".join(wrong) or "ok"


def _same(found: Mapping[str, float | None], truth: Mapping[str, float]) -> bool:
    return all(_near(found.get(socket), truth.get(socket)) for socket in {*found, *truth})


def _sum(energies: Mapping[str, float | None]) -> float | None:
    known = [joules for joules in energies.values() if joules is not None]
    return sum(known) if len(known) == len(energies) else None


def _near(found: float | None, truth: float | None) -> bool:
    return found is not None and truth is not None and abs(found - truth) <= TOLERANCE * truth


def _joules(value: float | None) -> str:
    return "unavailable" if value is None else f"{value:,.0f} J"


def table(cells: Mapping[str, Mapping[str, str]], columns: Sequence[str]) -> str:
    """Rows by scenario, columns by tool; a long cell goes on in the next line."""
    lines = [_line(["", *columns])]
    for name, row in cells.items():
        wrapped = [_wrap(text) for text in (name, *(row.get(column, "-") for column in columns))]
        height = max(map(len, wrapped))
        lines.append("-" * len(lines[0]))
        lines += [_line([each[row] if row < len(each) else "" for each in wrapped]) for row in range(height)]
    return "\n".join(lines)


def _line(texts: Sequence[str]) -> str:
    return " | ".join(f"{text:<{WIDTH}}" for text in texts)


def _wrap(text: str) -> list[str]:
    return wrap(text, WIDTH) or [""]
