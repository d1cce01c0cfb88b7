"""The catalogue: names, suggestions, paths, damaged files; and no torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.detection.card import Evaluated, write_card
from jobs.detection.catalogue import SHIPPED, find, shipped, verify
from jobs.detection.scoring import Scores
from sipa.errors import WorkloadError
from tests.jobs.detection.networks import HEADER, saved

SCORES = Scores(map_50_95=0.5, map_50=0.6, ar_100=0.7, precision=0.8, recall=0.9, f1=0.1, f1_ap_ar=0.2)
MAX_BYTES = 4 * 2**20


def make(directory: Path, name: str, ap: float = 0.5) -> None:
    path = saved(directory / f"{name}.safetensors")
    card = write_card(
        path,
        HEADER,
        parameters=2,
        parameters_fused=1,
        evaluated=Evaluated(dataset="digits", digest="0", images=500, scores=SCORES),
        training={},
    )
    found = json.loads(card.read_text())
    found["accuracy"]["map_50_95"] = ap
    card.write_text(json.dumps(found))


def test_weights_are_found_by_name_and_listed_by_accuracy(tmp_path: Path) -> None:
    make(tmp_path, "digits-a", 0.7)
    make(tmp_path, "digits-b", 0.3)
    assert list(shipped(tmp_path)) == ["digits-b", "digits-a"]
    weights = find("digits-a", tmp_path)
    assert (weights.map_50_95, weights.image_size, weights.width) == (0.7, 64, 0.125)
    verify(weights)


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    make(tmp_path, "digits-w25-128")
    with pytest.raises(WorkloadError, match="Did you mean 'digits-w25-128'"):
        find("digits-w25-129", tmp_path)
    with pytest.raises(WorkloadError, match=r"unknown\. Known: digits-w25-128; or give the path"):
        find("resnet", tmp_path)


def test_a_path_serves_as_well(tmp_path: Path) -> None:
    path = saved(tmp_path / "mine.safetensors")
    weights = find(str(path))
    assert weights.path == path
    assert weights.classes == HEADER.classes
    assert weights.map_50_95 is None
    verify(weights)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    make(tmp_path, "digits-a")
    weights = find("digits-a", tmp_path)
    weights.path.write_bytes(weights.path.read_bytes()[:-1])
    with pytest.raises(WorkloadError, match=r"digits-a\.safetensors: SHA-256 is .* its card says"):
        verify(weights)
    weights.path.unlink()
    with pytest.raises(WorkloadError, match="cannot be read"):
        verify(weights)


def test_a_damaged_card_is_named(tmp_path: Path) -> None:
    (tmp_path / "digits-a.json").write_text("{}")
    with pytest.raises(WorkloadError, match=r"digits-a\.json: not a card of weights"):
        shipped(tmp_path)


@pytest.mark.parametrize("name", shipped())
def test_shipped_weights_are_what_their_cards_say(name: str) -> None:
    weights = find(name)
    verify(weights)
    assert weights.name == weights.path.stem == name
    assert weights.size_bytes == weights.path.stat().st_size <= MAX_BYTES
    card = json.loads(weights.path.with_suffix(".json").read_text())
    assert card["training"]["command"].startswith(f"python -m jobs.detection.train --out {name} ")


def test_the_ladder_is_a_ladder() -> None:
    accuracies = [weights.map_50_95 for weights in shipped().values()]
    assert len(accuracies) >= 5
    assert max(accuracies) >= 0.70
    assert min(accuracies) <= max(accuracies) - 0.15


def test_looking_up_weights_imports_no_torch() -> None:
    assert SHIPPED.is_dir()
    code = (
        "import sys; from jobs.detection.catalogue import shipped; shipped(); "
        "print([name for name in ('torch', 'cv2', 'safetensors', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
