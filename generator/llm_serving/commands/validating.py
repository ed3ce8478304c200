"""`validate`: values files against the schema and the engine's flags."""

import argparse
import json
from pathlib import Path
from typing import Any

from llm_serving.commands.console import Add, Exit, add_format, say
from llm_serving.errors import LlmServingError


def register(add: Add) -> None:
    """Add the command."""
    command = add("validate", _validate, "check values files against the schema and the engine's flags")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_format(command)


def _validate(arguments: argparse.Namespace) -> int:
    from llm_serving.schema import load_values, validate

    results = []
    for path in arguments.files:
        try:
            values = load_values(path)
            validate(values, str(path))
            problem = _flag_problems(values, str(path))
        except LlmServingError as error:
            problem = str(error)
        results.append({"file": str(path), "ok": problem is None, "problem": problem})
    if arguments.format == "json":
        print(json.dumps(results, indent=2))
    for result in results:
        if result["ok"] and arguments.format == "text":
            print(f"{result['file']}: ok")
        elif not result["ok"]:
            say(f"error: {result['problem']}")
    return Exit.OK if all(result["ok"] for result in results) else Exit.REFUSED


def _flag_problems(values: dict[str, Any], where: str) -> str | None:
    from llm_serving import engine_types

    engine = values.get("engine") or {}
    kind = str(engine.get("type", "vllm"))
    version = engine_types.check_version(kind, str(engine["version"]) if "version" in engine else None)
    args = engine.get("args") or {}
    found = [problem for flag in args if (problem := engine_types.flag_problem(kind, flag, version))]
    return f"{where}: /engine/args: {'; '.join(found)}" if found else None
