"""The tests' own house: helpers are imported from helpers, and each file's name is its own."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from support.helm import ROOT

TESTS = ROOT / "tests"


def imported(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_module_is_imported() -> None:
    modules = {".".join(path.relative_to(TESTS).with_suffix("").parts) for path in TESTS.rglob("test_*.py")}
    modules |= {module.rpartition(".")[2] for module in modules}
    found = {path.name: sorted({*imported(path)} & modules) for path in TESTS.rglob("*.py")}
    assert not {name: names for name, names in found.items() if names}, "move what is shared to tests/support"


def test_names_of_test_files_are_unique() -> None:
    """Pytest imports each by its name alone."""
    twice = {
        name: count for name, count in Counter(path.name for path in TESTS.rglob("test_*.py")).items() if count > 1
    }
    assert not twice
