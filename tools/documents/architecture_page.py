"""docs/architecture.md: the picture from the imports as they are, the tables from the packages' first lines."""

import ast
import tomllib
from pathlib import Path
from string import Template

import grimp

from documents.tables import cell, table

PACKAGE = "llm_serving_planner"
TEXT = Path(__file__).parent / "architecture.md"


def layers(root: Path) -> list[list[str]]:
    """Folders of the package from the top, those of one layer together, as the contract in pyproject.toml has them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contract = next(contract for contract in settings["contracts"] if contract["type"] == "layers")
    return [[name.strip().removeprefix(f"{PACKAGE}.") for name in layer.split("|")] for layer in contract["layers"]]


def arrows(folders: list[str]) -> set[tuple[str, str]]:
    """Which folder imports which, inside functions and for the type checker too.

    Args:
        folders: names below the package.
    """
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    modules = {folder: graph.find_descendants(f"{PACKAGE}.{folder}") for folder in folders}
    return {
        (importer, imported)
        for importer in folders
        for imported in folders
        if importer != imported
        and any(modules[imported] & graph.find_modules_directly_imported_by(module) for module in modules[importer])
    }


def direct(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows less those that follow from others."""
    reached: dict[str, set[str]] = {}

    def below(folder: str) -> set[str]:
        if folder not in reached:
            next_ones = {end for start, end in found if start == folder}
            reached[folder] = next_ones.union(*(below(one) for one in next_ones))
        return reached[folder]

    return {
        (start, end)
        for start, end in found
        if not any(end in below(other) for first, other in found if first == start and other != end)
    }


def picture(root: Path) -> str:
    """A Mermaid graph of the folders, from the top."""
    folders = [folder for layer in layers(root) for folder in layer]
    lines = ["```mermaid", "flowchart TD", *(f"  {folder}" for folder in folders)]
    drawn = sorted(direct(arrows(folders)), key=lambda arrow: [folders.index(folder) for folder in arrow])
    lines += [f"  {start} --> {end}" for start, end in drawn]
    return "\n".join([*lines, "```"])


def folder_table(root: Path) -> str:
    """Every folder of the package and of tools/ with its sentence, the package's from the top."""
    package = root / "generator" / PACKAGE
    names = [
        *(folder for layer in layers(root) for top in layer for folder in _packages(package / top, package)),
        *(f"tools/{folder}" for folder in _packages(root / "tools", root / "tools")),
    ]
    rows = []
    for name in names:
        path = (root if name.startswith("tools/") else package) / name / "__init__.py"
        sentence = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        rows.append((f"`{name}/`", cell(sentence)))
    return table(("folder", "what is there"), rows)


def _packages(folder: Path, above: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(above)) for path in folder.rglob("__init__.py"))


def architecture_page(root: Path) -> str:
    """The whole page: architecture.md beside this file with the picture and the table in place of their names."""
    parts = {"picture": picture(root), "folders": folder_table(root).rstrip("\n")}
    return Template(TEXT.read_text(encoding="utf-8")).substitute(parts)
