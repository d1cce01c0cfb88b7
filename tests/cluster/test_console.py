"""The console: the same events as lines, as JSON, as a board, and as a table on a real pseudo-terminal."""

import fcntl
import io
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.console import console_for
from cluster.console.board import Board
from cluster.console.lines import Lines, figures, headline, one_line
from cluster.console.ndjson import JsonLines
from cluster.console.quantities import clock, duration, quantity
from cluster.console.records import from_record
from cluster.events import Draining, Event, SweepStarted, TrialProgress, to_record
from tests.cluster.scene import AFTER, BEFORE, SCENE, A, B, C
from tests.cluster.screen import Screen

STARTED = (
    "sweep small: 10 planned; 2 done earlier; 7 to run on node-1, node-2, node-3, about 3 min 20 s; "
    "1 failed for good earlier (--retry-failed tries them again); 3 rows that are not in this plan "
    "moved to superseded/; results in results/small"
)
COMMITTED = (
    "done aaaaaaaa weights=tiny batch_size=4 repetition 1: 12.3 ms/image, 1.25 J/image estimated, AP 0.531; "
    "6 left, 1 min 05 s to go"
)
FAILED = (
    "failed bbbbbbbb weights=wide batch_size=4 repetition 1: TrialCrash in inference on node-2: "
    "died of [31msignal 9 [0m (given up; log: results/small/logs/b.2.log)"
)
DOUBTFUL = (
    "done cccccccc weights=[bold]odd[/bold] repetition 2: doubtful (foreign: 2 cores) "
    "(a duplicate: the trial had a row already); 2 left"
)
CONTROLLED = (
    "control done on node-1: 5.21 kJ in 1 min 01 s, "
    "0.4% above the median 5192 J of 4 earlier controls of this node (band 3%); 3 min 10 s to go"
)
DRAINED = (
    "drain Ctrl-C: no further trial starts, no control at the end, the running one is finished; "
    "Ctrl-C again stops at once"
)
OUTSIDE = "5470 J, 4.9% above the median 5213 J of 4 earlier controls of this node (band 3%)"
SENTENCES = [
    STARTED,
    "control starts on node-1 before the first trial",
    CONTROLLED,
    "start aaaaaaaa weights=tiny batch_size=4 repetition 1 on node-1",
    "start bbbbbbbb weights=wide batch_size=4 repetition 1 on node-2, attempt 2",
    COMMITTED,
    "start cccccccc weights=[bold]odd[/bold] repetition 2 on node-1",
    "control starts on node-3 after repetition 1",
    FAILED,
    f"control doubtful on node-3: {OUTSIDE}; 1 min 00 s to go",
    "quarantine node-3: no further trial there, 2 trials go to other nodes (2 left): " + OUTSIDE + ". Look at the node",
    "control starts on node-2 at the end",
    "enough weights=tiny batch_size=4: known well enough after 4 repetitions, 2 not needed",
    DRAINED,
    DOUBTFUL,
    "end small: 3 of 10 done, 2 failed, 2 not needed, 3 remain after 1 min 15 s: Ctrl-C",
]
NOON = datetime(2026, 1, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))
ROOT = Path(__file__).parents[2]


def lines_of(events: tuple[Event, ...]) -> list[str]:
    stream = io.StringIO()
    with Lines(stream, now=lambda: NOON) as console:
        for event in events:
            console(event)
    return stream.getvalue().splitlines()


class TestLines:
    def test_the_words(self) -> None:
        assert [line.removeprefix("2026-01-01T12:00:00Z ") for line in lines_of(SCENE)] == SENTENCES

    def test_one_line_an_event_but_for_progress(self) -> None:
        shown = [event for event in SCENE if not isinstance(event, TrialProgress)]
        assert len(lines_of(SCENE)) == len(shown)

    @given(st.text())
    def test_no_text_breaks_a_line(self, text: str) -> None:
        assert all(each.isprintable() for each in one_line(text))
        assert headline(text) in one_line(text) or "  " in text

    def test_nothing_to_do_is_said(self) -> None:
        (first,) = lines_of((started(planned=4, committed=4, to_run=0),))
        assert first.endswith("4 planned; 4 done earlier; 0 to run: nothing to do; results in results/small")


