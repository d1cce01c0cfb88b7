"""The digits set: one digest everywhere, disjoint parts, a cache that heals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs.datasets import digits
from jobs.datasets.digits import Split
from sipa.errors import WorkloadError


@pytest.fixture(scope="module")
def standard() -> tuple[np.ndarray, dict]:
    return digits.generate(Split.HELD_OUT, count=digits.HELD_OUT_COUNT, seed=digits.HELD_OUT_SEED)


def test_the_held_out_set_has_the_recorded_digest(standard: tuple[np.ndarray, dict]) -> None:
    assert digits.digest(*standard) == digits.HELD_OUT_DIGEST


def test_the_held_out_set_is_coco_and_has_every_digit(standard: tuple[np.ndarray, dict]) -> None:
    images, truth = standard
    assert [one["id"] for one in truth["images"]] == list(range(1, len(images) + 1))
    assert [one["id"] for one in truth["annotations"]] == list(range(1, len(truth["annotations"]) + 1))
    assert {one["image_id"] for one in truth["annotations"]} == {one["id"] for one in truth["images"]}
    assert {one["category_id"] for one in truth["annotations"]} == set(range(10))
    assert [one["name"] for one in truth["categories"]] == list("0123456789")


def test_training_and_held_out_digits_are_apart_and_complete() -> None:
    train, held_out = (digits.split_indices(split) for split in (Split.TRAIN, Split.HELD_OUT))
    assert (len(train), len(held_out)) == (1297, 500)
    assert sorted([*train, *held_out]) == list(range(1797))


def test_a_smaller_set_is_the_beginning_of_a_larger_one(standard: tuple[np.ndarray, dict]) -> None:
    images, truth = digits.generate(Split.HELD_OUT, count=7, seed=digits.HELD_OUT_SEED)
    assert np.array_equal(images, standard[0][:7])
    count = len(truth["annotations"])
    assert truth["annotations"] == standard[1]["annotations"][:count]


def test_other_seeds_and_parts_are_other_canvases() -> None:
    sets = [digits.generate(split, count=2, seed=seed)[0] for split in Split for seed in (1, 2)]
    assert len({images.tobytes() for images in sets}) == len(sets)


def test_more_processes_make_the_same_canvases(standard: tuple[np.ndarray, dict]) -> None:
    images, truth = digits.generate(Split.HELD_OUT, count=260, seed=digits.HELD_OUT_SEED, workers=2)
    assert np.array_equal(images, standard[0][:260])
    assert truth["images"] == standard[1]["images"][:260]


def test_the_cache_gives_back_what_was_made(tmp_path: Path) -> None:
    made = digits.digits(count=3, seed=5, directory=tmp_path)
    again = digits.digits(count=3, seed=5, directory=tmp_path)
    assert again.digest == made.digest
    assert again.ground_truth == made.ground_truth
    assert all(np.array_equal(a, b) for a, b in zip(made.images(), again.images(), strict=True))
    assert [path.name for path in tmp_path.iterdir()] == ["digits-v1-held-out-3-5"]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"junk"])
@pytest.mark.parametrize("name", ["images.npy", "annotations.json"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, name: str, damage: bytes) -> None:
    made = digits.digits(count=2, seed=5, directory=tmp_path)
    (tmp_path / "digits-v1-held-out-2-5" / name).write_bytes(damage)
    assert digits.digits(count=2, seed=5, directory=tmp_path).digest == made.digest


def test_a_changed_pixel_in_the_cache_is_noticed(tmp_path: Path) -> None:
    made = digits.digits(count=2, seed=5, directory=tmp_path)
    file = tmp_path / "digits-v1-held-out-2-5" / "images.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert np.array_equal(digits.digits(count=2, seed=5, directory=tmp_path).image(1), made.image(1))


def test_reading_the_cache_imports_neither_scikit_learn_nor_torch(tmp_path: Path) -> None:
    digits.digits(count=2, seed=5, directory=tmp_path)
    code = (
        "import sys; from pathlib import Path; from jobs.datasets import digits; "
        f"digits.digits(count=2, seed=5, directory=Path({str(tmp_path)!r})); "
        "print([name for name in ('sklearn', 'scipy', 'torch', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cache_that_cannot_be_written_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkloadError, match="set XDG_CACHE_HOME to a folder that can be written"):
        digits.digits(count=1, directory=tmp_path / "file")


def test_no_canvases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one canvas"):
        digits.digits(count=0, directory=tmp_path)


def test_the_first_images_keep_the_data_sets_digest(tmp_path: Path) -> None:
    whole = digits.digits(count=4, seed=5, directory=tmp_path)
    part = whole.first(2)
    assert part.digest == whole.digest
    assert part.ground_truth_digest() != whole.ground_truth_digest()
    assert [one["id"] for one in part.ground_truth["images"]] == [1, 2] == list(part.image_ids)
    assert {one["image_id"] for one in part.ground_truth["annotations"]} == {1, 2}
    with pytest.raises(IndexError, match="2 images"):
        part.image(2)
    with pytest.raises(ValueError, match="asked for the first 5"):
        whole.first(5)
