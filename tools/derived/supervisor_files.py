"""charts/llm-serving/files/*.py: the programs of the pods, copied from generator/supervisor.

A ConfigMap has no folders, so the copies lie side by side and import each other by their bare names.
"""

import re
from pathlib import Path

# Modules that a program imports from the generator travel with it.
_SHARED = ("generator/llm_serving_planner/clients/fmaas.py",)
_IMPORT = re.compile(r"^from (?:supervisor|llm_serving_planner\.clients)\.(\w+) import ", re.MULTILINE)


def supervisor_files(root: Path) -> dict[Path, str]:
    """Every copy by its path: the source below a line that names it, its imports made those of a sibling."""
    package = root / "generator" / "supervisor"
    sources = [path for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
    sources += [root / name for name in _SHARED]
    found = {}
    for source in sources:
        mark = f"# Made by `make generate` from {source.relative_to(root)}; change that file.\n"
        text = _IMPORT.sub(r"from \1 import ", source.read_text(encoding="utf-8"))
        found[root / "charts" / "llm-serving" / "files" / source.name] = mark + text
    return found
