"""Detections as a Parquet table: what a trial put out, kept so that any other score can be computed later."""

from pathlib import Path
from typing import Any

import numpy as np

from jobs.detection.scoring import Detections

_COLUMNS = (
    ("image_id", "int64", "1", "id of the image in the data set's annotations"),
    ("category_id", "int32", "1", "id of the category in the data set's annotations"),
    ("x", "float32", "px", "left edge of the box in the original image"),
    ("y", "float32", "px", "upper edge of the box in the original image"),
    ("w", "float32", "px", "width of the box"),
    ("h", "float32", "px", "height of the box"),
    ("score", "float32", "1", "objectness times class score, 0 to 1"),
)


def to_arrow(detections: Detections) -> Any:
    """Return a `pyarrow.Table` of one row a detection; units stand in the fields' metadata."""
    import pyarrow as pa

    fields = [
        pa.field(name, getattr(pa, kind)(), nullable=False, metadata={"unit": unit, "meaning": meaning})
        for name, kind, unit, meaning in _COLUMNS
    ]
    sides = [np.ascontiguousarray(detections.box[:, column]) for column in range(4)]
    values = [detections.image_id, detections.category_id, *sides, detections.score]
    arrays = [pa.array(value, type=field.type) for value, field in zip(values, fields, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def from_arrow(table: Any) -> Detections:
    """Return detections from a table that `to_arrow` made."""
    columns = {name: table.column(name).to_numpy() for name, *_ in _COLUMNS}
    return Detections(
        image_id=columns["image_id"],
        category_id=columns["category_id"],
        box=np.column_stack([columns[side] for side in "xywh"]),
        score=columns["score"],
    )


def write_predictions(detections: Detections, path: Path) -> None:
    """Write detections as Parquet, aside first, then renamed; the folder is made."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    pq.write_table(to_arrow(detections), aside, compression="zstd")
    aside.replace(path)


def read_predictions(path: Path) -> Detections:
    """Return detections from a file that `write_predictions` made."""
    import pyarrow.parquet as pq

    return from_arrow(pq.read_table(path))
