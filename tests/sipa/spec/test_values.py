"""Good files and what they say."""

import hashlib
from pathlib import Path

import pytest

from sipa.spec import (
    Chameleon,
    CommandOutput,
    DesignSpec,
    Gates,
    Limits,
    MeasurementSpec,
    Meter,
    ModelWatts,
    Order,
    Prices,
    Scope,
    StaticHosts,
    StopRule,
    SweepSpec,
    TestbedKind,
    TestbedSpec,
    WorkloadSpec,
    parse_spec,
)
from sipa.workloads import Kind, ValueType

SMALLEST = """
schema = 1
name = "x"
workload = { kind = "detection", weights = "w", batch_size = 32.0 }
"""


def _command(*lines: str, command: str) -> SweepSpec:
    head = f'schema = 1\nname = "x"\n[workload]\nkind = "command"\ncommand = "{command}"\n'
    return parse_spec(head + "\n".join(lines), "x.toml")


def test_everything_that_a_file_can_say(good_files: dict[str, str]) -> None:
    text = good_files["chameleon"]
    spec = parse_spec(text, "a/b.toml")
    assert spec == SweepSpec(
        name="experiment1",
        workload=WorkloadSpec(
            kind=Kind.DETECTION,
            fixed=(
                ("confidence", 0.001),
                ("dataset", "coco-val2017"),
                ("execution", "reference"),
                ("image_size", 640),
                ("images", 500),
                ("nms_iou", 0.65),
            ),
            factors=(
                ("weights", ("yolov7-tiny", "yolov7", "yolov7-x")),
                ("batch_size", (10, 32)),
                ("threads", (1, 2)),
            ),
            output=CommandOutput(),
        ),
        design=DesignSpec(
            repetitions=5,
            order=Order.RANDOMISED_BLOCKS,
            seed=20241207,
            random_points=None,
            include=((("batch_size", 1), ("threads", 4), ("weights", "yolov7-w6")),),
            exclude=(
                (("batch_size", 32), ("weights", "yolov7-x")),
                (("batch_size", 10), ("threads", 2)),
            ),
            stop=StopRule(metric="energy_per_image_j", half_width=0.02, min_repetitions=4, confidence=0.95),
        ),
        measurement=MeasurementSpec(
            meter=(Meter.POWERCAP, Meter.PERF),
            idle_s=60.0,
            min_window_s=10.0,
            warmup_max_s=90.0,
            cooldown_within_c=2.5,
            cooldown_timeout_s=600.0,
            control_s=30.0,
            max_foreign_cores=0.05,
            gates=Gates.REFUSE,
            deadline_s=3600.0,
            governor="performance",
            turbo=False,
            scope=Scope.PROCESS,
            model=None,
        ),
        testbed=TestbedSpec(
            kind=TestbedKind.CHAMELEON,
            chameleon=Chameleon(
                site="CHI@UC",
                node_types=("compute_cascadelake_r_ib", "compute_cascadelake_r"),
                nodes_min=2,
                nodes_max=5,
                head="auto",
                hours=8.0,
                image="CC-Ubuntu24.04",
                key="mykey",
                network="sharednet1",
                max_su=100.0,
            ),
        ),
        limits=Limits(max_failures=3, retries=2),
        prices=Prices(currency="EUR", electricity_per_kwh=0.3, node_hour=1.5, su_per_node_hour=1.0),
        mirror="user@host:path",
        source=Path("a/b.toml"),
        text=text,
        spec_hash=spec.spec_hash,
    )
    assert spec.spec_hash == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_defaults() -> None:
    spec = parse_spec(SMALLEST, "x.toml")
    assert dict(spec.workload.fixed) == {
        "batch_size": 32,
        "confidence": 0.001,
        "dataset": "digits",
        "execution": "reference",
        "nms_iou": 0.65,
        "weights": "w",
    }
    assert isinstance(dict(spec.workload.fixed)["batch_size"], int)
    assert spec.workload.factors == ()
    assert spec.design == DesignSpec(
        repetitions=5,
        order=Order.RANDOMISED_BLOCKS,
        seed=0,
        random_points=None,
        include=(),
        exclude=(),
        stop=None,
    )
    assert spec.measurement == MeasurementSpec(
        meter=(Meter.POWERCAP, Meter.PERF),
        idle_s=60.0,
        min_window_s=10.0,
        warmup_max_s=60.0,
        cooldown_within_c=3.0,
        cooldown_timeout_s=300.0,
        control_s=60.0,
        max_foreign_cores=0.05,
        gates=Gates.REFUSE,
        deadline_s=3600.0,
        governor=None,
        turbo=None,
        scope=Scope.PHASES,
        model=None,
    )
    assert spec.testbed == TestbedSpec(kind=TestbedKind.LOCAL)
    assert spec.limits == Limits(max_failures=3, retries=2)
    assert spec.prices == Prices(currency=None, electricity_per_kwh=None, node_hour=None, su_per_node_hour=None)
    assert spec.mirror is None


def test_chameleon_without_particulars() -> None:
    spec = parse_spec(SMALLEST + "testbed = { kind = 'chameleon', nodes = 3 }", "x.toml")
    assert spec.testbed.chameleon == Chameleon(
        site="CHI@UC",
        node_types=("compute_cascadelake_r_ib", "compute_cascadelake_r"),
        nodes_min=3,
        nodes_max=3,
        head="auto",
        hours=8.0,
        image="CC-Ubuntu24.04",
        key=None,
        network="sharednet1",
        max_su=100.0,
    )


