"""One check of shape for what others wrote: a JSON Schema per kind of document, in data/shapes.json."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.tables import load_data
from llm_serving_planner.base.validation import judge, validator

_MISREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class MisreadError(InputError):
    """A document has the shape that is asked for, and yet could not be read: `shapes.json` asks too little."""


def check_shape(kind: str, document: Any, where: str) -> None:
    """Hold a document against the shape of its kind.

    Args:
        kind: a name under $defs of data/shapes.json.
        document: parsed JSON or YAML.
        where: the place, for messages.

    Raises:
        SchemaError: all problems, each with its path.
    """
    judge(_ready(kind), document, where)


@cache
def _ready(kind: str) -> Any:
    """The schema of one kind; an engine's answer has hundreds of documents of one."""
    return validator({"$ref": f"#/$defs/{kind}", "$defs": load_data("shapes.json")["$defs"]})


@contextmanager
def understood(where: str) -> Iterator[None]:
    """The last line of defence around the interpretation of a foreign document.

    What slips through `check_shape` is no bug to the person who got the document from somebody else; tests that make
    up documents count a MisreadError as a failure, so that the shape is mended.

    Raises:
        MisreadError: in place of the errors that a wrong shape causes.
    """
    try:
        yield
    except _MISREAD as error:
        raise MisreadError(f"{where} cannot be understood ({type(error).__name__}: {error})") from error
