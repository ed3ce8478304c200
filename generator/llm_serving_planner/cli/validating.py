"""`validate`: values files against the schema and the engine's flags."""

import argparse
import json
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import LlmServingError
from llm_serving_planner.base.printable import one_line
from llm_serving_planner.cli.console import Add, Exit, add_format, say, show, tell


def register(add: Add) -> None:
    """Add the command."""
    command = add("validate", _validate, "check values files against the schema and the engine's flags")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_format(command)


def _validate(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.base.documents import load_values
    from llm_serving_planner.output.schema import validate

    results = []
    for path in arguments.files:
        try:
            values = load_values(path, tell)
            validate(values, str(path))
            problem = _flag_problems(values, str(path)) or _secret_problems(values, str(path))
        except LlmServingError as error:
            problem = str(error)
        results.append({"file": str(path), "ok": problem is None, "problem": problem})
    if arguments.format == "json":
        print(json.dumps(results, indent=2))
    for result in results:
        if result["ok"] and arguments.format == "text":
            show(f"{result['file']}: ok\n")
        elif not result["ok"]:
            say(f"error: {one_line(str(result['problem']), 8000)}")
    return Exit.OK if all(result["ok"] for result in results) else Exit.REFUSED


def _flag_problems(values: dict[str, Any], where: str) -> str | None:
    from llm_serving_planner.engines import registry
    from llm_serving_planner.output import started

    engine = values.get("engine") or {}
    kind = registry.engine_of(str(engine.get("type", registry.DEFAULT)))
    version = kind.check_version(str(engine["version"]) if "version" in engine else None)
    args = engine.get("args") or {}
    found = [problem for flag in args if (problem := kind.flag_problem(flag, version))]
    found += kind.start_problems(version, started.facts(values), engine.get("env") or {})
    return f"{where}: /engine/args: {'; '.join(found)}" if found else None


def _secret_problems(values: dict[str, Any], where: str) -> str | None:
    from llm_serving_planner.output.secrets import secret_problems

    found = secret_problems(values)
    return f"{where}: {'; '.join(found)}" if found else None