def test_hosts(good_files: dict[str, str]) -> None:
    spec = parse_spec(good_files["static"], "x.toml")
    assert spec.testbed.static == StaticHosts(hosts=("node1", "node2.example.org"), user="me", jump=None)
    assert spec.measurement.meter == ()
    assert spec.design.random_points == 2


@pytest.mark.parametrize(
    ("meter", "expected"),
    [('"perf"', (Meter.PERF,)), ("[]", ()), ('["perf", "powercap"]', (Meter.PERF, Meter.POWERCAP))],
)
def test_meter(meter: str, expected: tuple[Meter, ...]) -> None:
    assert parse_spec(f"{SMALLEST}measurement.meter = {meter}", "x.toml").measurement.meter == expected


def test_model_watts() -> None:
    text = f"{SMALLEST}measurement = {{ meter = 'model', model = {{ idle_w = 5, max_w = 5.0 }} }}"
    assert parse_spec(text, "x.toml").measurement.model == ModelWatts(idle_w=5.0, max_w=5.0)


def test_values_are_canonical() -> None:
    spec = parse_spec(SMALLEST + "factors = { threads = [1.0, 2], nms_iou = [0.5, 1.0, -0.0] }", "x.toml")
    threads, nms_iou = dict(spec.workload.factors)["threads"], dict(spec.workload.factors)["nms_iou"]
    assert repr(threads) == "(1, 2)"
    assert repr(nms_iou) == "(0.5, 1, 0)"


def test_a_command(good_files: dict[str, str]) -> None:
    spec = parse_spec(good_files["command"], "x.toml")
    assert spec.workload.fixed == (
        ("command", "run --model {weights} --bs {batch_size} --mode {mode} --size {size}"),
        ("size", 3),
    )
    assert spec.workload.output == CommandOutput(
        metrics=(("score", ValueType.NUMBER),),
        work_unit="image",
        work_key="images",
        inputs=("run", "{weights}.bin"),
        free_types=(("mode", ValueType.TEXT), ("size", ValueType.NUMBER)),
    )


def test_types_of_free_factors() -> None:
    spec = _command(
        "begin_marker = 'go'",
        "end_marker = 'end'",
        "label = 'x'",
        "metrics = { n = 'integer', map_50 = 'number', t = 'text', b = 'boolean' }",
        "[factors]",
        "number = [1, 2.5]",
        "whole = [1, 2]",
        "text = ['', 'a']",
        "switch = [true, false]",
        "threads = [1, 2]",
        command="x {label} {number} {whole} {text} {switch} {threads} {{}}",
    )
    assert spec.workload.output.free_types == (
        ("label", ValueType.TEXT),
        ("number", ValueType.NUMBER),
        ("switch", ValueType.BOOLEAN),
        ("text", ValueType.TEXT),
        ("whole", ValueType.NUMBER),
    )
    assert (spec.workload.output.begin_marker, spec.workload.output.end_marker) == ("go", "end")
    assert [str(kind) for _, kind in spec.workload.output.metrics] == ["integer", "number", "text", "boolean"]


def test_an_excluded_combination_may_be_included() -> None:
    design = "include = [{ threads = 1 }, { threads = 64 }]\nexclude = [{ threads = 1 }, { threads = 2 }]"
    spec = parse_spec(f"{SMALLEST}factors.threads = [1, 2]\n[design]\n{design}", "x.toml")
    assert spec.design.include == ((("threads", 1),), (("threads", 64),))


@pytest.mark.parametrize(("points", "exclude"), [(4, ""), (3, "{ threads = 2, images = 1 }"), (2, "{ threads = 2 }")])
def test_random_points(points: int, exclude: str) -> None:
    factors = "factors = { threads = [1, 2], images = [1, 2], dataset = ['d'] }"
    design = f"[design]\npoints = 'random:{points}'\nexclude = [{exclude}]"
    assert parse_spec(f"{SMALLEST}{factors}\n{design}", "x.toml").design.random_points == points


@pytest.mark.parametrize("name", ["a", "0", "a" * 41, "a-b_c"])
def test_names(name: str) -> None:
    assert parse_spec(SMALLEST.replace('"x"', f'"{name}"'), "x.toml").name == name


def test_a_column_of_an_estimate_may_stop_a_sweep_of_estimates() -> None:
    stop = "stop = { metric = 'energy_estimated_j', half_width = 0.1, min_repetitions = 2 }"
    measurement = "[measurement]\nmeter = 'model'\nmodel = { idle_w = 1, max_w = 2 }"
    spec = parse_spec(f"{SMALLEST}[design]\n{stop}\n{measurement}", "x.toml")
    assert spec.design.stop is not None


def test_a_metric_of_the_command_may_stop_a_sweep() -> None:
    stop = "design.stop = { metric = 'loss', half_width = 0.1, min_repetitions = 2 }"
    text = f"schema = 1\nname = 'x'\n{stop}\nworkload = {{ kind = 'command', command = 'x', metrics.loss = 'number' }}"
    assert parse_spec(text, "x.toml").design.stop == StopRule(metric="loss", half_width=0.1, min_repetitions=2)
