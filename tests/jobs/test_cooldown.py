"""A trial waits for a cool node: as long as needed, never longer than allowed, not at all where nothing is known."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cooldown import LEAST_S, POLL_S, SETTLED_S, CoolDown, Verdict, cool_down, has_settled, judge
from tests.jobs.orders import measurement

CELSIUS = st.floats(0, 110)


class Node:
    """A node whose temperature follows a curve, and a clock that only waiting moves."""

    def __init__(self, curve: Callable[[float], float | None]) -> None:
        self.now_s = 1000.0
        self.said: list[tuple[str, float | None, str]] = []
        self.aborted = False
        self._curve = curve

    def wait(self, *, coolest_c: float | None, timeout_s: float = 300.0, within_c: float = 3.0) -> CoolDown:
        return cool_down(
            lambda: self._curve(self.now_s - 1000.0),
            coolest_c,
            measurement(cooldown_timeout_s=timeout_s, cooldown_within_c=within_c),
            abort=lambda: self.aborted,
            report=lambda *words: self.said.append(words),
            clock=lambda: self.now_s,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        assert LEAST_S <= seconds <= POLL_S
        self.now_s += seconds


def cooling(seconds_s: float) -> float:
    """Newton's: from 80 °C towards 40 °C."""
    return 40.0 + 40.0 * 2.0 ** (-seconds_s / 10.0)


def test_it_waits_until_the_node_is_as_cool_as_when_idle() -> None:
    node = Node(cooling)
    found = node.wait(coolest_c=42.0)
    assert found.waited_s == pytest.approx(30, abs=1)
    assert found.temperature_c is not None
    assert found.temperature_c <= 45.0 == found.limit_c
    assert not found.timed_out
    assert node.said[0] == ("cool-down", 0.0, "80 °C, until 45 °C")
    assert all(fraction is not None and 0 <= fraction <= 1 for _, fraction, _ in node.said)


def test_a_cool_node_waits_for_nothing_and_says_nothing() -> None:
    node = Node(lambda _: 43.0)
    assert node.wait(coolest_c=42.0) == CoolDown(waited_s=0.0, temperature_c=43.0, limit_c=45.0)
    assert node.said == []


def test_a_node_that_stays_warm_times_out() -> None:
    found = Node(lambda _: 70.0).wait(coolest_c=42.0, timeout_s=20.5)
    assert found == CoolDown(waited_s=pytest.approx(20.5), temperature_c=70.0, limit_c=45.0, timed_out=True)


def test_a_node_that_stops_cooling_is_as_cool_as_it_gets() -> None:
    found = Node(lambda at_s: 52.0 + round(28.0 * 2.0 ** (-at_s / 10.0))).wait(coolest_c=42.0)
    assert found.settled
    assert not found.timed_out
    assert found.waited_s is not None
    assert SETTLED_S <= found.waited_s < 2 * SETTLED_S + 60


def test_a_node_that_still_cools_has_not_settled() -> None:
    assert not has_settled([(float(at_s), 80.0 - at_s * 0.1) for at_s in range(100)])
    assert not has_settled([(float(at_s), 50.0) for at_s in range(50)])
    assert not has_settled([])


@pytest.mark.parametrize(("temperature_c", "coolest_c"), [(None, 42.0), (70.0, None), (None, None)])
def test_where_nothing_is_known_nothing_is_waited_for(temperature_c: float | None, coolest_c: float | None) -> None:
    node = Node(lambda _: temperature_c)
    assert node.wait(coolest_c=coolest_c).waited_s is None
    assert node.now_s == 1000.0


def test_a_time_out_of_0_does_not_look() -> None:
    def never(_: float) -> float:
        raise AssertionError

    assert Node(never).wait(coolest_c=42.0, timeout_s=0.0).waited_s is None


def test_an_abort_ends_the_wait_and_is_no_time_out() -> None:
    node = Node(lambda _: 70.0)
    node.aborted = True
    assert node.wait(coolest_c=42.0) == CoolDown(waited_s=0.0, temperature_c=70.0, limit_c=45.0)


def test_a_sensor_that_fails_meanwhile_ends_the_wait() -> None:
    found = Node(lambda at_s: 70.0 if at_s < 5 else None).wait(coolest_c=42.0)
    assert found.waited_s is None


@given(CELSIUS | st.none(), CELSIUS | st.none(), st.floats(0, 600), st.floats(0, 600))
def test_every_look_has_one_verdict(
    temperature_c: float | None, limit_c: float | None, waited_s: float, timeout_s: float
) -> None:
    verdict = judge(temperature_c, limit_c, waited_s, timeout_s)
    if temperature_c is None or limit_c is None:
        assert verdict is Verdict.UNKNOWN
    elif temperature_c <= limit_c:
        assert verdict is Verdict.COOL
    else:
        assert verdict is (Verdict.WARM if waited_s < timeout_s else Verdict.TIMED_OUT)


@given(st.floats(0, 100), st.floats(0.1, 100), st.floats(1, 120))
def test_it_never_waits_longer_than_allowed(coolest_c: float, within_c: float, timeout_s: float) -> None:
    node = Node(cooling)
    found = node.wait(coolest_c=coolest_c, within_c=within_c, timeout_s=timeout_s)
    assert found.waited_s is not None
    assert found.waited_s <= timeout_s + 2 * LEAST_S
    warm = found.temperature_c is not None and found.temperature_c > coolest_c + within_c
    assert (found.timed_out or found.settled) == warm
    assert not (found.timed_out and found.settled)