class TestRecords:
    def test_every_event_is_one_json_object(self) -> None:
        stream = io.StringIO()
        with JsonLines(stream, now=lambda: NOON) as console:
            for event in SCENE:
                console(event)
        records = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert len(records) == len(SCENE)
        assert {each["at"] for each in records} == {"2026-01-01T12:00:00.000+00:00"}

    def test_every_kind_comes_back(self) -> None:
        assert {type(event) for event in SCENE} == set(get_args(Event))
        for event in SCENE:
            record = json.loads(json.dumps(to_record(event, "now")))
            back = from_record(record)
            assert back is not None
            assert to_record(back, "now") == {
                **record,
                **{k: v for k, v in to_record(back, "now").items() if k == "nodes"},
            }

    def test_what_was_written_before_a_field_was_added_comes_back(self) -> None:
        assert from_record({"event": "draining", "at": "now", "reason": "Ctrl-C"}) == Draining(reason="Ctrl-C")

    @pytest.mark.parametrize("record", [{}, {"event": "of-the-future"}, {"event": "draining"}])
    def test_what_another_version_wrote_is_left_out(self, record: Mapping[str, str]) -> None:
        assert from_record(dict(record)) is None


def started(**changes: int) -> SweepStarted:
    numbers = {"planned": 10, "committed": 2, "to_run": 7, "failed": 0, "superseded": 0, "restored": 0, **changes}
    return SweepStarted(
        sweep="small", session_id="s", spec_hash="0", nodes=("n",), forecast_s=100.0, folder="results/small", **numbers
    )


class TestBoard:
    def test_before_and_after(self) -> None:
        board = Board()
        for second, event in enumerate(BEFORE):
            board.apply(event, float(second))
        assert (board.done, board.failed, board.stopped, board.settled) == (3, 1, 0, 4)
        first, second_node = board.running["node-1"], board.running["node-2"]
        assert first is not None
        assert second_node is not None
        assert (first.trial_id, first.phase, first.fraction, first.since_s) == (C, "inference", 0.5, 8.0)
        assert (second_node.trial_id, second_node.attempt) == (B, 2)
        assert board.eta_s(10.0) == 65.0 - (10.0 - 7.0)
        third = board.running["node-3"]
        assert third is not None
        assert (third.label, third.phase, third.since_s) == ("control workload", "warmup", 9.0)
        for event in AFTER:
            board.apply(event, 20.0)
        assert (board.done, board.failed, board.stopped) == (3, 2, 2)
        assert board.running == {}
        assert board.quarantined == {"node-3"}

    def test_progress_of_a_trial_that_ended_changes_nothing(self) -> None:
        board = Board()
        for event in (*BEFORE, TrialProgress(trial_id=A, node="node-1", phase="late", fraction=1.0)):
            board.apply(event, 0.0)
        running = board.running["node-1"]
        assert running is not None
        assert running.phase == "inference"

    @given(st.lists(st.sampled_from(SCENE[1:])), st.floats(0, 1e6))
    def test_no_sequence_breaks_it(self, events: list[Event], now_s: float) -> None:
        board = Board()
        board.apply(SCENE[0], 0.0)
        for event in events:
            board.apply(event, now_s)
        assert 0 <= board.settled <= board.planned
        eta_s = board.eta_s(now_s)
        assert eta_s is None or eta_s >= 0


class TestQuantities:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (None, "-"),
            (-1, "0 s"),
            (0.4, "0 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (200, "3 min 20 s"),
            (3600, "1 h 00 min"),
            (90_000, "1 d 01 h"),
        ],
    )
    def test_duration(self, seconds: float | None, text: str) -> None:
        assert duration(seconds) == text

    @pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75.9, "1:15"), (3723, "1:02:03")])
    def test_clock(self, seconds: float, text: str) -> None:
        assert clock(seconds) == text

    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [
            (0.0123, "s/image", "12.3 ms/image"),
            (1.5e6, "J", "1.50 MJ"),
            (0.5312, "1", "0.531"),
            (0.0, "J", "0 J"),
            (None, "J", "-"),
            (float("nan"), "J", "-"),
        ],
    )
    def test_quantity(self, value: float | None, unit: str, text: str) -> None:
        assert quantity(value, unit) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestChoice:
    def test_json_wins(self) -> None:
        assert isinstance(console_for(json=True, stdout=Terminal(), stderr=Terminal()), JsonLines)

    def test_lines_in_a_pipe_and_on_a_terminal_that_cannot_redraw(self) -> None:
        pipe = io.StringIO()
        assert isinstance(console_for(json=False, stdout=pipe, stderr=pipe), Lines)
        dumb = console_for(json=False, stdout=pipe, stderr=Terminal(), environment={"TERM": "dumb"})
        assert isinstance(dumb, Lines)


