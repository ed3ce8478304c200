"""Keys and tokens that stand in values as text: what the chart refuses, told before Helm is asked.

The regular expressions are those of the chart (schema/secrets.yaml). Values need not be complete.
"""

import json
import re
from collections.abc import Iterator

from llm_serving_planner.base.tables import Json, load_data

_LINES = (
    ("engine", "extraArgs"),
    ("engine", "command"),
    ("engine", "downloadCommand"),
    ("model", "download", "command"),
)


def secret_problems(values: Json) -> list[str]:
    """What is wrong, each with its key; never with the secret itself."""
    found = load_data("secrets.json")
    text = json.dumps(values, ensure_ascii=False)
    problems = []
    if re.search(found["shapes"], text):
        problems.append("a value holds what looks like a key or token. Put it into a Secret, name that, and revoke it")
    if re.search(found["address"], text):
        problems.append("a value holds an address with user and password. Take it from a Secret in engine.extraEnv")
    problems += [f"{key} gives {what}. Name a Secret in auth" for key, what in _words(values, found)]
    problems += [
        f"{name} holds a key as text. Take it from a Secret in engine.extraEnv" for name in _env(values, found)
    ]
    return list(dict.fromkeys(problems))


def _at(values: Json, *path: str) -> object:
    node: object = values
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _words(values: Json, found: Json) -> Iterator[tuple[str, str]]:
    """Words of command lines and arguments that hold a key: where, and the flag."""
    for path in _LINES:
        words = _at(values, *path)
        for word in words if isinstance(words, list) else ():
            plain = str(word).lower().replace("_", "-")
            if hit := re.search(found["arguments"], plain):
                yield ".".join(path), hit[0].strip("'\"= ")
            elif re.search(found["assignments"], str(word)) or re.search(found["options"], str(word)):
                yield ".".join(path), "a key or token"
    arguments = _at(values, "engine", "args")
    for name in arguments if isinstance(arguments, dict) else ():
        if re.search(found["arguments"], "--" + str(name).lower().replace("_", "-")):
            yield "engine.args", f"--{name}"
    for path in (("engine", "args"), ("engine", "speculative", "options")):
        if re.search(found["options"], json.dumps(_at(values, *path), ensure_ascii=False)):
            yield ".".join(path), "a key or token"


def _env(values: Json, found: Json) -> Iterator[str]:
    """Variables that hold a key as text."""
    plain, more = _at(values, "engine", "env"), _at(values, "engine", "extraEnv")
    pairs = list(plain.items()) if isinstance(plain, dict) else []
    pairs += (
        [(one.get("name"), one.get("value")) for one in more if isinstance(one, dict)] if isinstance(more, list) else []
    )
    for name, value in pairs:
        text = "" if value is None else str(value)
        if re.search(found["variables"], str(name).upper()) and not re.search(found["harmless"], text):
            yield f"engine.env or engine.extraEnv: {name}"
