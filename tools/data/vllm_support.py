"""data/vllm_support.json: what each version of vLLM serves: parsers by name, classes with LoRA, classes with EAGLE-3.

Read from the package's source, which is neither imported nor run. Classes are those of the planner
(models/architectures.py): one that is added there is looked for when a version is read again.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.models.architectures import ARCHITECTURES

SOURCE = "vllm/tool_parsers, vllm/reasoning, vllm/model_executor/models of the wheels on PyPI"


@dataclass
class Class:
    """What a class statement says."""

    bases: list[str]
    embeddings: bool | None = None
    methods: set[str] = field(default_factory=set)


def classes(package: Path) -> dict[str, Class]:
    """Every class of the model files by name."""
    found: dict[str, Class] = {}
    folders = [package / "model_executor" / "models", package / "models"]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, _class(node))
    return found


def _class(node: ast.ClassDef) -> Class:
    bases = [ast.unparse(base).split("[")[0].rsplit(".", 1)[-1] for base in node.bases]
    found = Class(bases)
    for statement in node.body:
        if isinstance(statement, ast.Assign) and "embedding_modules" in [ast.unparse(t) for t in statement.targets]:
            found.embeddings = isinstance(statement.value, ast.Dict) and bool(statement.value.keys)
    return found


def lineage(name: str, known: dict[str, Class], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The class and all its bases, the nearest first."""
    yield name
    if name in known and name not in seen:
        for base in known[name].bases:
            yield from lineage(base, known, seen | {name})


def registry(package: Path) -> dict[str, str]:
    """Name of each `architectures` entry -> class that serves it."""
    tree = ast.parse((package / "model_executor" / "models" / "registry.py").read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Tuple) and len(value.elts) == 2:
                    found[str(key.value)] = str(ast.literal_eval(value.elts[1]))
    return found


def parsers(path: Path, variable: str) -> list[str]:
    """Names of a table of lazily registered parsers.

    Raises:
        InputError: the file has no such table.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if variable in [ast.unparse(target) for target in targets]:
                return sorted(str(ast.literal_eval(key)) for key in node.value.keys if key is not None)
    raise InputError(f"{path}: no table {variable}")


def read(package: Path) -> dict[str, list[str]]:
    """What one version serves.

    Args:
        package: folder of the package `vllm`.

    Raises:
        FileNotFoundError: the package has another layout.
        InputError: a table is not where this version of the tool knows it.
    """
    known, served = classes(package), registry(package)
    lora, embeddings, eagle3 = [], [], []
    for name in ARCHITECTURES:
        family = list(lineage(served.get(name, ""), known))
        if "SupportsEagle3" in family:
            eagle3.append(name)
        if "SupportsLoRA" in family:
            lora.append(name)
            said = [known[each].embeddings for each in family if each in known]
            if next((value for value in said if value is not None), False):
                embeddings.append(name)
    return {
        "tool_parsers": parsers(package / "tool_parsers" / "__init__.py", "_TOOL_PARSERS_TO_REGISTER"),
        "reasoning_parsers": parsers(package / "reasoning" / "__init__.py", "_REASONING_PARSERS_TO_REGISTER"),
        "lora": lora,
        "lora_embeddings": embeddings,
        "eagle3": eagle3,
    }
