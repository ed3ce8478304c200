"""YAML as Helm reads it, bounded: one reading of a text for people, for this package and for the chart.

Helm reads values with sigs.k8s.io/yaml, a YAML 1.1 whose plain scalars differ from PyYAML's: `y` is true, `1e3` is a
number, `1:30` and dates are texts, keys become texts, the last of two equal keys counts
(go.yaml.in/yaml/v2 resolve.go and decode.go, tried with Helm 4.2.3 on 2026-11-29; a test holds both readings against
each other). The parser is PyYAML's; what a plain scalar means is decided here.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import MOST_BYTES, read_text
from llm_serving_planner.base.jsontext import DEEPEST, MOST_DIGITS
from llm_serving_planner.base.tables import Json

MOST_NODES = 1_000_000
"""Scalars, lists and mappings of one document, what aliases stand for counted each time."""
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES = (
    (re.compile(r"0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"0[oO]?([0-7]+)"), 8),
    (re.compile(r"0[bB]([01]+)"), 2),
    (re.compile(r"(0|[1-9][0-9]*)"), 10),
)
_LEAST, _MOST = -(2**63), 2**64 - 1  # whole numbers of Go: the others are doubles
_EXACT = 2**53  # whole numbers of a double
_TAG = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),)}
_MERGE = object()
Tell = Callable[[str], None]


@dataclass(slots=True)
class _Open:
    """A list or a mapping that is being read."""

    value: Any
    line: int
    anchor: str | None
    key: Any = None
    has_key: bool = False
    size: int = 1
    seen: set[str] = field(default_factory=set)


def load_values(path: Path, tell: Tell | None = None) -> Json:
    """A YAML file as a mapping.

    Args:
        path: a regular file.
        tell: told of what Helm passes over in silence, a key that stands twice and a second document; without it
            both are refused.

    Raises:
        InputError: unreadable, not YAML, a key twice (with its line), empty, or no mapping.
    """
    documents = parse_documents(read_text(path), str(path), tell)
    if len(documents) > 1:
        said = f"{path}: holds {len(documents)} YAML documents"
        if tell is None:
            raise InputError(f"{said}; one is expected")
        tell(f"{said}; Helm reads the first one only")
    data = documents[0] if documents else None
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds a {type(data).__name__}"
        raise InputError(f"{path}: {what}; a mapping is expected")
    return data


def parse_documents(text: str, where: str, tell: Tell | None = None) -> list[Any]:
    """Every YAML document of a text (JSON is YAML too), as values that JSON can hold.

    Args:
        text: the documents.
        where: the place, for messages.
        tell: told of a key that stands twice, the last of which counts; without it such a text is refused.

    Raises:
        InputError: too long or too deep, aliases that multiply, numbers that are not finite, a key twice, or not YAML,
            with the line.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"{where}: is longer than {MOST_BYTES:,} characters")
    found: list[Any] = []
    try:
        found.extend(_Reader(where, tell).documents(yaml.parse(text, _PARSER)))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        problem = f"{where}: line {line}: {error.problem}"
        if not found or tell is None:
            raise InputError(problem) from error
        tell(f"{problem}; Helm reads what stands before")
    except yaml.YAMLError as error:
        raise InputError(f"{where}: is not YAML ({str(error).splitlines()[0]})") from error
    except RecursionError:
        raise InputError(f"{where}: nests deeper than {DEEPEST} levels") from None
    return found


