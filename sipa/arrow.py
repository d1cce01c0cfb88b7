"""How a value's type is stored: the one mapping to Arrow, for plans and for rows."""

from typing import assert_never

import pyarrow as pa

from sipa.workloads import ValueType


def arrow_type(kind: ValueType) -> pa.DataType:
    """The Arrow type in which a value is stored."""
    match kind:
        case ValueType.INTEGER:
            return pa.int64()
        case ValueType.NUMBER:
            return pa.float64()
        case ValueType.TEXT:
            return pa.string()
        case ValueType.BOOLEAN:
            return pa.bool_()
        case ValueType.TIMESTAMP:
            return pa.timestamp("us", tz="UTC")
        case ValueType.TEXTS:
            return pa.list_(pa.string())
        case _:
            assert_never(kind)
