"""What a checkpoint's files say, before anybody interprets them; and the header format of safetensors."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.records import record

_LONGEST_HEADER = 100_000_000  # limit of the safetensors format (huggingface/safetensors, read 2026-11-22)


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


def parse_json(text: str | bytes, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: not JSON (with line), or not an object.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not valid JSON (line {error.lineno}: {error.msg})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 text") from error
    if not isinstance(data, dict):
        raise InputError(f"{where} holds a {type(data).__name__}; an object is expected")
    return data


def parse_header(raw: bytes, where: str) -> dict[str, TensorInfo]:
    """Tensors of one safetensors header (the JSON after the eight bytes of its length).

    Raises:
        InputError: not such a header.
    """
    tensors = {}
    for name, entry in parse_json(raw, where).items():
        if name == "__metadata__":
            continue
        try:
            start, end = entry["data_offsets"]
            tensors[name] = TensorInfo(str(entry["dtype"]), tuple(int(size) for size in entry["shape"]), end - start)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: tensor {name!r} has no usable header") from error
    return tensors


def header_length(prefix: bytes, where: str) -> int:
    """Length of the header that the first eight bytes announce.

    Raises:
        InputError: too short a file, or an absurd length.
    """
    if len(prefix) < 8:
        raise InputError(f"{where} is cut short: {len(prefix)} bytes")
    length: int = struct.unpack("<Q", prefix[:8])[0]
    if not 2 <= length <= _LONGEST_HEADER:
        raise InputError(f"{where} is not a safetensors file (header of {length} bytes)")
    return length


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Header of a local safetensors file.

    Raises:
        InputError: unreadable or not such a file.
    """
    try:
        with path.open("rb") as handle:
            length = header_length(handle.read(8), str(path))
            raw = handle.read(length)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if len(raw) < length:
        raise InputError(f"{path} is cut short: {len(raw)} of {length} header bytes")
    return parse_header(raw, str(path))
