"""Values -> YAML text with comments, checked by reading it back; and files that are whole or not there."""

import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from llm_serving.errors import InputError
from llm_serving.plan import Plan
from llm_serving.values import build_values

if TYPE_CHECKING:
    import jinja2


def to_yaml(value: Any) -> str:
    """One scalar or a flow collection as YAML that reads back equal (1.1 booleans and 1e3 are quoted)."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").rstrip("\n")


def render_values(plan: Plan) -> str:
    """The values file of a plan. Same plan, same bytes.

    Raises:
        AssertionError: the text does not read back as the dict that went in (a bug, never bad input).
    """
    from llm_serving.report import explain

    values = build_values(plan)
    text = _template().render(v=values, why=explain(plan), plan=plan)
    back = yaml.safe_load(text)
    if back != values:
        raise AssertionError(f"values do not survive YAML: {_difference(values, back)}")
    return text


@cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, and every scalar goes through to_yaml
    )
    environment.filters["to_yaml"] = to_yaml
    return environment.from_string(
        files("llm_serving").joinpath("templates", "values.yaml.j2").read_text(encoding="utf-8")
    )


def _difference(expected: Any, got: Any, path: str = "") -> str:
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected.keys() | got.keys():
            if expected.get(key) != got.get(key):
                return _difference(expected.get(key), got.get(key), f"{path}/{key}")
    return f"{path}: {expected!r} became {got!r}"


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole or not at all.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as handle:
            temporary = Path(handle.name)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
