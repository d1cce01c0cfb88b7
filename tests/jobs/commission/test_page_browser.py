"""The page in a browser: whole, and without a network."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.commission import page
from jobs.commission.commissioning import commission
from jobs.commission.repeatability import repeated
from tests.jobs.commission.simulated import SimulatedNode
from tests.jobs.commission.test_commissioning import LENGTHS, request
from tests.jobs.commission.values import control
from tests.sipa.analysis.test_report_browser import CHROMIUM, opened

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"),
]


def test_a_browser_shows_the_whole_page_without_a_network(tmp_path: Path) -> None:
    node = SimulatedNode(tmp_path / "tree", noise=0.003)
    for domain, energy_j in (("pkg0", 15_000), ("pkg1", 20_000)):
        node.tree.wraps_after(domain, energy_j)
    found = commission(request(node, replace(LENGTHS, idle_s=130)), lambda _: None, effects=node.effects())
    runs = [control(1000.0 + at, 60.0 + at / 10, at) for at in range(5)]
    target = tmp_path / "page.html"
    target.write_text(page.render(replace(found, repeated=repeated(runs)), "0123456789abcdef"), encoding="utf-8")
    dom, said = opened(target, tmp_path / "profile")
    assert "<title>Commissioning of node-7 (0123456789abcdef)</title>" in dom
    assert dom.count("<svg") == 6
    assert 'id="use"' in dom
    # A blocked style, a script that wants to run or an address that is not found would be said here.
    assert "CONSOLE" not in said
