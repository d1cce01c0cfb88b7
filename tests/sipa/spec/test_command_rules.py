"""Every rule that only kind = "command" has, by the problem that its breach gives."""

from collections.abc import Callable

import pytest

Spoil = Callable[..., list[str]]

NOT_IN_COMMAND = "is not in the command, so it would change nothing: write"
NO_PARAMETER = "which is neither a factor nor a key of [workload]"
IDENTIFIER = "its name must be 1 to 63 of the characters a-z 0-9 _, the first a letter"

COMMAND = [
    (r'"run --model -> "run\u0000 --model', "6: workload.command: must have no null character"),
    (
        'command = "run --model {weights} --bs {batch_size} --mode {mode} --size {size}" ->',
        ("4: workload.command: missing (the command line; {name} is replaced by the level of the factor of that name)"),
    ),
    (
        '"run --model {weights} --bs {batch_size} --mode {mode} --size {size}" -> 5',
        "6: workload.command: must be a text in quotes (got 5)",
    ),
    (
        "--mode {mode} -> --mode {mode} {modes}",
        f"6: workload.command: names {{modes}}, {NO_PARAMETER}. Did you mean 'mode'?",
    ),
    ("--mode {mode} ->", f"15: factors.mode: {NOT_IN_COMMAND} {{mode}} there"),
    ("{mode} -> {{mode}}", f"15: factors.mode: {NOT_IN_COMMAND} {{mode}} there"),
    ("{mode} -> {mode", "6: workload.command: has a single brace; write {{ or }} for one that is meant itself"),
    (
        "{mode} -> {mode!r}",
        "6: workload.command: has braces round 'mode'; write {{ and }} for braces that are meant themselves",
    ),
    ("run --model -> run ' --model", "6: workload.command: has a quote that is not closed, or ends in a backslash"),
    ('["fast", "slow"] -> ["fast", 1]', "15: factors.mode[1]: must be a text in quotes (got 1)"),
    ('["fast", "slow"] -> [1, true]', "15: factors.mode[1]: must be a number (got true)"),
    ('["fast", "slow"] -> [true, 1]', "15: factors.mode[1]: must be true or false (got 1)"),
    (
        '["fast", "slow"] -> [1, 9007199254740993]',
        "15: factors.mode[1]: must lie within ±9007199254740992 (got 9007199254740993)",
    ),
    ("[1, 8] -> [1, 8.5]", "14: factors.batch_size[1]: must be an integer (got 8.5)"),
    (
        "mode = [ -> energy_pkg_j = [",
        "15: factors.energy_pkg_j: is a column of the results; take another name",
        "{mode} -> {energy_pkg_j}",
    ),
    (
        "mode = [ -> command = [",
        (
            "15: factors.command: cannot be varied; it belongs in [workload] "
            "(the command line; {name} is replaced by the level of the factor of that name)"
        ),
        " --mode {mode} ->",
    ),
    (
        "mode = [ -> inputs = [",
        "15: factors.inputs: is a setting and cannot be varied; it belongs in [workload]",
        " --mode {mode} ->",
    ),
    ("size = 3 -> size = 3\nMode = 3", f"8: workload.Mode: {IDENTIFIER}"),
    (
        "size = 3 -> size = [3]",
        "7: workload.size: must be one value; a list of levels belongs in [factors] as size = [...]",
    ),
    (
        '"number" -> "numbr"',
        (
            "8: workload.metrics.score: must be 'integer', 'number', 'text' or 'boolean' (got 'numbr'). "
            "Did you mean 'number'?"
        ),
    ),
    ("score = -> mode =", "8: workload.metrics.mode: is a parameter of this sweep; a metric needs a name of its own"),
    ("score = -> node =", "8: workload.metrics.node: is a column of the results; take another name"),
    ("score = -> threads =", "8: workload.metrics.threads: is a column of the results; take another name"),
    ("score = -> 'a b' =", f"8: workload.metrics.'a b': {IDENTIFIER}"),
    ('score = "number" -> map_50 = "text"', "8: workload.metrics.map_50: must be 'number': COCO AP at IoU 0.50"),
    ('{ score = "number" } -> ["score"]', "8: workload.metrics: must be a table (got a list)"),
    ('unit = "image", ->', "9: workload.work.unit: missing (what one unit of work is called, such as 'image')"),
    ('key = "images" -> keys = "images"', "9: workload.work.keys: unknown key. Did you mean 'key'?"),
    (
        'size = 3 -> size = 3\nbegin_marker = "x"',
        "8: workload.begin_marker: is of no use alone: give end_marker too, or neither",
    ),
    (
        'size = 3 -> size = 3\nend_marker = "x"',
        "8: workload.end_marker: is of no use alone: give begin_marker too, or neither",
    ),
    (
        'size = 3 -> size = 3\nbegin_marker = "x"\nend_marker = "x"',
        "9: workload.end_marker: must differ from begin_marker",
    ),
    (
        'size = 3 -> size = 3\nbegin_maker = "x"',
        "8: workload.begin_maker: unknown key, and the command does not name it. Did you mean 'begin_marker'?",
    ),
    (
        '"{weights}.bin" -> "{weigts}.bin"',
        f"10: workload.inputs[1]: names {{weigts}}, {NO_PARAMETER}. Did you mean 'weights'?",
    ),
    (
        '"{weights}.bin" -> "{weights.bin"',
        "10: workload.inputs[1]: has a single brace; write {{ or }} for one that is meant itself",
    ),
    (
        'repetitions = 2 -> stop = { metric = "map_50", half_width = 0.1, min_repetitions = 2 }',
        "18: design.stop.metric: must be a numeric column of the results (got 'map_50')",
    ),
]


def _id(case: tuple[str, ...]) -> str:
    return case[1].split(" ", 2)[1].rstrip(":")


@pytest.mark.parametrize("case", COMMAND, ids=_id)
def test_command(case: tuple[str, ...], command: Spoil) -> None:
    edit, problem, *more = case
    assert command(edit, *more) == [f"s.toml:{problem}"]


def test_a_grid_of_more_combinations_than_python_writes_out(command: Spoil) -> None:
    names = [f"g{n}" for n in range(20_000)]
    levels = "\n".join(f"{name} = [1, 2]" for name in names)
    used = " ".join(f"{{{name}}}" for name in names)
    (problem,) = command("--mode -> " + used + " --mode", f"mode = [ -> {levels}\nmode = [")
    assert "a grid of about 10^6021 combinations" in problem