class _Reader:
    """Builds documents from the parser's events, without recursion."""

    def __init__(self, where: str, tell: Tell | None) -> None:
        self.where, self.tell = where, tell
        self._begin()

    def _begin(self) -> None:
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = self.aliased = 0
        self.root: Any = None

    def documents(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                self._begin()
                if event.version not in {None, (1, 1)}:
                    raise self._refusal(line, "found incompatible YAML document; Helm reads YAML 1.1")
            elif isinstance(event, yaml.DocumentEndEvent):
                yield self.root
            elif isinstance(event, yaml.ScalarEvent):
                self._count(1, line)
                value = self._scalar(event, line)
                self._put(value, line, event.anchor, 1)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event, line)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._count(1, line)
                if len(self.open) >= DEEPEST:
                    raise self._refusal(line, f"nests deeper than {DEEPEST} levels")
                self.open.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], line, event.anchor))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                done = self.open.pop()
                self._put(done.value, done.line, done.anchor, done.size)

    def _refusal(self, line: int, problem: str) -> InputError:
        return InputError(f"{self.where}: line {line}: {problem}")

    def _count(self, nodes: int, line: int, *, aliased: bool = False) -> None:
        """Refuse a document that aliases blow up, as Go's decoder does, before anybody walks through it."""
        self.nodes += nodes
        self.aliased += nodes if aliased else 0
        if self.nodes > MOST_NODES or (
            self.aliased > 100 and self.nodes > 1000 and self.aliased / self.nodes > _share(self.nodes)
        ):
            raise self._refusal(line, "the document contains excessive aliasing" if self.aliased else
                                f"the document has more than {MOST_NODES:,} parts")  # fmt: skip

    def _alias(self, event: Any, line: int) -> None:
        if any(frame.anchor == event.anchor for frame in self.open):
            raise self._refusal(line, f"anchor {event.anchor!r} value contains itself")
        if event.anchor not in self.anchors:
            raise self._refusal(line, f"unknown anchor {event.anchor!r} referenced")
        value, size = self.anchors[event.anchor]
        self._count(size, line, aliased=True)
        self._put(value, line, None, size)

    def _put(self, value: Any, line: int, anchor: str | None, size: int) -> None:
        """The value into the list or mapping that is open, or the document."""
        if anchor is not None:
            self.anchors[anchor] = (value, size)
        if not self.open:
            self.root = value
            return
        frame = self.open[-1]
        frame.size += size
        if isinstance(frame.value, list):
            frame.value.append("<<" if value is _MERGE else value)
        elif not frame.has_key:
            frame.key, frame.has_key = value if value is _MERGE else self._key(value, line), True
        else:
            self._entry(frame, "<<" if value is _MERGE else value, line)
            frame.has_key = False

    def _entry(self, frame: _Open, value: Any, line: int) -> None:
        if frame.key is _MERGE:
            frame.value.update(self._merged(value, line))
            return
        if frame.key in frame.seen:
            said = f"key {frame.key!r} stands twice"
            if self.tell is None:
                raise self._refusal(line, said)
            self.tell(f"{self.where}: line {line}: {said}; Helm takes the last")
        frame.seen.add(frame.key)
        frame.value[frame.key] = value

    def _merged(self, value: Any, line: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise self._refusal(line, "map merge requires map or sequence of maps as the value")
            found |= part
        return found

    def _key(self, value: Any, line: int) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
        raise self._refusal(
            line, "a key must be a scalar" if isinstance(value, dict | list) else "a key must not be null"
        )

    def _scalar(self, event: Any, line: int) -> Any:
        text, tag = event.value, event.tag
        known = tag.removeprefix(_TAG) if tag and tag.startswith(_TAG) else None
        if known == "binary":
            return self._binary(text, line)
        if known in _TYPES:
            value = plain(text)
            if not isinstance(value, _TYPES[known]) or (known != "bool" and isinstance(value, bool)):
                raise self._refusal(line, f"cannot decode {text[:40]!r} as a !!{known}")
        elif tag is not None or not event.implicit[0]:
            return text
        elif text == "<<":
            return _MERGE
        else:
            value = plain(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refusal(line, f"{text[:40]} is not a finite number")
        return value

    def _binary(self, text: str, line: int) -> str:
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            raise self._refusal(line, "!!binary value contains invalid base64 data") from None


def plain(text: str) -> Any:
    """What a scalar without quotes is: None, a boolean, a number or a text (resolve.go of go.yaml.in/yaml/v2)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789" or len(text) > MOST_DIGITS:
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    for expression, base in _BASES:
        found = expression.fullmatch(digits.lstrip("+-") if digits[:2] not in {"+-", "-+", "--", "++"} else "")
        if found is not None:
            number = sign * int(found.group(1), base)
            if _LEAST <= number <= _MOST:
                return number
    if _FLOAT.fullmatch(digits) is None:
        return text
    value = float(digits)
    if not math.isfinite(value):
        return text
    return int(value) if value.is_integer() and abs(value) < _EXACT else value  # as it comes out of Helm's JSON


def _share(nodes: int) -> float:
    """Part of a document that aliases may stand for (decode.go:allowedAliasRatio of go.yaml.in/yaml/v2)."""
    low, high = 400_000, 4_000_000
    if nodes <= low:
        return 0.99
    return 0.10 if nodes >= high else 0.99 - 0.89 * (nodes - low) / (high - low)
