import shutil
import subprocess
from pathlib import Path

import pytest

from sipa.analysis.report import write_report
from tests.sipa.analysis.rows import Sweep, command, detection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium"),
]


def opened(page: Path, profile: Path) -> tuple[str, str]:
    """The page's DOM as the browser sees it, and what the browser said; no name can be resolved."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("sweep", [detection(source="model"), command()], ids=["model", "command"])
def test_a_browser_shows_the_whole_report_without_a_network(tmp_path: Path, sweep: Sweep) -> None:
    dom, said = opened(write_report(sweep.write(tmp_path / "s")), tmp_path / "profile")
    assert f"<title>{sweep.name}: sweep report</title>" in dom
    assert dom.count("<svg") >= 4
    assert 'id="cite"' in dom
    assert "parsererror" not in dom
    # A blocked style, a script that wants to run or an address that is not found would be said here.
    assert "CONSOLE" not in said
    for address in ('href="http', 'src="http', "url(http", "@import"):
        assert address not in dom
