"""Checks a document against a JSON schema and words each problem for a person."""

import re
from collections.abc import Iterator
from typing import Any

from llm_serving_planner.base.errors import SchemaError
from llm_serving_planner.base.tables import Json


def validate_with(schema: Json, document: Json, where: str) -> None:
    """Check a document against any schema of this project.

    Raises:
        SchemaError: all problems.
    """
    import jsonschema

    found = jsonschema.Draft202012Validator(schema).iter_errors(document)
    problems = sorted({problem for error in found for problem in _explain(error)})
    if problems:
        raise SchemaError(where, problems)


def _explain(error: Any) -> Iterator[tuple[str, str]]:
    import difflib

    path = "/" + "/".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.schema.get("properties"), dict):
        listed = error.schema["properties"]
        known = [key for key, node in listed.items() if not (isinstance(node, dict) and node.get("deprecated"))]
        free = error.schema.get("patternProperties", {})
        for key in sorted(str(key) for key in error.instance if key not in listed):
            if any(re.search(pattern, key) for pattern in free):
                continue
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            way = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            yield f"{path.rstrip('/')}/{key}", f"unknown key; {way}"
    elif error.validator in {"anyOf", "oneOf"} and error.context:
        texts = sorted({text for inner in error.context for _, text in _explain(inner)})
        yield path, " or ".join(texts)
    elif error.validator == "enum":
        yield path, f"{error.instance!r} is not one of {', '.join(str(value) for value in error.validator_value)}"
    elif error.validator == "pattern":
        yield path, f"{error.instance!r} does not match {error.validator_value}"
    else:
        yield path, str(error.message)
