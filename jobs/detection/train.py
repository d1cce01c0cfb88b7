"""`python -m jobs.detection.train`: train on digits, score on held-out digits, export weights with a card.

The average precision printed while it trains is of *training* digits on unseen canvases; held-out digits are
looked at once, at the end, so that no choice made during training can have seen them.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from jobs.datasets import digits
from jobs.datasets.dataset import DetectionDataset
from jobs.detection.card import Evaluated, write_card
from jobs.detection.checkpoint import Header
from sipa.errors import SipaError, UsageError

CHECKPOINT = "checkpoint.pt"
VALIDATION_SEED = 977
_REPORT_EVERY = 50
_NATIVE = 192


def arguments(command: list[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(prog="python -m jobs.detection.train", description=__doc__)
    add = parser.add_argument
    add("--out", required=True, metavar="NAME", help="name of the weights, e.g. digits-w50-192")
    add(
        "--directory",
        type=Path,
        default=Path(),
        help="where NAME.safetensors and NAME.json go (default: here)",
    )
    add("--architecture", default="yolov7-tiny", help="layer table (default: yolov7-tiny)")
    add("--width", type=float, default=0.25, help="multiplier of its channels (default: 0.25)")
    add("--image-size", type=int, default=192, help="side of the input in px, a multiple of 32 (default: 192)")
    add("--iterations", type=int, default=3000, help="optimiser steps (default: 3000)")
    add("--batch", type=int, default=16, help="canvases a step (default: 16)")
    add("--canvases", type=int, default=16000, help="distinct training canvases (default: 16000)")
    add("--seed", type=int, default=1, help="of canvases, weights, order and jitter (default: 1)")
    add("--learning-rate", type=float, default=2e-3, help="its peak (default: 0.002)")
    add("--weight-decay", type=float, default=0.02, help="of convolutions (default: 0.02)")
    add("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: mixed, on CPUs that have it")
    add("--init", metavar="WEIGHTS", help="start from these: a shipped name or a .safetensors file")
    add("--resume", type=Path, metavar="DIR", help="keep checkpoints in DIR and go on from the one there")
    add("--checkpoint-every", type=int, default=250, metavar="N", help="steps (default: 250)")
    add("--evaluate-every", type=int, default=1000, metavar="N", help="steps (default: 1000)")
    add(
        "--held-out",
        type=int,
        default=digits.HELD_OUT_COUNT,
        metavar="N",
        help="canvases of the final score (default: 500)",
    )
    add("--validation", type=int, default=200, metavar="N", help="canvases of the AP printed meanwhile (default: 200)")
    add("--threads", type=int, default=2, help="of torch (default: 2)")
    add("--cache", type=Path, help="where made canvases are kept (default: the user's cache directory)")
    found = parser.parse_args(command)
    if found.image_size < 32 or found.image_size % 32:
        parser.error(f"--image-size must be a multiple of 32 (got {found.image_size})")
    counts = (
        "iterations",
        "batch",
        "canvases",
        "threads",
        "checkpoint_every",
        "evaluate_every",
        "held_out",
        "validation",
    )
    for name in counts:
        if getattr(found, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1 (got {getattr(found, name)})")
    return found


def train(options: argparse.Namespace, command: list[str]) -> Path:
    """Train, export and score; return the card's path."""
    import torch

    from jobs.detection.training import Trainer

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = digits.digits(
        digits.Split.TRAIN,
        count=options.canvases,
        seed=options.seed,
        directory=options.cache,
        workers=options.threads,
    )
    header = _header(options, data)
    trainer = Trainer(_network(options, header), data, _settings(options))
    checkpoint = _checkpoint(options)
    spent_s = 0.0
    if checkpoint is not None and checkpoint.is_file():
        spent_s = trainer.restore(checkpoint)
        _say(f"going on from step {trainer.step} of {checkpoint}")
    spent_s = _loop(trainer, options, checkpoint, spent_s)
    return _export(trainer, header, options, _training(options, command, data, spent_s))


def _network(options: argparse.Namespace, header: Header) -> Any:
    """Return a network to train: new, or with the values of `--init`."""
    from jobs.detection.network import Network
    from jobs.detection.training import prime_head

    network = Network(
        _architecture(header.architecture),
        number_of_classes=len(header.classes),
        width=header.width,
        anchors=header.anchors,
    )
    if options.init is None:
        prime_head(network, options.image_size)
    else:
        state = _initial_state(options.init, header)
        network.load_state_dict(network.state_dict() | state)
    return network


def _initial_state(name: str, header: Header) -> dict[str, Any]:
    """Return the values of other weights without their anchors, which depend on the input size."""
    from jobs.detection.catalogue import find
    from jobs.detection.checkpoint import load

    old, found = load(find(name).path)
    if (found.width, found.architecture, found.classes) != (
        header.width,
        header.architecture,
        header.classes,
    ):
        raise UsageError(
            f"--init {name} is {found.architecture} of width {found.width:g} for {len(found.classes)} "
            f"classes; asked for {header.architecture} of width {header.width:g} for {len(header.classes)}. "
            "Give weights of the same network"
        )
    return {key: value for key, value in old.state_dict().items() if "anchor" not in key}


