"""The training loop: seeded, resumable to the same weights, with a running average of them.

A checkpoint holds everything the next step depends on, the random generators included, so that a run that was
killed and resumed ends in the weights of one that was not.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from jobs.datasets.dataset import DetectionDataset
from jobs.detection.assignment import detection_loss
from jobs.detection.letterbox import letterbox, to_square
from jobs.detection.network import Network
from sipa.errors import UsageError

_WARM_UP_STEPS = 200
_FINAL_RATE = 0.02
_AVERAGING = 0.998
_AVERAGING_RAMP = 400
_CLIP_NORM = 10.0
_BOXES_EXPECTED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What defines a training run besides its data and starting weights.

    Attributes:
        image_size: side of the input in pixels, a multiple of 32.
        iterations: optimiser steps.
        batch: canvases a step.
        seed: of weights, order and jitter.
        learning_rate: its peak; it rises linearly, then falls as a cosine to 2 %.
        weight_decay: of convolution weights.
        precision: "fp32", or "bf16" for mixed precision on CPUs that have it.
    """

    image_size: int
    iterations: int
    batch: int
    seed: int
    learning_rate: float
    weight_decay: float
    precision: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One step's outcome: steps done, loss of the batch, learning rate."""

    step: int
    loss: float
    learning_rate: float


class Trainer:
    """A network in training, with its optimiser, its average and its random generators.

    Args:
        network: trained in place.
        dataset: training images, all of one size.
        settings: see there.
    """

    def __init__(self, network: Network, dataset: DetectionDataset, settings: Settings) -> None:
        self.settings = settings
        self.dataset = dataset
        self.network: Network = cast(Any, network).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.step = 0
        self._targets = _targets(dataset)
        self._draw = np.random.Generator(np.random.PCG64(settings.seed))
        self._order: list[int] = []
        self._optimizer = _optimizer(self.network, settings)

    def run(self, report: Callable[[Progress], None], until: int | None = None) -> None:
        """Take the remaining steps, or those up to `until`, and report after each."""
        self.network.train()
        while self.step < min(until or self.settings.iterations, self.settings.iterations):
            rate = learning_rate(self.settings, self.step)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            loss = self._take_step()
            self.step += 1
            self._follow()
            report(Progress(self.step, loss, rate))

    def _take_step(self) -> float:
        pixels, targets = self._batch()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.precision == "bf16"):
            raw = self.network(pixels)
        loss = detection_loss(self.network.head, raw, targets) * self.settings.batch
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self._optimizer.step()
        return float(loss.detach())

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return jittered pixels, (batch, 3, size, size) in 0..1, and targets, (n, 6), in input pixels."""
        pixels, targets = [], []
        for position in range(self.settings.batch):
            index = self._next()
            square, place = letterbox(self.dataset.image(index), self.settings.image_size)
            pixels.append(square)
            category, boxes = self._targets[index]
            boxes = to_square(boxes, place)
            size = boxes[:, 2:] - boxes[:, :2]
            image = np.full(len(boxes), position, dtype=np.float32)
            targets.append(np.column_stack((image, category, boxes[:, :2] + size / 2, size)))
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        images = images.to(torch.float32, memory_format=torch.channels_last) / 255
        return self._jittered(images), torch.from_numpy(np.concatenate(targets).astype(np.float32))

    def _next(self) -> int:
        if not self._order:
            self._order = self._draw.permutation(len(self.dataset)).tolist()
        return self._order.pop()

    def _jittered(self, images: Tensor) -> Tensor:
        """Change colours only: turn some images negative, shuffle channels, vary contrast and brightness."""
        shape = (len(images), 1, 1, 1)
        sign = torch.from_numpy(self._draw.choice([-1.0, 1.0], shape).astype(np.float32))
        gain = torch.from_numpy(self._draw.uniform(0.7, 1.15, shape).astype(np.float32))
        shift = torch.from_numpy(self._draw.uniform(-0.12, 0.12, shape).astype(np.float32))
        images = images[:, self._draw.permutation(3).tolist()]
        return ((images - 0.5) * (sign * gain) + 0.5 + shift).clamp_(0, 1)

    def _follow(self) -> None:
        """Let the average follow the weights, slowly; normalisation statistics are copied along."""
        keep = _AVERAGING * (1 - math.exp(-self.step / _AVERAGING_RAMP))
        with torch.no_grad():
            mine, theirs = self.average.state_dict(), self.network.state_dict()
            pairs = [(a, theirs[key]) for key, a in mine.items() if a.is_floating_point()]
            torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - keep)

    def save(self, path: Path, spent_s: float) -> None:
        """Write a checkpoint, aside first, then renamed; with it the seconds that training took so far."""
        aside = path.with_name(f".{path.name}.part")
        torch.save(self._state() | {"spent_s": spent_s}, aside)
        aside.replace(path)

    def _state(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "draw": self._draw.bit_generator.state,
            "order": self._order,
        }

    def restore(self, path: Path) -> float:
        """Go on from a checkpoint and return the seconds that training took until then.

        Raises:
            UsageError: it belongs to a run with other settings.
        """
        state = torch.load(path, weights_only=True)
        if state["settings"] != asdict(self.settings):
            raise UsageError(
                f"{path} belongs to a run with {state['settings']}, not {asdict(self.settings)}: "
                "give the same options, or another --resume directory"
            )
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._draw.bit_generator.state = state["draw"]
        self._order = state["order"]
        return float(state["spent_s"])


def learning_rate(settings: Settings, step: int) -> float:
    """Return the rate of one step, counted from 0: linear warm-up, then half a cosine."""
    warm = min(_WARM_UP_STEPS, max(1, settings.iterations // 10))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    part = (step - warm) / max(1, settings.iterations - warm)
    cosine = (1 + math.cos(math.pi * min(1.0, part))) / 2
    return settings.learning_rate * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)


def prime_head(network: Network, image_size: int) -> None:
    """Start the head at the rates of a scene with few boxes, which spares the first hundreds of steps."""
    head = network.head
    for convolution, stride in zip(head.m, head.strides, strict=True):
        bias = cast(Tensor, convolution.bias).data.view(head.number_of_anchors, -1)
        bias[:, 4] = math.log(_BOXES_EXPECTED / (image_size / stride) ** 2)
        bias[:, 5:] = math.log(0.6 / network.number_of_classes)


def _optimizer(network: Network, settings: Settings) -> torch.optim.AdamW:
    weights = [value for value in network.parameters() if value.dim() == 4]
    others = [value for value in network.parameters() if value.dim() != 4]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)


def _targets(dataset: DetectionDataset) -> list[tuple[Any, Any]]:
    """Return per image the class indices and the boxes, (n, 4) x1 y1 x2 y2."""
    index = {category: position for position, category in enumerate(dataset.category_ids)}
    rows: dict[int, list[list[float]]] = {image: [] for image in dataset.image_ids}
    for one in dataset.ground_truth["annotations"]:
        x, y, width, height = one["bbox"]
        rows[one["image_id"]].append([index[one["category_id"]], x, y, x + width, y + height])
    tables = [np.array(rows[image], dtype=np.float32).reshape(-1, 5) for image in dataset.image_ids]
    return [(table[:, 0], table[:, 1:]) for table in tables]
