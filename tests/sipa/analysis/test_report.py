import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sipa.analysis.charts import WITHHELD_ESTIMATE, WITHHELD_NO_ENERGY
from sipa.analysis.facts import read_facts
from sipa.analysis.report import write_report
from sipa.analysis.stats import summarize
from sipa.analysis.threats import drift, threats
from sipa.errors import ResultsError
from sipa.results.layout import SweepFolder
from sipa.trial import digest
from tests.sipa.analysis.rows import ENVIRONMENT, Sweep, command, detection, failure

NOW = datetime(2025, 3, 2, 12, 0, tzinfo=UTC)
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Text, tags and addresses of a page; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.addresses += [value or "" for key, value in attrs if key in {"href", "src", "xlink:href"}]
        self.ids += [named["id"] or ""] if "id" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(sweep: Sweep, folder: Path) -> str:
    return write_report(sweep.write(folder), now=NOW).read_text(encoding="utf-8")


def test_the_report_stands_in_the_folder_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    folder = detection().write(tmp_path / "quickstart")
    before = sorted(path.name for path in folder.iterdir())
    assert write_report(folder, now=NOW) == SweepFolder(folder).report
    assert sorted(path.name for path in folder.iterdir()) == sorted([*before, "report.html"])
    first = SweepFolder(folder).report.read_bytes()
    write_report(folder, now=NOW)
    assert SweepFolder(folder).report.read_bytes() == first
    elsewhere = write_report(folder, tmp_path / "new" / "page.html", now=NOW)
    assert elsewhere.read_bytes() == first
    assert write_report(folder, tmp_path / "new", now=NOW) == tmp_path / "new" / "report.html"


@pytest.mark.parametrize(
    "sweep", [detection(), detection(source="model"), detection(source="none", repetitions=1), command()]
)
def test_every_report_is_whole_offline_and_without_scripts(tmp_path: Path, sweep: Sweep) -> None:
    html = report(sweep, tmp_path / "s")
    page = Page(html)
    assert {"h1", "h2", "table", "svg", "figure", "pre"} <= set(page.tags)
    assert not {"script", "iframe", "img", "link", "object"} & set(page.tags)
    assert all(address.startswith("#") for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert {address.removeprefix("#") for address in page.addresses} <= set(page.ids)
    assert not re.search(r"url\((?!#)|@import", html)
    for heading in ("Results", "Figures", "Threats to validity", "What was asked", "The machine", "How to cite"):
        assert heading in page.text


def test_an_estimate_is_named_everywhere_and_supports_no_conclusion(tmp_path: Path) -> None:
    text = Page(report(detection(source="model"), tmp_path / "s")).text
    assert "Energy in this report is an estimate of the model meter" in text
    assert WITHHELD_ESTIMATE in text
    assert "estimated energy (model meter) (J/image)" in text
    assert "ESTIMATED by the model meter: declared watts and CPU utilisation, no counter (model in 36 rows)" in text
    assert "60 to 165 W" in text


def test_no_energy_is_said(tmp_path: Path) -> None:
    text = Page(report(detection(source="none"), tmp_path / "s")).text
    assert WITHHELD_NO_ENERGY in text
    assert "not measured and not estimated" in text
    assert "carry no conclusion about energy" in text


def test_a_partial_sweep_says_how_much_is_there_and_what_failed(tmp_path: Path) -> None:
    sweep = detection()
    gone = sweep.rows.pop(4)
    sweep.planned = [row["trial_id"] for row in [*sweep.rows, gone]]
    sweep.failures = [failure(gone["trial_id"]), failure(sweep.rows[0]["trial_id"], message="flaky")]
    text = Page(report(sweep, tmp_path / "s")).text
    assert "35 of 36" in text
    assert "Partial: 1 of 36 planned trials have no row, 1 of them failed." in text
    assert "killed by signal 9" in text
    assert "a later attempt gave a row" in text


def test_flags_and_doubtful_rows_are_listed_with_their_reasons(tmp_path: Path) -> None:
    sweep = detection()
    sweep.rows[0].update(valid=False, flags=["energy implausible: package-0: negative"])
    sweep.rows[1].update(flags=["foreign CPU: other processes used 0.4 cores"], foreign_cores=0.4)
    text = Page(report(sweep, tmp_path / "s")).text
    assert "energy implausible: package-0: negative" in text
    assert "In 1 rows other processes used CPU time during the window, up to 0.4 cores." in text
    assert "1 of 36 rows are not valid" in text


def test_what_is_untrusted_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    sweep = detection(weights={evil: (0.5, 0.01), "b": (0.6, 0.02)})
    sweep.spec = sweep.spec.replace("digits-nano", evil)
    sweep.environment = {**ENVIRONMENT, evil: evil}
    sweep.failures = [failure(sweep.rows[0]["trial_id"], message=evil)]
    for row in sweep.rows:
        row.update(sweep=evil, node=evil, cpu_model=evil, work_unit=evil, flags=[f"{evil}: {evil}"])
    html = report(sweep, tmp_path / "s <script>")
    assert "<script" not in html
    assert "script" not in Page(html).tags
    assert html.count("&lt;script&gt;") > 10


def test_damaged_files_are_named_and_left_out(tmp_path: Path) -> None:
    folder = SweepFolder(detection().write(tmp_path / "s"))
    folder.plan.write_bytes(b"no parquet")
    (folder.failures / "a.1.json").write_text("{")
    (folder.specs / "bad.toml").write_text("= 1")
    next(folder.environments.glob("*.json")).write_text("[]")
    page = Page(write_report(folder.path, now=NOW).read_text(encoding="utf-8"))
    for name in ("plan.parquet", "failures/a.1.json", "spec/bad.toml", "not a JSON object"):
        assert name in page.text


def test_a_folder_of_rows_alone_is_enough(tmp_path: Path) -> None:
    folder = SweepFolder(command().write(tmp_path / "s"))
    for path in (folder.specs, folder.failures, folder.environments, folder.phases):
        shutil.rmtree(path)
    folder.plan.unlink()
    text = Page(write_report(folder.path, now=NOW).read_text(encoding="utf-8")).text
    assert "The folder has no sweep file" in text
    assert "The folder has no fingerprint of the machine" in text


def test_superseded_rows_are_counted_and_not_shown(tmp_path: Path) -> None:
    folder = SweepFolder(detection().write(tmp_path / "s"))
    folder.superseded.mkdir()
    row = next(folder.trials.glob("*.parquet"))
    row.rename(folder.superseded / row.name)
    text = Page(write_report(folder.path, now=NOW).read_text(encoding="utf-8")).text
    assert "1 superseded rows" in text
    assert "35 of 36" in text


def test_what_is_no_results_folder_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no such results folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="no folder trials/"):
        write_report(tmp_path)
    (tmp_path / "trials").mkdir()
    with pytest.raises(ResultsError, match=r"no rows there yet\. Run the sweep first"):
        write_report(tmp_path)
    (tmp_path / "trials" / "x.parquet").write_bytes(b"PAR?")
    with pytest.raises(ResultsError, match="no readable row"):
        write_report(tmp_path)


