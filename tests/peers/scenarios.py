"""What happens to a fake machine while meters measure it, and what each of them then ought to say.

The ordinary cases of a server's life: a counter that wraps, a platform counter beside the packages, a second
interface to the same counter, dies, sockets in another order, a file that vanishes, a file that one may not read.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.sipa.energy.powercap_tree import Layout, PowercapTree

STEPS = 10
STEP_S = 0.6
"""Slow enough for the power that the machine declares as its limit."""

USUAL: Mapping[str, float] = {"pkg0": 1650, "pkg1": 1500, "dram0": 200, "dram1": 180}


def nothing(tree: PowercapTree) -> None:
    """Nothing happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A machine and one window.

    Attributes:
        name: for the table.
        joules: what each counter draws in the window: the truth.
        layout: which zones there are.
        left_j: energy that a counter has left before it wraps, when the meters are opened.
        before_j: what is drawn just before the window.
        settle_s: how long nothing happens before the window ends.
        at_end: what happens just before it ends.
        nobody: the files are 0400 and the meters run as the user nobody.
        all_dram: CodeCarbon is told to include DRAM.
    """

    name: str
    joules: Mapping[str, float] = field(default_factory=lambda: USUAL)
    layout: Layout = Layout.XEON_6240R
    left_j: Mapping[str, float] = field(default_factory=dict)
    before_j: Mapping[str, float] = field(default_factory=dict)
    settle_s: float = 0.0
    at_end: Callable[[PowercapTree], None] = nothing
    nobody: bool = False
    all_dram: bool = False

    @property
    def tools(self) -> tuple[str, ...]:
        """The meters that take part."""
        if self.all_dram:
            return ("codecarbon-dram", "ours")
        return ("zeus", "codecarbon", "pyjoules", "ours")

    def build(self, folder: Path) -> PowercapTree:
        """The machine before anything is opened."""
        tree = PowercapTree(folder, layout=self.layout)
        link_subsystem(folder)
        _name_processor(folder)
        for domain, joules in self.left_j.items():
            tree.wraps_after(domain, joules)
        if self.nobody:
            for domain in tree.ids:
                tree.path(domain).chmod(0o400)
        return tree

    def draw(self, tree: PowercapTree) -> None:
        """The window's energy, in steps."""
        for _ in range(STEPS):
            time.sleep(STEP_S)
            for domain, joules in self.joules.items():
                tree.advance(domain, joules / STEPS)
        time.sleep(self.settle_s)
        self.at_end(tree)

    def truth_j(self, kind: str) -> dict[str, float]:
        """Energy of packages (`package`) or of memory (`dram`) by socket."""
        prefix = {"package": "pkg", "dram": "dram"}[kind]
        truth: dict[str, float] = {}
        for domain, joules in self.joules.items():
            if domain.startswith(prefix):
                socket = domain.removeprefix(prefix)[0]
                truth[socket] = truth.get(socket, 0.0) + joules
        return truth


def link_subsystem(root: Path) -> None:
    """What a real sysfs has besides, and CodeCarbon looks for."""
    for folder in (root / "sys/devices/virtual/powercap").iterdir():
        (folder / "subsystem").symlink_to("../../../../class/powercap")


def _name_processor(root: Path) -> None:
    """This machine's processors under the name that goes with the counters: some meters look it up."""
    text = Path("/proc/cpuinfo").read_text()
    named = {"vendor_id": "GenuineIntel", "model name": "Intel(R) Xeon(R) Gold 6240R CPU @ 2.40GHz"}
    for key, value in named.items():
        text = re.sub(rf"^{key}\s*:.*$", f"{key}\t: {value}", text, flags=re.MULTILINE)
    (root / "proc/cpuinfo").write_text(text)


def _lose_socket_0(tree: PowercapTree) -> None:
    tree.path("pkg0").unlink()


PLAIN = Scenario(name="plain")
WRAP = Scenario(
    name="p0 and d1 wrap, window ends at once",
    # Not within the last 100 J, where Zeus would look more often.
    left_j={"pkg0": 1650 - 20, "dram1": 180 - 5},
)
SETTLED = Scenario(name="the same, 2.5 s later", left_j=WRAP.left_j, settle_s=2.5)
AFTER_WRAP = Scenario(
    name="window begins at once after p0 wraps",
    left_j={"pkg0": 150},
    before_j={"pkg0": 160},
    joules={"pkg0": 495, "pkg1": 450, "dram0": 60, "dram1": 54},
    settle_s=2.5,
)
PSYS = Scenario(name="psys beside the packages", layout=Layout.WITH_PSYS, joules={**USUAL, "psys": 4000})
MMIO = Scenario(name="mmio repeats package 0", layout=Layout.WITH_MMIO)
DIES = Scenario(
    name="package-0-die-N",
    layout=Layout.CASCADE_LAKE_AP,
    joules={
        "pkg0die0": 900,
        "pkg0die1": 750,
        "pkg1die0": 800,
        "pkg1die1": 700,
        "dram0die0": 110,
        "dram0die1": 90,
        "dram1die0": 100,
        "dram1die1": 80,
    },
)
SWAPPED = Scenario(name="zone 0 is package-1", layout=Layout.SWAPPED)
DRAM = Scenario(name="DRAM asked for (rapl_include_dram)", all_dram=True)
VANISHED = Scenario(name="p0's file vanishes before the end", at_end=_lose_socket_0)
DENIED = Scenario(name="files 0400, user nobody", nobody=True)

SCENARIOS = (PLAIN, WRAP, SETTLED, AFTER_WRAP, PSYS, MMIO, DIES, SWAPPED, DRAM, VANISHED, DENIED)
