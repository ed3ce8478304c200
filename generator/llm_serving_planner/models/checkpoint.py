"""What a checkpoint's files say, before anybody interprets them; and the header format of safetensors."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_serving_planner.base import jsontext
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import opened
from llm_serving_planner.base.records import record

_MOST_DIMENSIONS = 16


@record
class TensorInfo:
    """Header of one tensor: safetensors' dtype name, shape, bytes."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


@record
class Checkpoint:
    """Files of one checkpoint.

    Attributes:
        source: hub, cache or folder.
        tensors: headers of one weight set; None when only sizes are known.
        weights_bytes: bytes of one weight set.
        files_bytes: bytes to download.
    """

    model_id: str
    revision: str | None
    gated: bool | None
    source: str
    config: Mapping[str, Any]
    quant_config: Mapping[str, Any] | None
    tensors: Mapping[str, TensorInfo] | None
    weights_bytes: int | None
    files_bytes: int | None


def parse_header(raw: bytes, where: str) -> dict[str, TensorInfo]:
    """Tensors of one safetensors header (the JSON after the eight bytes of its length).

    Parsed by hand, not by a JSON Schema: a header may list 300,000 tensors.

    Raises:
        InputError: not such a header.
    """
    entries = jsontext.parse_object(raw, where, jsontext.MOST_LIST_BYTES)
    return {name: _tensor(name, entry, where) for name, entry in entries.items() if name != "__metadata__"}


def _tensor(name: str, entry: Any, where: str) -> TensorInfo:
    fields = entry if isinstance(entry, dict) else {}
    return tensor_of(name, fields.get("dtype"), fields.get("shape"), fields.get("data_offsets"), where)


def tensor_of(name: str, dtype: Any, shape: Any, offsets: Any, where: str) -> TensorInfo:
    """One tensor's header.

    Raises:
        InputError: a field of another type, or an end before the start.
    """
    if (
        isinstance(dtype, str)
        and _counts(shape)
        and _counts(offsets)
        and len(offsets) == 2
        and offsets[0] <= offsets[1]
    ):
        return TensorInfo(dtype, tuple(shape), offsets[1] - offsets[0])
    raise InputError(f"{where}: tensor {name[:100]!r} has no usable header")


def _counts(value: Any) -> bool:
    """Whether this is a short list of whole numbers of 64 bits."""
    return (
        isinstance(value, list | tuple)
        and len(value) <= _MOST_DIMENSIONS
        and all(type(number) is int and 0 <= number < 2**63 for number in value)
    )


def header_length(prefix: bytes, where: str) -> int:
    """Length of the header that the first eight bytes announce.

    Raises:
        InputError: too short a file, or an absurd length.
    """
    if len(prefix) < 8:
        raise InputError(f"{where} is cut short: {len(prefix)} bytes")
    length: int = struct.unpack("<Q", prefix[:8])[0]
    if not 2 <= length <= jsontext.MOST_LIST_BYTES:
        raise InputError(f"{where} is not a safetensors file (header of {length} bytes)")
    return length


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Header of a local safetensors file.

    Raises:
        InputError: unreadable or not such a file.
    """
    with opened(path) as handle:
        length = header_length(handle.read(8), str(path))
        raw = handle.read(length)
    if len(raw) < length:
        raise InputError(f"{path} is cut short: {len(raw)} of {length} header bytes")
    return parse_header(raw, str(path))
