"""What each kind of workload can be asked and what it answers: declarations only, no code.

A parameter stands either in `[workload]` (one value) or in `[factors]` (levels) and is always a column of the row.
The implementations live in `jobs/workload.py`; a test keeps both equal.
"""

from dataclasses import dataclass
from enum import StrEnum

Value = bool | int | float | str
"""A parameter's value. Whole floats and integers are the same value (1.0 is 1)."""


class Kind(StrEnum):
    """The kinds of workload."""

    DETECTION = "detection"
    COMMAND = "command"


class ValueType(StrEnum):
    """How a value is stored: the Arrow types int64, float64, string, bool, timestamp[us, UTC], list<string>."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a workload.

    Attributes:
        default: the value when the spec does not name the parameter; None with `required=False` means that the
            workload decides (and the row says what it took).
        minimum: smallest value allowed, for integers and numbers.
        maximum: largest value allowed.
        multiple_of: integers must be a multiple of this.
        choices: the only texts allowed; empty if free.
        factor: whether it may stand in `[factors]`.
    """

    name: str
    type: ValueType
    unit: str
    meaning: str
    required: bool = False
    default: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    factor: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One result column: its unit ("" for counts and ratios is written "1", for texts "-") and its meaning."""

    name: str
    type: ValueType
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The declaration of one kind.

    Attributes:
        free_factors: whether factors with names of the user's own are allowed (they become columns).
    """

    kind: Kind
    meaning: str
    parameters: tuple[Parameter, ...]
    results: tuple[Quantity, ...]
    free_factors: bool = False

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((each for each in self.parameters if each.name == name), None)


DETECTION = Workload(
    kind=Kind.DETECTION,
    meaning="YOLOv7 object detection: images in, boxes out, scored with the COCO metrics",
    parameters=(
        Parameter(
            name="weights",
            type=ValueType.TEXT,
            unit="-",
            required=True,
            meaning="name in the catalogue of weights, or a path to a .safetensors file",
        ),
        Parameter(
            name="batch_size",
            type=ValueType.INTEGER,
            unit="images",
            required=True,
            minimum=1,
            maximum=100_000,
            meaning="images handed to the network at once, as asked",
        ),
        Parameter(
            name="dataset",
            type=ValueType.TEXT,
            unit="-",
            default="digits",
            meaning="'digits' (built in) or a folder in COCO format",
        ),
        Parameter(
            name="images",
            type=ValueType.INTEGER,
            unit="images",
            minimum=1,
            meaning="how many images of the data set are used, the first by image id; all if not given",
        ),
        Parameter(
            name="image_size",
            type=ValueType.INTEGER,
            unit="px",
            minimum=32,
            maximum=8192,
            multiple_of=32,
            meaning="side of the square that the network sees; the size the weights were trained at if not given",
        ),
        Parameter(
            name="execution",
            type=ValueType.TEXT,
            unit="-",
            default="reference",
            choices=("reference", "optimised"),
            meaning="'reference': the plain way; 'optimised': channels-last memory layout, faster on CPUs",
        ),
        Parameter(
            name="threads",
            type=ValueType.INTEGER,
            unit="threads",
            minimum=1,
            meaning="threads of the network's arithmetic; all CPUs of the machine if not given",
        ),
        Parameter(
            name="confidence",
            type=ValueType.NUMBER,
            unit="1",
            default=0.001,
            minimum=0.0,
            maximum=1.0,
            meaning="candidates below this confidence are dropped before non-maximum suppression",
        ),
        Parameter(
            name="nms_iou",
            type=ValueType.NUMBER,
            unit="1",
            default=0.65,
            minimum=0.0,
            maximum=1.0,
            meaning="boxes of one class that overlap more than this are suppressed",
        ),
    ),
    results=(
        Quantity(
            name="micro_batch",
            type=ValueType.INTEGER,
            unit="images",
            meaning="images per forward pass, as run",
        ),
        Quantity(name="weights_sha256", type=ValueType.TEXT, unit="-", meaning="SHA-256 of the weights file"),
        Quantity(
            name="dataset_sha256",
            type=ValueType.TEXT,
            unit="-",
            meaning="digest of the images and annotations",
        ),
        Quantity(name="predictions_sha256", type=ValueType.TEXT, unit="-", meaning="digest of the detections"),
        Quantity(
            name="map_50_95",
            type=ValueType.NUMBER,
            unit="1",
            meaning="COCO AP at IoU 0.50:0.95 (pycocotools)",
        ),
        Quantity(name="map_50", type=ValueType.NUMBER, unit="1", meaning="COCO AP at IoU 0.50"),
        Quantity(name="ar_100", type=ValueType.NUMBER, unit="1", meaning="COCO AR at IoU 0.50:0.95, 100 detections"),
        Quantity(name="precision", type=ValueType.NUMBER, unit="1", meaning="precision at IoU 0.5, best confidence"),
        Quantity(name="recall", type=ValueType.NUMBER, unit="1", meaning="recall at IoU 0.5, best confidence"),
        Quantity(
            name="f1",
            type=ValueType.NUMBER,
            unit="1",
            meaning="F1 at IoU 0.5 and the confidence where it is best",
        ),
        Quantity(name="f1_ap_ar", type=ValueType.NUMBER, unit="1", meaning="2 AP AR / (AP + AR): the paper's F1"),
        Quantity(
            name="latency_batch_inference_mean_s",
            type=ValueType.NUMBER,
            unit="s",
            meaning="mean time of a full batch in the network, pre-processing included, NMS not",
        ),
        Quantity(
            name="latency_batch_nms_mean_s",
            type=ValueType.NUMBER,
            unit="s",
            meaning="mean time of a full batch in non-maximum suppression",
        ),
        Quantity(
            name="score_reused",
            type=ValueType.BOOLEAN,
            unit="-",
            meaning="equal detections were scored before, so the score phase only looked the result up",
        ),
    ),
)

COMMAND = Workload(
    kind=Kind.COMMAND,
    meaning="any program: a command line with {factors} in it",
    parameters=(
        Parameter(
            name="command",
            type=ValueType.TEXT,
            unit="-",
            required=True,
            factor=False,
            meaning="the command line; {name} is replaced by the level of the factor of that name",
        ),
    ),
    results=(
        Quantity(name="inputs_sha256", type=ValueType.TEXT, unit="-", meaning="digest of the files named in inputs"),
    ),
    free_factors=True,
)

WORKLOADS: dict[Kind, Workload] = {each.kind: each for each in (DETECTION, COMMAND)}
