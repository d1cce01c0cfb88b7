"""The graph: keys, shapes, parameter counts and values of the public one; memory given up early."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.detection.architectures import ARCHITECTURES, YOLOV7_TINY, Kind, resolved, scaled
from jobs.detection.network import Network
from tests.jobs.detection import seeded

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "yolov7" / "yolov7-tiny.json").read_text())


def tiny() -> Network:
    network = Network(YOLOV7_TINY, number_of_classes=80)
    state = {
        key: tensor
        if "anchor" in key
        else torch.from_numpy(seeded.value(key, tuple(tensor.shape), REFERENCE["detect_index"]))
        for key, tensor in network.state_dict().items()
    }
    network.load_state_dict(state)
    return network.eval()


def test_keys_shapes_and_parameters_are_the_public_ones() -> None:
    network = Network(YOLOV7_TINY, number_of_classes=80)
    assert [[key, list(value.shape)] for key, value in network.state_dict().items()] == REFERENCE["state_dict"]
    assert network.parameter_count() == REFERENCE["parameters"]
    assert network.fuse().parameter_count() == REFERENCE["parameters_fused"]


@pytest.mark.parametrize("form", ["unfused", "fused", "channels-last"])
def test_predictions_are_those_of_the_public_network(form: str) -> None:
    network: Any = tiny()
    images = torch.from_numpy(seeded.images())
    if form != "unfused":
        network = network.fuse()
    if form == "channels-last":
        network, images = (each.to(memory_format=torch.channels_last) for each in (network, images))
    with torch.inference_mode():
        found = network.predict(images).numpy()
    expected = REFERENCE["output"]
    assert list(found.shape) == expected["shape"]
    flat = found.reshape(-1)
    sample = np.random.RandomState(1).randint(0, flat.size, 512)
    for part, key in ((flat[:64], "first64"), (flat[-64:], "last64"), (flat[sample], "sample")):
        reference = np.array(expected[key])
        assert np.all(np.abs(part - reference) <= 1e-4 * (1 + np.abs(reference))), key
    means = found.mean(axis=(0, 1), dtype=np.float64)
    assert np.allclose(means, expected["column_mean"], rtol=1e-4, atol=1e-4)


def test_fusing_twice_changes_nothing() -> None:
    network = tiny().fuse()
    before = network.state_dict()
    assert network.fuse().state_dict().keys() == before.keys()


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda one: one.name)
def test_every_table_is_sound(architecture: Any) -> None:
    assert [layer.kind is Kind.DETECT for layer in architecture.layers].index(True) == len(architecture.layers) - 1
    for index, layer in enumerate(architecture.layers):
        assert all(-1 <= source < index for source in resolved(layer, index))
    assert len(architecture.anchors) == len(architecture.strides) == len(architecture.layers[-1].sources)


@pytest.mark.parametrize(("width", "parameters"), [(0.125, 103_247), (0.25, 388_015), (0.5, 1_523_671)])
def test_width_scales_the_channels(width: float, parameters: int) -> None:
    network = Network(YOLOV7_TINY, number_of_classes=10, width=width)
    assert network.parameter_count() == parameters
    raw = network.eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(level.shape) for level in raw] == [(1, 3, 64 // s, 96 // s, 15) for s in (8, 16, 32)]


@settings(deadline=None)
@given(channels=st.integers(1, 2048), width=st.floats(0.01, 4, allow_nan=False))
def test_scaled_channels_are_multiples_of_eight_near_the_product(channels: int, width: float) -> None:
    found = scaled(channels, width)
    if width == 1:
        assert found == channels
    else:
        assert found % 8 == 0
        assert found >= 8
        assert abs(found - channels * width) <= 4 or found == 8


def test_activations_are_given_up_at_their_last_use() -> None:
    network = Network(YOLOV7_TINY, number_of_classes=10, width=0.125)
    layers = YOLOV7_TINY.layers
    alive, most = {-1}, 0
    for index, layer in enumerate(layers):
        assert set(resolved(layer, index)) <= alive, "needed after it was given up"
        alive = (alive - set(network._released[index])) | {index}
        most = max(most, len(alive))
    assert alive == {len(layers) - 1}
    assert most <= 8


def test_an_unfused_state_loads_into_a_network_of_another_width_only_if_it_fits() -> None:
    state = Network(YOLOV7_TINY, number_of_classes=10, width=0.25).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        Network(YOLOV7_TINY, number_of_classes=10, width=0.5).load_state_dict(state)
