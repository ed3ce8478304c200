"""The values schema: read, turned into what Helm and readers need, and applied to documents."""

from functools import cache

from llm_serving_planner.base.errors import SchemaError
from llm_serving_planner.base.tables import Json, load_data
from llm_serving_planner.base.validation import validate_with
from llm_serving_planner.output import removed


@cache
def load_schema() -> Json:
    """The schema as Helm sees it, from the package's own copy."""
    schema: Json = load_data("values.schema.json")
    return schema


def validate(values: Json, where: str) -> None:
    """Check a values document.

    Raises:
        SchemaError: all problems, each with its path and the way out.
    """
    gone = list(removed.problems(values, removed.load()))
    if gone:
        raise SchemaError(where, gone)
    validate_with(load_schema(), values, where)
