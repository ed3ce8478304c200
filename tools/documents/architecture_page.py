"""docs/architecture.md: the picture from the imports as they are, the table of modules from their first lines."""

import ast
from collections import defaultdict
from pathlib import Path

from documents.tables import cell, table

# Modules directly in the package, by the part of the picture that they belong to; others are the planner's. Packages
# are parts of their own.
_PARTS = {
    "contract": ("schema", "removed", "errors", "home", "options", "model", "compute", "__init__"),
    "facts": ("engines", "engine_types", "profiles", "quantization_support", "cpu"),
    "models": (
        "source", "hub", "checkpoint", "catalogue", "parse", "architectures", "fields", "layers", "experts",
        "parameters", "quantization", "rotary", "variants",
    ),
    "writing": ("values", "render", "report", "catalog"),
    "commands": ("cli", "__main__"),
}  # fmt: skip
_TITLES = {
    "commands": "command line",
    "models": "models: hub, cache, catalogue -> ModelSpec",
    "facts": "facts as data: engines, GPUs, quantisation",
    "planner": "planner: ModelSpec x profile x options -> Plan",
    "writing": "writing: Plan -> values file, report",
    "advice": "advice: ranking, speed, price",
    "nodes": "nodes: MachineSets, Karpenter, eksctl",
    "preflight": "preflight: the cluster before an install",
    "logs": "logs: an engine's log against the plan",
    "clients": "clients: query, chat",
    "contract": "contract: schema, errors, plain types",
}


def modules(root: Path) -> dict[str, tuple[str, ast.Module]]:
    """Each module by its dotted name below the package: first line of its docstring, syntax tree."""
    package = root / "generator" / "llm_serving_planner"
    found = {}
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        found[name] = ((ast.get_docstring(tree) or "").partition("\n")[0], tree)
    return found


def part_of(name: str) -> str:
    """The part of the picture that a module belongs to."""
    first, _, rest = name.partition(".")
    if rest and first != "use":  # what is used beside plain generation is planned with the rest
        return first
    return next((part for part, names in _PARTS.items() if first in names), "planner")


def imports(name: str, tree: ast.Module, known: set[str]) -> set[str]:
    """The modules of this package that a module imports, inside functions too; for the type checker alone is none."""
    found = set()
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in set(ast.walk(tree)) - typing:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "llm_serving_planner":
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found |= {choice for choice in (inner, f"{inner}.__init__", base) if choice in known and choice}
    return found - {name}


def edges(root: Path) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Which part imports which, and by which modules."""
    known = modules(root)
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for name, (_, tree) in known.items():
        for other in imports(name, tree, set(known)):
            pair = part_of(name), part_of(other)
            if pair[0] != pair[1]:
                found[pair].append((name, other))
    return dict(found)


def picture(root: Path) -> str:
    """A Mermaid graph of the parts; arrows point to what is imported, those to the contract are left out."""
    drawn = sorted(pair for pair in edges(root) if "contract" not in pair)
    parts = [part for part in _TITLES if part != "contract"]
    parts += sorted({part for pair in drawn for part in pair} - set(parts))
    lines = ["```mermaid", "graph TD"]
    lines += [f'  {part}["{_TITLES.get(part, part).replace("->", "→")}"]' for part in parts]
    lines += [f"  {start} --> {end}" for start, end in drawn]
    return "\n".join([*lines, "```"])


def module_table(root: Path) -> str:
    """Every module with its one reason."""
    rows = [(f"`{name.replace('.', '/')}.py`", cell(reason)) for name, (reason, _) in modules(root).items()]
    return table(("module", "why it is there"), rows)


def tool_table(root: Path) -> str:
    """Every tool with its one reason."""
    rows = []
    for path in sorted((root / "tools").rglob("*.py")):
        reason = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        rows.append((f"`{path.relative_to(root)}`", cell(reason)))
    return table(("tool", "why it is there"), rows)


def template_table(root: Path) -> str:
    """Every helper file of the chart with the first sentence of its comment, or what it defines."""
    rows = []
    for path in sorted((root / "charts" / "llm-serving" / "templates").glob("_*.tpl")):
        text = path.read_text(encoding="utf-8")
        comment = text.partition("{{- /*")[2].partition("*/")[0] if text.startswith("{{- /*") else ""
        sentence = " ".join(comment.split()).partition(". ")[0].rstrip(".")
        first = text.partition('define "')[2].partition('"')[0]
        rows.append((f"`{path.name}`", cell(f"{sentence}." if sentence else f"`{first}` and its like.")))
    return table(("helpers", "why they are there"), rows)


def architecture_page(root: Path) -> str:
    """The whole page: `tools/documents/architecture.md` with picture and tables in place of their names."""
    text = (root / "tools" / "documents" / "architecture.md").read_text(encoding="utf-8")
    for name, made in (
        ("PICTURE", picture(root)),
        ("MODULES", module_table(root)),
        ("TEMPLATES", template_table(root)),
        ("TOOLS", tool_table(root)),
    ):
        text = text.replace(f"<!-- {name} -->", made.rstrip("\n"))
    return text
