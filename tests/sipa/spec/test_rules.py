"""Every rule of the sweep file, by the problem that its breach gives."""

from collections.abc import Callable

import pytest

Spoil = Callable[..., list[str]]

READS = "sipa-cluster 0.1.0 reads schema = 1"
MISSING_WEIGHTS = (
    "workload.weights: missing (name in the catalogue of weights, or a path to a .safetensors file); "
    "give it one value in [workload] or a list of levels in [factors]"
)
LOCAL_NODES = (
    ": two workers on one machine would share its energy counters and disturb each other. "
    "For more machines: kind = 'static' with hosts = [...], or kind = 'chameleon'"
)
ONE_LINE = "must be a text of at least one character, all on one line"

DETECTION = [
    # the head
    ("schema = 1 ->", f"1: schema: missing: write schema = 1 above the first table ({READS})"),
    ('schema = 1 -> schema = "1"', f"1: schema: must be 1 (got '1'): {READS}"),
    ("schema = 1 -> schema = true", f"1: schema: must be 1 (got true): {READS}"),
    ("schema = 1 -> schema = 0", f"1: schema: must be 1 (got 0): {READS}"),
    (
        "schema = 1 -> schema = 2\nx = 3",
        (f"1: schema: must be 1 (got 2): {READS}; this file is of a newer version: pip install --upgrade sipa-cluster"),
    ),
    ('name = "small" ->', "1: name: missing (names the results folder and the lease)"),
    ('name = "small" -> name = 5', "2: name: must be a text in quotes (got 5)"),
    (
        '"small" -> "Small Sweep"',
        "2: name: must be 1 to 41 of the characters a-z 0-9 _ -, the first a letter or a digit (got 'Small Sweep')",
    ),
    ("-> [limit]", "29: limit: unknown key. Did you mean 'limits'?"),
    ("schema = 1 -> schema = 1\nseed = 4", "2: seed: unknown key here. It belongs in [design]"),
    ("[design] -> [[design]]", "15: design: must be one table: write [design], not [[design]]"),
    ("[factors] -> [[factors]]", "8: factors: must be one table: write [factors], not [[factors]]"),
    ("schema = 1 -> schema = 1\nlimits = 4", "2: limits: must be a table (got 4)"),
    ("schema = 1 -> schema = 1\ntestbed = 4", "2: testbed: must be a table (got 4)", '[testbed]\nkind = "local" ->'),
    # the kind of workload
    ('kind = "detection" ->', "4: workload.kind: missing: must be 'detection' or 'command'"),
    (
        '"detection" -> "detektion"',
        "5: workload.kind: must be 'detection' or 'command' (got 'detektion'). Did you mean 'detection'?",
    ),
    ('"detection" -> [1]', "5: workload.kind: must be 'detection' or 'command' (got a list)"),
    (
        '[workload]\nkind = "detection"\nimages = 100 ->',
        "1: workload: missing (the table that says what is measured: its kind and parameters)",
    ),
    # parameters
    ('weights = ["a", "b"] ->', f"4: {MISSING_WEIGHTS}"),
    (
        "images = 100 -> images = [1, 2]",
        "6: workload.images: must be one value; a list of levels belongs in [factors] as images = [...]",
    ),
    (
        'weights = ["a", "b"] -> weights = "a"',
        "9: factors.weights: must be a list of levels (got 'a'); one value belongs in [workload]",
    ),
    (
        "images = 100 -> batch_size = 1",
        "10: factors.batch_size: stands in [workload] too; keep one of the two (see line 6)",
    ),
    ('["a", "b"] -> []', "9: factors.weights: must have at least one level"),
    ('["a", "b"] -> ["a", ""]', "9: factors.weights[1]: must not be empty (got '')"),
    ('["a", "b"] -> ["a", 5]', "9: factors.weights[1]: must be a text in quotes (got 5)"),
    (
        r'["a", "b"] -> ["a", "\u0000"]',
        r"9: factors.weights[1]: must have no control characters such as line breaks (got '\x00')",
    ),
    ('["a", "b"] -> ["a", "b", "a"]', "9: factors.weights[2]: 'a' is a level already: [0]"),
    ("    1,\n ->     0,\n", "11: factors.batch_size[0]: must be greater than 0 (got 0)"),
    ("    8,\n ->     1.0,\n", "12: factors.batch_size[1]: 1 is a level already: [0]"),
    ("    8,\n ->     8.5,\n", "12: factors.batch_size[1]: must be an integer (got 8.5)"),
    ("    8,\n ->     true,\n", "12: factors.batch_size[1]: must be an integer (got true)"),
    ("    8,\n ->     nan,\n", "12: factors.batch_size[1]: must be a finite number (got nan)"),
    ("    8,\n ->     100001,\n", "12: factors.batch_size[1]: must be at most 100000 (got 100001)"),
    (
        "    8,\n ->     9007199254740993,\n",
        "12: factors.batch_size[1]: must lie within ±9007199254740992 (got 9007199254740993)",
    ),
    ("    8,\n ->     1e300,\n", "12: factors.batch_size[1]: must lie within ±9007199254740992 (got 1e+300)"),
    (
        f"    8,\n ->     0x{'f' * 5000},\n",
        "12: factors.batch_size[1]: must lie within ±9007199254740992 (got an integer of 20000 bits)",
    ),
    (
        "    8,\n ->     07:32:00,\n",
        "12: factors.batch_size[1]: must be an integer (got the date or time 07:32:00)",
    ),
    ("    8,\n ->     [8],\n", "12: factors.batch_size[1]: must be an integer (got a list)"),
    ("images = 100 -> image_size = 16", "6: workload.image_size: must be at least 32 (got 16)"),
    ("images = 100 -> image_size = 100", "6: workload.image_size: must be a multiple of 32 (got 100)"),
    ("images = 100 -> confidence = 1.5", "6: workload.confidence: must be at most 1 (got 1.5)"),
    ("images = 100 -> confidence = true", "6: workload.confidence: must be a number (got true)"),
    (
        'images = 100 -> execution = "optimized"',
        "6: workload.execution: must be 'reference' or 'optimised' (got 'optimized'). Did you mean 'optimised'?",
    ),
    ("images = 100 -> imagesize = 64", "6: workload.imagesize: unknown key. Did you mean 'image_size'?"),
    ('images = 100 -> command = "x"', "6: workload.command: unknown key: it belongs to kind = 'command'"),
    ("images = 100 -> repetitions = 3", "6: workload.repetitions: unknown key here. It belongs in [design]"),
    ('[factors] -> [factors]\nkind = ["a"]', "9: factors.kind: unknown key here. It belongs in [workload]"),
    # design
    ("repetitions = 2 -> repeat = 5", "16: design.repeat: unknown key. Did you mean 'repetitions'?"),
    ("repetitions = 2 -> repetitions = 0", "16: design.repetitions: must be greater than 0 (got 0)"),
    ("repetitions = 2 -> repetitions = 10001", "16: design.repetitions: must be at most 10000 (got 10001)"),
    ("repetitions = 2 -> repetitions = 2.5", "16: design.repetitions: must be an integer (got 2.5)"),
    ("repetitions = 2 -> seed = -1", "16: design.seed: must be at least 0 (got -1)"),
    (
        'repetitions = 2 -> order = "aslisted"',
        "16: design.order: must be 'randomised-blocks' or 'as-listed' (got 'aslisted'). Did you mean 'as-listed'?",
    ),
    (
        'repetitions = 2 -> points = "random:0"',
        "16: design.points: must be 'grid' or, for 40 random combinations, 'random:40' (got 'random:0')",
    ),
    ('repetitions = 2 -> points = "random:5"', "16: design.points: asks for 5 of 4 combinations"),
    (
        'repetitions = 2 -> points = "random:3"\nexclude = [{ weights = "a" }]',
        "16: design.points: asks for 3 of 2 combinations",
    ),
    (
        'repetitions = 2 -> include = [{ weights = "a" }]',
        "16: design.include[0]: must name every factor: batch_size is missing",
    ),
    ("repetitions = 2 -> include = [4]", "16: design.include[0]: must be a table (got 4)"),
    (
        'repetitions = 2 -> include = [{ weights = "c", batch_size = 0 }]',
        "16: design.include[0].batch_size: must be greater than 0 (got 0)",
    ),
    (
        'repetitions = 2 -> include = [{ weights = "a", batch_size = 8 }]',
        "16: design.include[0]: adds nothing: the combination is in the grid already",
    ),
    (
        'repetitions = 2 -> include = [\n{ weights = "c", batch_size = 8 },\n{ batch_size = 8.0, weights = "c" }]',
        "18: design.include[1]: says the same as include[0]",
    ),
    (
        'repetitions = 2 -> exclude = [{ weight = "a" }]',
        "16: design.exclude[0].weight: is not a factor. Did you mean 'weights'?",
    ),
    (
        "repetitions = 2 -> exclude = [{ batch_size = 2 }]",
        "16: design.exclude[0].batch_size: excludes nothing: 2 is not a level of factors.batch_size",
    ),
    (
        "repetitions = 2 -> exclude = [{ batch_size = true }]",
        "16: design.exclude[0].batch_size: excludes nothing: true is not a level of factors.batch_size",
    ),
    ("repetitions = 2 -> exclude = [{}]", "16: design.exclude[0]: must name a level of at least one factor"),
    (
        'repetitions = 2 -> exclude = [{ weights = "a" }, { weights = "b" }]',
        "16: design.exclude: leaves nothing to measure",
    ),
    (
        "    8,\n -> " + ", ".join(map(str, range(2, 3001))) + ",\n",
        (
            "16: design.repetitions: asks for too many trials: 6,000 combinations × 2,000 repetitions; "
            "at most 10,000,000 can be planned"
        ),
        "repetitions = 2 -> repetitions = 2000",
    ),
    # stop
    (
        'repetitions = 2 -> stop = { metric = "energy_per_image", half_width = 0.02, min_repetitions = 2 }',
        (
            "16: design.stop.metric: must be a numeric column of the results (got 'energy_per_image'). "
            "Did you mean 'energy_per_image_j'?"
        ),
    ),
    (
        'repetitions = 2 -> stop = { metric = "node", half_width = 0.02, min_repetitions = 2 }',
        "16: design.stop.metric: must be a numeric column of the results (got 'node')",
    ),
    (
        '[design] -> [design]\nstop = { metric = "map_50", half_width = 0.02, min_repetitions = 3 }',
        "16: design.stop.min_repetitions: must be at most repetitions = 2 (got 3)",
    ),
    (
        'repetitions = 2 -> stop = { metric = "map_50", half_width = 0.02, min_repetitions = 1 }',
        "16: design.stop.min_repetitions: must be at least 2 (got 1)",
    ),
    (
        'repetitions = 2 -> stop = { metric = "map_50", min_repetitions = 2 }',
        (
            "16: design.stop.half_width: missing "
            "(half width of the confidence interval relative to the mean, such as 0.02)"
        ),
    ),
    (
        'repetitions = 2 -> stop = { metric = "energy_total_j", half_width = 0.1, min_repetitions = 2 }',
        "16: design.stop.metric: energy_total_j is always null: meter names no counter ('powercap' or 'perf')",
        '["powercap", "model"] -> "model"',
    ),
    # measurement
    (
        '["powercap", "model"] -> ["powercp", "model"]',
        "19: measurement.meter[0]: must be 'powercap', 'perf' or 'model' (got 'powercp'). Did you mean 'powercap'?",
    ),
    (
        '["powercap", "model"] -> "perff"',
        "19: measurement.meter: must be 'powercap', 'perf' or 'model' (got 'perff'). Did you mean 'perf'?",
    ),
    (
        '["powercap", "model"] -> "none"',
        "19: measurement.meter: must be a list; for no energy at all write meter = [] (got 'none')",
    ),
    ('"model"] -> "model", "powercap"]', "19: measurement.meter[2]: 'powercap' is in the list already: [0]"),
    ('"powercap", "model" -> "powercap"', "23: measurement.model: is not used: meter does not name 'model'"),
    (
        "[measurement.model]\nidle_w = 5\nmax_w = 20 ->",
        (
            "18: measurement.model: missing: meter names 'model'; "
            "write [measurement.model] with idle_w and max_w, the watts of the idle and of the busy machine"
        ),
    ),
    ("max_w = 20 -> max_w = 4", "25: measurement.model.max_w: must be at least idle_w = 5 (got 4)"),
    ("idle_w = 5 -> idle_w = 0", "24: measurement.model.idle_w: must be greater than 0 (got 0)"),
    ("max_w = 20 ->", "23: measurement.model.max_w: missing (power of the machine with all CPUs busy, in watts)"),
    ("idle_s = 1 -> idle_s = inf", "20: measurement.idle_s: must be a finite number (got inf)"),
    ("idle_s = 1 -> idle_s = '1'", "20: measurement.idle_s: must be a number (got '1')"),
    ("idle_s = 1 -> idle_w = 1", "20: measurement.idle_w: unknown key here. It belongs in [measurement.model]"),
    (
        "idle_s = 1 -> deadline_s = 2",
        "20: measurement.deadline_s: must be greater than min_window_s = 2 (got 2): every trial would be killed",
    ),
    ("idle_s = 1 -> warmup_max_s = 0", "20: measurement.warmup_max_s: must be greater than 0 (got 0)"),
    ("idle_s = 1 -> cooldown_within_c = 0", "20: measurement.cooldown_within_c: must be greater than 0 (got 0)"),
    ("idle_s = 1 -> cooldown_timeout_s = -1", "20: measurement.cooldown_timeout_s: must be at least 0 (got -1)"),
    ("idle_s = 1 -> turbo = 1", "20: measurement.turbo: must be true or false (got 1)"),
    ("idle_s = 1 -> gates = 5", "20: measurement.gates: must be 'refuse' or 'flag' (got 5)"),
    # testbed
    (
        '"local" -> "lokal"',
        "28: testbed.kind: must be 'local', 'static' or 'chameleon' (got 'lokal'). Did you mean 'local'?",
    ),
    ('"local" -> "local"\nnodes = 2', f"29: testbed.nodes: must be 1 (got 2){LOCAL_NODES}"),
    ('"local" -> "local"\nnodes = { min = 2, max = 5 }', f"29: testbed.nodes: must be 1 (got a table){LOCAL_NODES}"),
    ('"local" -> "local"\nhours = 2', "29: testbed.hours: belongs to kind = 'chameleon'; the kind here is 'local'"),
    ('"local" -> "local"\nhosts = []', "29: testbed.hosts: belongs to kind = 'static'; the kind here is 'local'"),
    ('"local" -> "static"', "27: testbed.hosts: missing (the measuring nodes)"),
    ('"local" -> "static"\nhosts = []', "29: testbed.hosts: must name at least one"),
    ('"local" -> "static"\nhosts = ["a", "b", "a"]', "29: testbed.hosts[2]: is the same as [0] (got 'a')"),
    (
        '"local" -> "static"\nhosts = ["-oProxyCommand=x"]',
        "29: testbed.hosts[0]: must be a host as ssh takes it, such as 'node1.example.org' (got '-oProxyCommand=x')",
    ),
    ('"local" -> "chameleon"\nnodes = 0', "29: testbed.nodes: must be greater than 0 (got 0)"),
    ('"local" -> "chameleon"\nnodes = { min = 2 }', "29: testbed.nodes.max: missing (no more are asked for)"),
    (
        '"local" -> "chameleon"\nnodes = { min = 5, max = 2 }',
        "29: testbed.nodes.max: must be at least min = 5 (got 2)",
    ),
    ('"local" -> "chameleon"\nhours = 200', "29: testbed.hours: must be at most 168 (got 200)"),
    ('"local" -> "chameleon"\nsite = "a\\nb"', f"29: testbed.site: {ONE_LINE} (got 'a\\nb')"),
    ('"local" -> "chameleon"\nnode_types = "x"', "29: testbed.node_types: must be a list (got 'x')"),
    # the rest
    ("-> [limits]\nmax_failures = 0", "30: limits.max_failures: must be greater than 0 (got 0)"),
    ("-> [limits]\nretries = -1", "30: limits.retries: must be at least 0 (got -1)"),
    ("-> [prices]\nnode_hour = 1", "29: prices.currency: missing: prices need one, such as currency = 'EUR'"),
    (
        '-> [prices]\ncurrency = "euro"\nnode_hour = 1',
        "30: prices.currency: must be a currency code of three capital letters, such as 'EUR' (got 'euro')",
    ),
    (
        '-> [results]\nmirror = "-x:y"',
        "30: results.mirror: must be a folder as rsync takes it, such as 'user@host:path' (got '-x:y')",
    ),
]


