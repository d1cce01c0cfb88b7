"""The detector: both ways agree, batches do not matter, timings are there; shipped weights reach their cards."""

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.datasets.dataset import DetectionDataset
from jobs.datasets.digits import Split, digits, generate
from jobs.detection.catalogue import find, shipped
from jobs.detection.detector import Detector, Execution
from jobs.detection.evaluation import detect_all, evaluate
from tests.jobs.detection.networks import HEADER, small


def detector(execution: Execution = Execution.OPTIMISED) -> Detector:
    return Detector(small().fuse(), image_size=HEADER.image_size, execution=execution)


def images(count: int) -> list[np.ndarray]:
    return list(generate(Split.TRAIN, count=count, seed=3)[0])


@pytest.mark.parametrize("execution", Execution)
def test_a_batch_gives_one_result_an_image_inside_it(execution: Execution) -> None:
    batch = [images(1)[0], np.zeros((50, 120, 3), dtype=np.uint8)]
    found = detector(execution).detect(batch)
    assert len(found.images) == 2
    assert min(found.inference_s, found.nms_s) > 0
    for rows, image in zip(found.images, batch, strict=True):
        height, width = image.shape[:2]
        assert rows.dtype == np.float32
        assert rows.shape[1] == 6
        assert np.all(rows[:, :4] >= 0)
        assert np.all(rows[:, [0, 2]] <= width)
        assert np.all(rows[:, [1, 3]] <= height)


def test_both_ways_put_out_the_same_predictions() -> None:
    outputs = []
    for execution in Execution:
        one = detector(execution)
        outputs.append(one.network.predict(one.prepare(images(3)).pixels).detach().numpy())
    assert np.allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-4)


def test_a_batch_does_not_change_what_is_found_in_an_image() -> None:
    one, batch = detector(), images(3)
    together = one.detect(batch).images
    for rows, image in zip(together, batch, strict=True):
        alone = one.detect([image]).images[0]
        assert len(alone) == len(rows)
        assert np.allclose(np.sort(alone[:, 4]), np.sort(rows[:, 4]), atol=1e-5)


def test_a_whole_data_set_goes_through_in_batches(tmp_path: Path) -> None:
    data = digits(count=5, seed=3, directory=tmp_path)
    assert set(detect_all(detector(), data, batch=2).image_id) <= set(data.image_ids)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> DetectionDataset:
    return digits(directory=tmp_path_factory.mktemp("canvases"))


def reaches_its_card(name: str, held_out: DetectionDataset) -> None:
    weights = find(name)
    card = json.loads(weights.path.with_suffix(".json").read_text())
    found = evaluate(Detector.load(name), held_out)
    assert found.map_50_95 == pytest.approx(card["accuracy"]["map_50_95"], abs=2e-3)
    assert found.f1 == pytest.approx(card["accuracy"]["f1"], abs=5e-3)


def test_the_smallest_weights_reach_their_card(held_out: DetectionDataset) -> None:
    reaches_its_card(next(iter(shipped())), held_out)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(shipped())[1:])
def test_weights_reach_their_card(name: str, held_out: DetectionDataset) -> None:
    reaches_its_card(name, held_out)
