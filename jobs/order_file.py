"""An order as a JSON file: how it reaches the process that carries it out, and what is said of one that is none."""

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from sipa.errors import UsageError

Order = TypeVar("Order")


class OrderFile(Generic[Order]):
    """Files of one kind of order.

    Args:
        kind: a frozen dataclass.
        name: what messages call it, such as "trial order".
    """

    def __init__(self, kind: type[Order], name: str) -> None:
        self._adapter = TypeAdapter(kind)
        self._name = name

    def write(self, order: Order, path: Path) -> None:
        """Write the order; its folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._adapter.dump_json(order, indent=1))

    def read(self, path: Path) -> Order:
        """The order in a file.

        Raises:
            UsageError: the file is missing or no order.
        """
        try:
            return self._adapter.validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise UsageError(f"{path}: not a {self._name}: {place}: {first['msg']}") from error
