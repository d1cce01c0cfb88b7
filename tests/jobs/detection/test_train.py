"""Training: repeatable, resumable to the same weights, and exported with a true card."""

import hashlib
import json
from pathlib import Path

import pytest
import torch  # noqa: TID253

from jobs.datasets.digits import Split, digits
from jobs.detection import train
from jobs.detection.catalogue import find
from jobs.detection.training import Settings, Trainer, learning_rate
from sipa.errors import UsageError
from tests.jobs.detection.networks import small


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canvases")


def settings(**changes: object) -> Settings:
    plain = {
        "image_size": 64,
        "iterations": 6,
        "batch": 2,
        "seed": 4,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "precision": "fp32",
    }
    return Settings(**(plain | changes))


def trained(cache: Path, **changes: object) -> Trainer:
    trainer = Trainer(small(), digits(Split.TRAIN, count=8, seed=4, directory=cache), settings(**changes))
    trainer.run(lambda _: None)
    return trainer


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return list(trainer.average.state_dict().values()) + list(trainer.network.state_dict().values())


def test_a_resumed_run_ends_in_the_same_weights(cache: Path, tmp_path: Path) -> None:
    whole = trained(cache)
    data = digits(Split.TRAIN, count=8, seed=4, directory=cache)
    first = Trainer(small(), data, settings())
    first.run(lambda _: None, until=3)
    first.save(tmp_path / "checkpoint.pt", 12.5)
    second = Trainer(small(seed=99), data, settings())
    assert second.restore(tmp_path / "checkpoint.pt") == 12.5
    second.run(lambda _: None)
    assert second.step == whole.step == 6
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))


def test_another_seed_gives_other_weights(cache: Path) -> None:
    one, other = trained(cache), trained(cache, seed=5)
    assert not all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_a_checkpoint_of_other_settings_is_refused(cache: Path, tmp_path: Path) -> None:
    trained(cache).save(tmp_path / "checkpoint.pt", 0)
    data = digits(Split.TRAIN, count=8, seed=4, directory=cache)
    with pytest.raises(UsageError, match="give the same options, or another --resume directory"):
        Trainer(small(), data, settings(batch=4)).restore(tmp_path / "checkpoint.pt")


def test_the_rate_warms_up_and_falls() -> None:
    plan = settings(iterations=1000)
    rates = [learning_rate(plan, step) for step in range(1000)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1e-3, rel=1e-3)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(2e-5, rel=0.01)


def command(cache: Path, directory: Path, *more: str) -> list[str]:
    network = "--out t --width 0.125 --image-size 64 --threads 1"
    amounts = "--batch 2 --canvases 8 --evaluate-every 3 --held-out 5 --validation 3"
    return [*network.split(), *amounts.split(), "--cache", str(cache), "--directory", str(directory), *more]


def test_the_command_exports_weights_with_a_true_card(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = command(cache, tmp_path, "--iterations", "4", "--resume", str(tmp_path / "run"))
    assert train.main(options) == 0
    said = capsys.readouterr().err
    assert "step 4/4" in said
    assert "step 3 AP 0." in said
    card = json.loads((tmp_path / "t.json").read_text())
    content = (tmp_path / "t.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["bytes"] == len(content)
    assert card["parameters"] == 103_247
    assert card["training"]["command"] == "python -m jobs.detection.train " + " ".join(options)
    assert 0 <= card["accuracy"]["map_50_95"] <= 1
    assert find("t", tmp_path).image_size == 64
    assert train.main(options) == 0
    assert "going on from step 4" in capsys.readouterr().err


def test_weights_of_another_network_do_not_start_a_run(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(command(cache, tmp_path, "--iterations", "1")) == 0
    weights_file = str(tmp_path / "t.safetensors")
    wider = command(cache, tmp_path, "--iterations", "1", "--init", weights_file, "--width", "0.25")
    assert train.main(wider) == 2
    assert "Give weights of the same network" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--image-size", "100"], ["--batch", "0"], ["--iterations", "-1"]])
def test_impossible_options_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train.arguments(["--out", "t", *options])
    assert "must be" in capsys.readouterr().err