def test_a_place_that_cannot_be_written_is_refused_with_the_cure(tmp_path: Path) -> None:
    folder = detection(repetitions=1).write(tmp_path / "s")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="Choose another place with --out"):
        write_report(folder, tmp_path / "file" / "report.html")


def test_an_earlier_report_stays_whole_until_the_new_one_is(tmp_path: Path) -> None:
    folder = detection(repetitions=1).write(tmp_path / "s")
    target = write_report(folder, now=NOW)
    before = target.stat().st_ino
    with target.open() as reader:
        write_report(folder, now=NOW)
        assert reader.read().endswith("</html>")
    assert target.stat().st_ino != before


def found_threats(sweep: Sweep, folder: Path) -> set[str]:
    facts = read_facts(sweep.write(folder))
    return {threat.what for threat in threats(facts, summarize(facts.trials, levels=facts.levels))}


def test_threats_are_those_of_these_rows(tmp_path: Path) -> None:
    quiet = found_threats(detection(repetitions=5), tmp_path / "quiet")
    assert "A single node" in quiet
    assert not {"A virtual machine", "Energy is estimated", "Drift"} & quiet
    assert not any(what.startswith("Few repetitions") for what in quiet)

    sweep = detection(source="model", repetitions=2)
    sweep.environment = {**ENVIRONMENT, "hypervisor": True}
    sweep.spec = sweep.spec.replace("randomised-blocks", "as-listed")
    for row in sweep.rows[:9]:
        row.update(session_id="session-2", node_uid="another", node="node-2", environment_id=digest("another"))
    for row in sweep.rows:
        row.update(window_s=0.4, throttle_events=1, flags=["warm-up: still warming"])
    sweep.rows[0]["flags"] = ["power limit: hit 3 times", "cross-check: pkg0 differs"]
    assert {
        "Energy is estimated",
        "Few repetitions (n = 2)",
        "A virtual machine",
        "2 environments in one mean",
        "Order not randomised",
        "2 sessions",
        "Throttling in 24 rows",
        "Measured before the machine was steady (23 rows)",
        "At the power limit (1 row)",
        "Meters disagree (1 row)",
        "Short windows (from 0.4 s)",
    } <= found_threats(sweep, tmp_path / "loud")


def test_drift_is_found_where_there_is_one_and_needs_enough_rows(tmp_path: Path) -> None:
    sweep = detection(repetitions=5)
    for row in sweep.rows:
        row["time_per_work_unit_s"] *= 1 + 0.01 * row["position"]
    facts = read_facts(sweep.write(tmp_path / "s"))
    found = drift(facts.trials)
    assert found is not None
    assert found.correlation > 0.8
    assert found.p_value < 0.001
    assert drift(facts.trials.head(5)) is None
    assert drift(facts.trials[facts.trials["repetition"] == 1]) is None
