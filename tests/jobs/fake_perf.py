"""A `perf` for fake trees: counts what the tree's powercap counters advance by, and prints as perf 6.1 does.

Like perf with `-I` it forgets the exit code of what it ran.
"""

import sys
from pathlib import Path

_SCRIPT = """\
#!{python} -IS
import subprocess, sys, time
from pathlib import Path

ROOT = Path({root!r})

def counters():
    found = {{"pkg": {{}}, "ram": {{}}}}
    for zone in sorted({{each.resolve() for each in (ROOT / "sys/class/powercap").glob("intel-rapl:*")}}):
        kind = {{"pac": "pkg", "dra": "ram"}}.get((zone / "name").read_text()[:3])
        if kind:
            found[kind][zone] = int((zone / "energy_uj").read_text())
    return found

def joules(kind, begin, end):
    turns = {{zone: int((zone / "max_energy_range_uj").read_text()) for zone in end[kind]}}
    return sum((value - begin[kind][zone]) % turns[zone] for zone, value in end[kind].items()) / 1e6

arguments = sys.argv[1:]
options = arguments[: arguments.index("--")]
events = options[options.index("-e") + 1].split(",")
interval_s = int(options[options.index("-I") + 1]) / 1000
with open(options[options.index("-o") + 1], "w") as output:
    print("# started on Fri Nov 20 12:00:00 2026\\n", file=output)
    started, before = time.monotonic(), counters()
    child = subprocess.Popen(arguments[len(options) + 1 :], close_fds=False)
    ended = False
    while not ended:
        try:
            child.wait(interval_s)
            ended = True
        except subprocess.TimeoutExpired:
            pass
        now, elapsed = counters(), time.monotonic() - started
        for event in events:
            value = joules(event[-4:-1], before, now)
            print(f"{{elapsed:15.9f}},{{value:.2f}},Joules,{{event}},{{elapsed * 1e9:.0f}},100.00,,", file=output)
        output.flush()
        before = now
"""


def fake_perf(root: Path, *, dram: bool = True) -> Path:
    """Put a perf and an energy PMU below `root`, where a powercap tree is.

    Args:
        root: of the tree.
        dram: whether the PMU has energy-ram.
    """
    events = root / "sys/bus/event_source/devices/power/events"
    events.mkdir(parents=True, exist_ok=True)
    for name in ("energy-pkg", *(["energy-ram"] if dram else [])):
        (events / name).write_text("event=0x02\n")
    program = root / "usr/bin/perf"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(_SCRIPT.format(python=sys.executable, root=str(root)))
    program.chmod(0o755)
    return program
