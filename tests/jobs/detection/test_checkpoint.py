"""Weights files: back as they went, and refused by name when they are not ours."""

from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID253
from safetensors.numpy import save_file

from jobs.detection.checkpoint import load, read_header
from sipa.errors import WorkloadError
from tests.jobs.detection.networks import HEADER, saved, small


def test_a_network_comes_back_in_half_precision(tmp_path: Path) -> None:
    network, header = load(saved(tmp_path / "a.safetensors"))
    assert header == HEADER == read_header(tmp_path / "a.safetensors")
    assert not network.training
    for key, value in small().state_dict().items():
        expected = value.half().to(value.dtype) if "anchor" not in key else value
        assert torch.equal(network.state_dict()[key], expected), key


def test_saving_leaves_nothing_aside_and_all_may_read_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o444 == 0o444


def write(path: Path, **changes: str | None) -> Path:
    metadata = {key: value for key, value in (HEADER.to_metadata() | changes).items() if value is not None}
    save_file({"a": np.zeros(1)}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "lacks format"),
        ({"format": "pt"}, "lacks format"),
        ({"width": None}, "damaged"),
        ({"classes": "["}, "damaged"),
        ({"anchors": "[1]"}, "damaged"),
        ({"image_size": "large"}, "damaged"),
        ({"architecture": "yolov9"}, "unknown architecture 'yolov9'; known: yolov7-tiny"),
    ],
)
def test_a_header_that_cannot_be_used_is_explained(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(WorkloadError, match=message):
        read_header(write(tmp_path / "b.safetensors", **changes))


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"absent\.safetensors: cannot be read"):
        load(tmp_path / "absent.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk" * 10)
    with pytest.raises(WorkloadError, match=r"junk\.safetensors: cannot be read"):
        load(tmp_path / "junk.safetensors")


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="tensors do not fit yolov7-tiny"):
        load(write(tmp_path / "b.safetensors"))
