"""Checks a document against a JSON schema and words each problem for a person."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from llm_serving_planner.base.errors import SchemaError
from llm_serving_planner.base.tables import Json

_MOST_PROBLEMS = 20
_MOST_FOUND = 1000
_MOST_CHARACTERS = 300
# A character class, an escape, or an end of the text
_PARTS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|\$", re.DOTALL)


def validate_with(schema: Json, document: Any, where: str) -> None:
    """Check a document against any schema of this project.

    Raises:
        SchemaError: all problems, the first twenty of many.
    """
    judge(validator(schema), document, where)


def validator(schema: Json) -> Any:
    """A schema, ready to judge many documents."""
    return _dialect()(schema)


def judge(ready: Any, document: Any, where: str) -> None:
    """Check a document with `validator`.

    Raises:
        SchemaError: all problems, the first twenty of many.
    """
    found = islice(ready.iter_errors(document), _MOST_FOUND)
    problems = sorted({problem for error in found for problem in islice(_explain(error), _MOST_FOUND)})
    if len(problems) > _MOST_PROBLEMS:
        more = len(problems) - _MOST_PROBLEMS
        problems = [*problems[:_MOST_PROBLEMS], ("", f"and {more:,} more")]
    if problems:
        raise SchemaError(where, problems)


@cache
def _dialect() -> Any:
    """JSON Schema 2020-12 with Go's regular expressions, as Helm checks it."""
    import jsonschema

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not go_pattern(wanted).search(instance):
            yield jsonschema.ValidationError(f"{instance!r} does not match {wanted!r}")

    def pattern_properties(validator: Any, wanted: Json, instance: Any, __: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for expression, schema in wanted.items():
                for key, value in instance.items():
                    if go_pattern(expression).search(str(key)):
                        yield from validator.descend(value, schema, path=key, schema_path=expression)

    keywords = {"pattern": pattern, "patternProperties": pattern_properties}
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, keywords)  # type: ignore[no-untyped-call]


@cache
def go_pattern(text: str) -> re.Pattern[str]:
    r"""A pattern as Go's regexp reads it.

    There `$` is the end of the text (Python lets a newline follow), classes such as `\d` are ASCII, and `\s` has no
    vertical tab (https://pkg.go.dev/regexp/syntax, read 2026-11-29).
    """

    def translated(found: re.Match[str]) -> str:
        part = found.group()
        if part == "$":
            return r"\Z"
        return part.replace(r"\s", r"\t\n\f\r ") if part[0] == "[" else r"[\t\n\f\r ]" if part == r"\s" else part

    return re.compile(_PARTS.sub(translated, text), re.ASCII)


def _explain(error: Any) -> Iterator[tuple[str, str]]:
    import difflib

    path = "/" + "/".join(_short(str(part), 60) for part in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.schema.get("properties"), dict):
        listed = error.schema["properties"]
        known = [key for key, node in listed.items() if not (isinstance(node, dict) and node.get("deprecated"))]
        free = error.schema.get("patternProperties", {})
        for key in sorted(str(key) for key in error.instance if key not in listed)[:_MOST_PROBLEMS]:
            if any(go_pattern(pattern).search(key) for pattern in free):
                continue
            near = difflib.get_close_matches(key[:60], known, n=1, cutoff=0.5)
            way = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            yield f"{path.rstrip('/')}/{_short(key, 60)}", f"unknown key; {way}"
    elif error.validator in {"anyOf", "oneOf"} and error.context:
        texts = sorted({text for inner in error.context for _, text in _explain(inner)})
        yield path, " or ".join(texts)
    elif error.validator == "enum":
        yield path, f"{_shown(error)} is not one of {', '.join(str(value) for value in error.validator_value)}"
    elif error.validator == "pattern":
        yield path, f"{_shown(error)} does not match {error.validator_value}"
    elif error.validator == "type":
        kinds = error.validator_value
        names = ", ".join(repr(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
        yield path, f"{_shown(error)} is not of type {names}"
    else:
        yield path, _short(str(error.message), _MOST_CHARACTERS)


def _shown(error: Any) -> str:
    """What was found: a scalar as it is, the beginning of a long one, and of the others the kind."""
    found = error.instance
    return _short(repr(found), 100) if not isinstance(found, dict | list) or len(found) < 6 else f"a {_kind(found)}"


def _kind(found: Any) -> str:
    return f"mapping of {len(found):,} keys" if isinstance(found, dict) else f"list of {len(found):,}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
