"""A COCO-format folder: order, layout variants, pixels, and errors that name the file."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from jobs.datasets.catalogue import dataset, dataset_digest
from jobs.datasets.coco import coco_folder
from sipa.errors import WorkloadError

RED = (200, 30, 10)


def make(folder: Path, where: str = "images", name: str = "instances_val2017.json", **changes: Any) -> Path:
    """Write a folder with two images, ids 7 and 3, in that order."""
    (folder / where).mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    for image, height in ((7, 20), (3, 10)):
        pixels = np.full((height, 30, 3), RED[::-1], dtype=np.uint8)
        cv2.imwrite(str(folder / where / f"{image}.png"), pixels)
    truth = {
        "images": [
            {"id": image, "width": 30, "height": height, "file_name": f"{image}.png"}
            for image, height in ((7, 20), (3, 10))
        ],
        "annotations": [{"id": 0, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 9, "name": "cat"}, {"id": 4, "name": "dog"}],
    }
    (folder / "annotations" / name).write_text(json.dumps(truth | changes))
    return folder


@pytest.mark.parametrize("where", ["images", "images/val2017", "val2017", "."])
def test_images_come_by_ascending_id_in_rgb(tmp_path: Path, where: str) -> None:
    found = coco_folder(make(tmp_path, where))
    assert found.image_ids == (3, 7)
    assert found.category_ids == (4, 9)
    assert found.image(0).shape == (10, 30, 3)
    assert found.image(1)[0, 0].tolist() == list(RED)
    assert found.first(1).ground_truth["annotations"] == []


def test_annotations_get_what_scoring_needs(tmp_path: Path) -> None:
    (annotation,) = coco_folder(make(tmp_path)).ground_truth["annotations"]
    assert annotation["id"] == 1
    assert annotation["area"] == 12
    assert annotation["iscrowd"] == 0


def test_the_digest_follows_annotations_and_images(tmp_path: Path) -> None:
    before = dataset_digest(str(make(tmp_path)))
    assert dataset(str(tmp_path)).digest == before
    cv2.imwrite(str(tmp_path / "images" / "3.png"), np.zeros((10, 30, 3), dtype=np.uint8))
    with_other_image = dataset_digest(str(tmp_path))
    make(tmp_path, categories=[{"id": 9, "name": "horse"}, {"id": 4, "name": "dog"}])
    assert len({before, with_other_image, dataset_digest(str(tmp_path))}) == 3


def test_of_several_annotation_files_the_instances_are_taken(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "annotations" / "captions_val2017.json").write_text("{}")
    assert len(coco_folder(tmp_path)) == 2


def test_a_missing_folder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"no such folder\. Give a folder in COCO format"):
        coco_folder(tmp_path / "absent")


def test_no_annotations_or_too_many_are_named(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    with pytest.raises(WorkloadError, match="found none"):
        coco_folder(tmp_path)
    make(tmp_path, name="instances_a.json")
    make(tmp_path, name="instances_b.json")
    with pytest.raises(WorkloadError, match=r"instances_a\.json, instances_b\.json"):
        coco_folder(tmp_path)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "images" / "7.png").unlink()
    with pytest.raises(WorkloadError, match=r"7\.png: the image that .* is missing"):
        coco_folder(tmp_path)
    (tmp_path / "images" / "3.png").unlink()
    with pytest.raises(WorkloadError, match=r"image 3\.png is in none of"):
        coco_folder(tmp_path)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "images" / "3.png").write_bytes(b"not an image")
    with pytest.raises(WorkloadError, match=r"3\.png: cannot be decoded.*Restore the file"):
        coco_folder(tmp_path).image(0)
    (tmp_path / "images" / "3.png").write_bytes(b"")
    with pytest.raises(WorkloadError, match=r"3\.png: cannot be"):
        coco_folder(tmp_path).image(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "no images"),
        ({"categories": None}, "no list 'categories'"),
        ({"annotations": [{"image_id": 7, "category_id": 9}]}, "incomplete"),
        ({"annotations": [{"image_id": 7, "category_id": 9, "bbox": [1, 2, 3]}]}, "incomplete"),
        ({"annotations": [{"image_id": 8, "category_id": 9, "bbox": [1, 2, 3, 4]}]}, "image 8"),
        ({"images": [{"id": 1}]}, "incomplete"),
    ],
)
def test_damaged_annotations_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        coco_folder(make(tmp_path, **changes))


def test_annotations_that_are_no_json_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "annotations" / "instances_val2017.json").write_text("{")
    with pytest.raises(WorkloadError, match=r"instances_val2017\.json: cannot be read"):
        coco_folder(tmp_path)
