"""JSON that others wrote: bounded in size, depth, parts and digits; numbers are finite."""

import json
import math
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import MOST_BYTES
from llm_serving_planner.base.units import MIB

MOST_LIST_BYTES = 25 * 1000 * 1000
"""Bytes of a list of tensors: what huggingface_hub 2.4.0 reads of a header (constants.py, read 2026-11-29)."""
MOST_PARTS = 3_000_000
"""Values of one document: a header of 25 MB that describes tensors has 2.9 million."""
DEEPEST = 100
"""Nested lists and mappings: a config.json has 6, a Kubernetes object 15."""
MOST_DIGITS = 400
"""Digits of one number: what a double can hold without its fraction is 309."""


class _RefusedError(ValueError):
    """A number that JSON does not have."""


def parse(text: str | bytes, where: str, most: int = MOST_BYTES) -> Any:
    """Any JSON value.

    Args:
        text: UTF-8 where it is bytes.
        where: the place, for messages.
        most: bytes that it may have.

    Raises:
        InputError: too long, too deep, too many parts, or not JSON (with its line).
    """
    _bound(text, where, most)
    try:
        data = json.loads(text, parse_constant=_refuse, parse_int=_whole, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not valid JSON (line {error.lineno}: {error.msg})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 text") from error
    except _RefusedError as error:
        raise InputError(f"{where} is not valid JSON ({error})") from error
    except RecursionError:
        raise InputError(f"{where} nests deeper than {DEEPEST} levels") from None
    check_depth(data, where)
    return data


def parse_object(text: str | bytes, where: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: as `parse`, or something else than an object.
    """
    data = parse(text, where, most)
    if not isinstance(data, dict):
        raise InputError(f"{where} holds a {type(data).__name__}; an object is expected")
    return data


def _bound(text: str | bytes, where: str, most: int) -> None:
    if len(text) > most:
        raise InputError(f"{where} is longer than {most:,} bytes")
    if parts(text) > MOST_PARTS:
        raise InputError(f"{where} has more than {MOST_PARTS:,} parts")


def parts(text: str | bytes) -> int:
    """No fewer than the values in a JSON text: counted before they are made, since `[]` takes 28 times its text."""
    if isinstance(text, str):
        return text.count(",") + text.count("[") + text.count("{")
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def check_depth(data: Any, where: str) -> None:
    """Go down level by level, without recursion.

    Raises:
        InputError: deeper than DEEPEST.
    """
    level, depth = [data] if isinstance(data, dict | list) else [], 0
    while level:
        if depth > DEEPEST:
            raise InputError(f"{where} nests deeper than {DEEPEST} levels")
        depth += 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list) and child
        ]


def _refuse(name: str) -> float:
    raise _RefusedError(f"{name} is no JSON number")


def _whole(digits: str) -> int | float:
    """Whole numbers that no double holds are none here: every other reader of the document would lose them."""
    if len(digits) > MOST_DIGITS:
        raise _RefusedError(f"a number has {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits) if len(digits) <= MIB else math.inf
    if not math.isfinite(number):
        raise _RefusedError(f"the number {digits[:40]} is out of range")
    return number
