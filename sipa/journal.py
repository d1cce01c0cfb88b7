"""An append-only journal of JSON lines: append with fsync, replay past a torn last line.

A process may be killed between two bytes. The only damage that can do is a last line without its newline; `replay`
leaves it out and the next `append` cuts it off, so that what was written before it stays readable.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

Record = dict[str, Any]


class Journal:
    """Records appended to one file by one writer at a time.

    Args:
        path: the file; made, with its folder, on the first append.
        durable: fsync after every record; without it a power cut may lose the last seconds.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._durable = durable
        self._descriptor: int | None = None

    def append(self, record: Record) -> None:
        """Write one record.

        Raises:
            OSError: the disk is full or the file is not writable.
        """
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
        descriptor = self._open()
        os.write(descriptor, line.encode())
        if self._durable:
            os.fsync(descriptor)

    def replay(self) -> Iterator[Record]:
        """Every complete record, oldest first; a line that is no JSON object (torn, then written past) is left out."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                record = _parsed(line)
                if record is not None:
                    yield record

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            _cut_torn_line(self._descriptor)
        return self._descriptor


def _parsed(line: bytes) -> Record | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _cut_torn_line(descriptor: int) -> None:
    """Truncate the file after its last newline, so that the next record starts on a line of its own."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 4096)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