def _id(case: tuple[str, ...]) -> str:
    return case[1].split(" ", 2)[1].rstrip(":")


@pytest.mark.parametrize("case", DETECTION, ids=_id)
def test_detection(case: tuple[str, ...], detection: Spoil) -> None:
    edit, problem, *more = case
    assert detection(edit, *more) == [f"s.toml:{problem}"]


def test_a_grid_that_is_far_too_large(detection: Spoil) -> None:
    levels = f"[{', '.join(map(str, range(1, 3001)))}]"
    (problem,) = detection("images = 100 ->", f"weights = -> images = {levels}\nthreads = {levels}\nweights =")
    assert problem.endswith("factors: make a grid of 36,000,000 combinations; at most 10,000,000 can be planned")


def test_all_problems_at_once_in_the_order_of_the_file(detection: Spoil) -> None:
    problems = detection(
        'name = "small" -> name = "Small"',
        "images = 100 -> imges = 100",
        "    1,\n ->     0,\n",
        "repetitions = 2 -> repeat = 5\nexclude = [{ weight = 1 }, 4]\nstop = { metric = 'x' }",
        "idle_s = 1 -> idle_s = -1\ndeadline_s = 1",
        "max_w = 20 -> max_w = 4\nmin_w = 1",
        'kind = "local" -> kind = "local"\nnodes = 3\nhost = "a"',
        "-> [limits]\nretries = 0.5\nmax_failure = 4",
    )
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["s.toml:2", "name"],
        ["s.toml:6", "workload.imges"],
        ["s.toml:11", "factors.batch_size[0]"],
        ["s.toml:16", "design.repeat"],
        ["s.toml:17", "design.exclude[0].weight"],
        ["s.toml:17", "design.exclude[1]"],
        ["s.toml:18", "design.stop.half_width"],
        ["s.toml:18", "design.stop.min_repetitions"],
        ["s.toml:18", "design.stop.metric"],
        ["s.toml:22", "measurement.idle_s"],
        ["s.toml:23", "measurement.deadline_s"],
        ["s.toml:28", "measurement.model.max_w"],
        ["s.toml:29", "measurement.model.min_w"],
        ["s.toml:33", "testbed.nodes"],
        ["s.toml:34", "testbed.host"],
        ["s.toml:36", "limits.retries"],
        ["s.toml:37", "limits.max_failure"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n# nothing\n",
        'schema = 1\nname = "x"\n[workload]\nkind = "command"\ncommand = 1979-05-27T07:32:00Z\n',
        'schema = 1\nname = "x"\nworkload = [[1, "a"], [true]]\n',
    ],
)
def test_files_without_a_sweep(text: str, broken: Callable[[str], list[str]]) -> None:
    problems = broken(text)
    assert problems
    assert all(problem.startswith("s.toml:") for problem in problems)