def _architecture(name: str) -> Any:
    from jobs.detection.architectures import ARCHITECTURES

    if name not in ARCHITECTURES:
        raise UsageError(f"--architecture {name}: unknown; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _header(options: argparse.Namespace, data: DetectionDataset) -> Header:
    import numpy as np

    from jobs.detection.anchors import fit_anchors, rescaled

    sizes = np.array([one["bbox"][2:] for one in data.ground_truth["annotations"]], dtype=np.float64)
    return Header(
        architecture=options.architecture,
        width=options.width,
        classes=tuple(one["name"] for one in data.ground_truth["categories"]),
        anchors=rescaled(fit_anchors(sizes), options.image_size / _NATIVE),
        image_size=options.image_size,
    )


def _settings(options: argparse.Namespace) -> Any:
    from jobs.detection.training import Settings

    return Settings(
        image_size=options.image_size,
        iterations=options.iterations,
        batch=options.batch,
        seed=options.seed,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        precision=options.precision,
    )


def _checkpoint(options: argparse.Namespace) -> Path | None:
    if options.resume is None:
        return None
    directory: Path = options.resume
    directory.mkdir(parents=True, exist_ok=True)
    return directory / CHECKPOINT


def _loop(trainer: Any, options: argparse.Namespace, checkpoint: Path | None, before_s: float) -> float:
    """Train to the end; return the seconds spent, those before a resumption included."""
    validation = digits.digits(
        digits.Split.TRAIN, count=options.validation, seed=VALIDATION_SEED, directory=options.cache
    )
    begin, first = time.monotonic(), trainer.step

    def report(progress: Any) -> None:
        now = before_s + time.monotonic() - begin
        step, last = progress.step, progress.step == options.iterations
        if step % _REPORT_EVERY == 0 or last:
            rest = (time.monotonic() - begin) / (step - first) * (options.iterations - step)
            _say(
                f"{options.out}: step {step}/{options.iterations} loss {progress.loss:.3f} "
                f"rate {progress.learning_rate:.2e} spent {now:.0f} s left {rest:.0f} s"
            )
        if step % options.evaluate_every == 0 and not last:
            ap = _evaluate(trainer.average, validation, options.image_size).map_50_95
            _say(f"{options.out}: step {step} AP {ap:.4f} (training digits, unseen canvases)")
            trainer.network.train()
        if checkpoint is not None and (step % options.checkpoint_every == 0 or last):
            trainer.save(checkpoint, now)

    trainer.run(report)
    return before_s + time.monotonic() - begin


def _evaluate(network: Any, dataset: DetectionDataset, image_size: int) -> Any:
    from jobs.detection.detector import Detector
    from jobs.detection.evaluation import evaluate

    return evaluate(Detector(network, image_size=image_size), dataset)


def _export(trainer: Any, header: Header, options: argparse.Namespace, training: dict[str, Any]) -> Path:
    """Write the average as fp16, then score what was written, as anyone will load it, on held-out digits."""
    from jobs.detection.checkpoint import load, save

    options.directory.mkdir(parents=True, exist_ok=True)
    path = options.directory / f"{options.out}.safetensors"
    save(trainer.average, header, path)
    held_out = digits.digits(count=options.held_out, directory=options.cache)
    network, _ = load(path)
    parameters = network.parameter_count()
    scores = _evaluate(network.fuse(), held_out, options.image_size)
    _say(f"{path}: AP {scores.map_50_95:.4f} AP50 {scores.map_50:.4f} on {len(held_out)} held-out canvases")
    return write_card(
        path,
        header,
        parameters=parameters,
        parameters_fused=network.parameter_count(),
        evaluated=Evaluated(dataset=held_out.name, digest=held_out.digest, images=len(held_out), scores=scores),
        training=training,
    )


def _training(
    options: argparse.Namespace, command: list[str], data: DetectionDataset, spent_s: float
) -> dict[str, Any]:
    """Return what the card says about how the weights were made."""
    import torch

    return {
        "command": shlex.join(["python", "-m", "jobs.detection.train", *command]),
        "data": f"{options.canvases} canvases of the {digits.TRAIN_GLYPHS} training digits",
        "data_sha256": data.digest,
        "init": options.init,
        "seed": options.seed,
        "iterations": options.iterations,
        "batch": options.batch,
        "precision": options.precision,
        "wall_s": round(spent_s, 1),
        "threads": options.threads,
        "torch": torch.__version__,
    }


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main(command: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    command = sys.argv[1:] if command is None else command
    try:
        train(arguments(command), command)
    except SipaError as error:
        _say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
