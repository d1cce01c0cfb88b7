"""Good sweep files to be spoilt, and a reader that gives the problems."""

from collections.abc import Callable

import pytest

from sipa.errors import SpecError
from sipa.spec import parse_spec

DETECTION = """\
schema = 1
name = "small"

[workload]
kind = "detection"
images = 100

[factors]
weights = ["a", "b"]
batch_size = [
    1,
    8,
]

[design]
repetitions = 2

[measurement]
meter = ["powercap", "model"]
idle_s = 1
min_window_s = 2

[measurement.model]
idle_w = 5
max_w = 20

[testbed]
kind = "local"
"""

COMMAND = """\
schema = 1
name = "small"

[workload]
kind = "command"
command = "run --model {weights} --bs {batch_size} --mode {mode} --size {size}"
size = 3
metrics = { score = "number" }
work = { unit = "image", key = "images" }
inputs = ["run", "{weights}.bin"]

[factors]
weights = ["a", "b"]
batch_size = [1, 8]
mode = ["fast", "slow"]

[design]
repetitions = 2
"""

CHAMELEON = """\
# the most that a file can say
schema = 1
name = "experiment1"
results.mirror = "user@host:path"

[workload]
kind = "detection"
dataset = "coco-val2017"
images = 500
image_size = 640
execution = "reference"

[factors]
weights = ["yolov7-tiny", "yolov7", "yolov7-x"]
batch_size = [10, 32]
threads = [1, 2]

[design]
repetitions = 5
order = "randomised-blocks"
seed = 20241207
points = "grid"
exclude = [
    { weights = "yolov7-x", batch_size = 32 },  # too slow
    { threads = 2, batch_size = 10 },
]
stop = { metric = "energy_per_image_j", half_width = 0.02, min_repetitions = 4 }

[[design.include]]
weights = "yolov7-w6"
batch_size = 1
threads = 4

[measurement]
meter = ["powercap", "perf"]
idle_s = 60
min_window_s = 10
warmup_max_s = 90
cooldown_within_c = 2.5
cooldown_timeout_s = 600
control_s = 30
max_foreign_cores = 0.05
gates = "refuse"
deadline_s = 3600
governor = "performance"
turbo = false
scope = "process"

[testbed]
kind = "chameleon"
site = "CHI@UC"
node_types = ["compute_cascadelake_r_ib", "compute_cascadelake_r"]
nodes = { min = 2, max = 5 }
head = "auto"
hours = 8
image = "CC-Ubuntu24.04"
key = "mykey"
network = "sharednet1"
max_su = 100

[limits]
max_failures = 3
retries = 2

[prices]
currency = "EUR"
electricity_per_kwh = 0.3
node_hour = 1.5
su_per_node_hour = 1
"""

STATIC = """\
schema = 1
name = "hosts"
workload = { kind = "command", command = "sleep {n}" }
factors.n = [1, 2, 3]
design.points = "random:2"
testbed.kind = "static"
testbed.hosts = ["node1", "node2.example.org"]
testbed.user = "me"
measurement.meter = []
"""

Spoil = Callable[..., list[str]]


def problems(text: str) -> list[str]:
    """What is wrong with a file called s.toml."""
    try:
        parse_spec(text, "s.toml")
    except SpecError as error:
        return list(error.problems)
    return []


def spoilt(base: str, *edits: str) -> list[str]:
    """The problems of a good file after edits, each "old -> new" ("-> new" appends, "old ->" deletes)."""
    for edit in edits:
        old, new = edit.split("->", 1)
        old, new = old.rstrip(" "), new.removeprefix(" ")
        assert old in base
        base = base.replace(old, new, 1) if old else base + new + "\n"
    return problems(base)


@pytest.fixture
def detection() -> Spoil:
    return lambda *edits: spoilt(DETECTION, *edits)


@pytest.fixture
def command() -> Spoil:
    return lambda *edits: spoilt(COMMAND, *edits)


@pytest.fixture
def broken() -> Callable[[str], list[str]]:
    return problems


@pytest.fixture
def good_files() -> dict[str, str]:
    return {"detection": DETECTION, "command": COMMAND, "chameleon": CHAMELEON, "static": STATIC}
