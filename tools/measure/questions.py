"""Count the questions "which engine, whose GPU" outside the modules that implement one. Part of `make lint`.

python tools/measure/questions.py [FOLDER ...]     (default: the package and the site)

A question is a name of an engine or a vendor as a string (compared, looked up, matched or handed over: it makes no
difference), a comparison of something's `vendor` or `engine`, `isinstance` of one of the implementing classes, or a
call of a predicate such as `is_cpu`. Docstrings and texts that merely contain a name are none. Every exception below is
a file with the number of questions that it may hold, and why; one that holds fewer fails too, so that the list shrinks.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "generator/llm_serving_planner"
FOLDERS = (PACKAGE, "tools/website")
NAMES = frozenset({"vllm", "tgi", "tgis", "nvidia", "amd", "intel", "gaudi"})
CLASSES = frozenset({"Vllm", "Frozen", "Tgi", "Tgis", "Nvidia", "Accelerator", "Amd", "Gaudi", "Cpu"})
PREDICATES = frozenset({"is_cpu", "is_gpu", "is_other", "_other", "is_vllm", "is_nvidia", "is_amd", "is_gaudi"})
IMPLEMENTATIONS = frozenset(
    {
        f"{PACKAGE}/engines/vllm.py",
        f"{PACKAGE}/engines/tgi.py",
        f"{PACKAGE}/engines/tgis.py",
        f"{PACKAGE}/planner/devices/nvidia.py",
        f"{PACKAGE}/planner/devices/rocm_gaudi.py",
        f"{PACKAGE}/planner/devices/cpu.py",
    }
)
EXCEPTIONS: dict[str, tuple[int, str]] = {
    f"{PACKAGE}/cli/talking.py": (5, "the protocol that is called tgis, a choice of the user's, not the engine"),
    f"{PACKAGE}/engines/attention.py": (1, "key of vLLM's own table in data/attention.json, which the module reads"),
    f"{PACKAGE}/engines/format_support.py": (1, "key of vLLM's own rows in data/quantization.json, the same"),
    f"{PACKAGE}/hardware/profiles.py": (11, "vendors as data and users' files spell them; hardware knows no device"),
    f"{PACKAGE}/planner/ways_out.py": (1, "whether the default engine was asked for already, whichever that is"),
}


def questions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, what is asked) in one module."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            words = [part for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)]
            attributes = {side.attr for side in sides if isinstance(side, ast.Attribute)}
            if attributes & {"vendor", "engine"} or any(word.value in NAMES for word in words if _is_text(word)):
                named |= {id(word) for word in words}  # one question, however it is put
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            classes = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & CLASSES
            if name in PREDICATES or (name == "isinstance" and classes):
                yield node.lineno, ast.unparse(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in docstrings | named:
            yield node.lineno, repr(node.value)


def _is_text(node: ast.Constant) -> bool:
    return isinstance(node.value, str)


def main() -> int:
    """Print what is asked outside, and the counts; 1 when it is not what the list allows."""
    folders = [Path(name).resolve() for name in sys.argv[1:]] or [ROOT / name for name in FOLDERS]
    asked, allowed, code = 0, 0, 0
    seen = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
        if name in IMPLEMENTATIONS:
            continue
        found = sorted(questions(ast.parse(path.read_text(encoding="utf-8"))))
        may = EXCEPTIONS.get(name, (0, ""))[0]
        seen.add(name)
        if len(found) != may:
            code = 1
            print(f"{name}: {len(found)} questions, {may} are allowed")
            for line, text in found:
                print(f"  {line}: {text}")
            asked += len(found)
        else:
            allowed += may
    if not sys.argv[1:]:
        for name in sorted(set(EXCEPTIONS) - seen):
            code = 1
            print(f"{name}: an exception for a file that is not there")
    print(f"questions which engine or vendor: {asked} outside, {allowed} allowed in {len(EXCEPTIONS)} files")
    return code


if __name__ == "__main__":
    sys.exit(main())