@contextmanager
def on_terminal(width: int, **environment: str) -> Iterator["Show"]:
    """The scene as a program of its own whose standard error is a pseudo-terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.scene"],
        cwd=ROOT,
        env={**clean, "TERM": "xterm-256color", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Show(process, ours, width)
    finally:
        process.communicate()
        os.close(ours)
    assert process.returncode == 0


class Show:
    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int, width: int) -> None:
        self.process = process
        self._terminal = terminal
        self._width = width
        self._seen = b""

    def until(self, text: str) -> Screen:
        """Read until a line of the screen has the text, and what is drawn with it."""
        while not any(text in line for line in self.screen().lines):
            assert self._more(), f"the program ended without showing {text!r}:\n" + "\n".join(self.screen().lines)
        while select.select([self._terminal], [], [], 0.3)[0] and self._more():
            pass
        return self.screen()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def to_the_end(self) -> Screen:
        while self._more():
            pass
        return self.screen()

    def screen(self) -> Screen:
        return Screen(self._width).feed(self._seen)

    def _more(self) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], 60)
        try:
            piece = os.read(self._terminal, 65536) if ready else b""
        except OSError:  # Linux: the other end was closed
            piece = b""
        self._seen += piece
        return bool(piece)


class TestLive:
    def test_the_table_while_it_runs_and_what_is_left_of_it(self) -> None:
        with on_terminal(100) as show:
            during = show.until("batch 3 of 6").lines
            assert during[-4].split()[:3] == ["node-1", "weights=[bold]odd[/bold]", "2"]
            assert during[-3].startswith("node-2  weights=wide batch_size=4 (attempt 2)")
            assert during[-2].split()[:4] == ["node-3", "control", "workload", "warmup"]
            assert "3 of 10 done · 1 failed · 1 min" in during[-1]
            assert sum(line.startswith("node  ") for line in during) == 1, "one table"
            assert any(line.startswith("done aaaaaaaa") for line in during[:-5])
            show.go_on()
            end = show.to_the_end()
        text = "".join(end.lines)
        assert [line.split()[0] for line in end.lines if line.split()[0] in WORDS] == WORDS
        assert "phase" not in text, "the table is taken away"
        assert "[31msignal 9" in text, "a trial's escape sequences do nothing"
        assert end.colours
        assert end.moves

    def test_no_color_is_honoured(self) -> None:
        with on_terminal(100, NO_COLOR="1") as show:
            during = show.until("batch 3 of 6")
            show.go_on()
            assert (during.colours, show.to_the_end().colours) == (0, 0)

    def test_a_narrow_terminal_has_no_bars_and_no_overflow(self) -> None:
        with on_terminal(50) as show:
            during = show.until("inference").lines
            assert during[-4].startswith("node-1  ")
            assert "━" not in during[-4]
            show.go_on()

    def test_a_terminal_that_cannot_redraw_gets_lines(self) -> None:
        with on_terminal(400, TERM="dumb") as show:
            show.go_on()
            end = show.to_the_end()
        assert end.moves == end.colours == 0
        assert [line.partition(" ")[2] for line in end.lines] == [line.partition(" ")[2] for line in lines_of(SCENE)]


WORDS = ["sweep", "control", "done", "failed", "control", "quarantine", "enough", "drain", "done", "end"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"work_unit": "megabyte", "time_per_work_unit_s": 0.0284}, "28.4 ms/megabyte"),
        ({"work_unit": "run", "energy_estimated_per_work_unit_j": 5.0}, "5.00 J/run estimated"),
        ({"work_unit": None, "energy_per_work_unit_j": 5.0}, "5.00 J/unit"),
        ({"time_per_image_s": 0.002, "work_unit": "image", "time_per_work_unit_s": 0.002}, "2.00 ms/image"),
    ],
)
def test_figures_have_the_unit_that_the_file_names(row: dict[str, object], text: str) -> None:
    assert figures(row) == text


def test_time_is_utc() -> None:
    (line,) = lines_of((started(),))
    assert line.startswith(NOON.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
