"""data/vllm_flags.json: which flags `vllm serve` has, since and until which release, and the kind of each value.

Read from the package's source, which is neither imported nor run: vLLM makes most flags from the fields of its config
classes, so that a flag's kind follows from the field's annotation, by the rules of vllm/engine/arg_utils.py.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.engines.versions import parse_version

SOURCE = (
    "vllm/engine/arg_utils.py, vllm/entrypoints/common/cli_args.py and vllm/config of the wheels on PyPI; versions "
    "before 0.33.0: a dump of the parser that these files build"
)
PARSERS = ("engine/arg_utils.py", "entrypoints/common/cli_args.py")
FRONTEND = "FrontendArgs"
# Their flags are those of `vllm serve`; others in the same files belong to other commands.
FUNCTIONS = {"EngineArgs.add_cli_args", "AsyncEngineArgs.add_cli_args", "make_arg_parser"}
_NUMBERS = ("bool", "int", "float")


class Source:
    """What the files of a package define: classes with their annotated fields, aliases of types."""

    def __init__(self, package: Path) -> None:
        """Read the files that add flags and everything below vllm/config.

        Raises:
            FileNotFoundError: a file that adds flags is not where this version of the tool knows it.
        """
        self.trees = [_tree(package / name) for name in PARSERS]
        self.bases: dict[str, list[str]] = {}
        self.fields: dict[str, dict[str, ast.expr]] = {}
        self.aliases: dict[str, ast.expr] = {}
        self.dataclasses: set[str] = set()
        for tree in [*self.trees, *(_tree(path) for path in sorted((package / "config").rglob("*.py")))]:
            for node in tree.body:
                self._keep(node)

    def _keep(self, node: ast.stmt) -> None:
        if isinstance(node, ast.ClassDef):
            self.bases[node.name] = [ast.unparse(base) for base in node.bases]
            self.fields[node.name] = {
                statement.target.id: statement.annotation
                for statement in node.body
                if isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and "ClassVar" not in ast.unparse(statement.annotation)
            }
            if node.decorator_list:  # @config, @dataclass
                self.dataclasses.add(node.name)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            self.aliases[node.targets[0].id] = node.value

    def fields_of(self, name: str) -> dict[str, ast.expr]:
        """The annotated fields of a class and of its bases."""
        found: dict[str, ast.expr] = {}
        for base in self.bases.get(name, ()):
            found |= self.fields_of(base)
        return found | self.fields.get(name, {})

    def members(self, annotation: ast.expr) -> Iterator[ast.expr]:
        """The types of a union, with aliases and `Annotated` looked through."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            yield from self.members(ast.parse(annotation.value, mode="eval").body)
        elif isinstance(annotation, ast.BinOp):
            yield from self.members(annotation.left)
            yield from self.members(annotation.right)
        elif isinstance(annotation, ast.Name) and annotation.id in self.aliases:
            yield from self.members(self.aliases[annotation.id])
        elif isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) in {"Annotated", "Optional"}:
            inner = annotation.slice
            yield from self.members(inner.elts[0] if isinstance(inner, ast.Tuple) else inner)
        else:
            yield annotation

    def kind(self, annotation: ast.expr) -> str:
        """Kind of value of a field: bool, int, float, json or str."""
        members = list(self.members(annotation))
        names = {ast.unparse(member).split("[")[0].rsplit(".", 1)[-1] for member in members}
        if names & self.dataclasses:
            return "json"
        if names == {"bool", "str", "None"}:  # a flag that may stand alone
            return "str"
        if "bool" in names:
            return "bool"
        for member in members:
            if isinstance(member, ast.Subscript) and ast.unparse(member.value) in {"Literal", "list", "tuple", "set"}:
                first = member.slice.elts[0] if isinstance(member.slice, ast.Tuple) else member.slice
                if ast.unparse(member.value) == "Literal":
                    return type(ast.literal_eval(first)).__name__
                return "str" if len(list(self.members(first))) > 1 else self.kind(first)
        names |= {"int" for name in names if "IntEnum" in self.bases.get(name, ())}
        numbers = [name for name in _NUMBERS if name in names]
        return numbers[0] if numbers else "json" if names & {"dict", "Mapping"} else "str"


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def read(package: Path) -> dict[str, str]:
    """Kind of value by name of flag, without dashes, as `vllm serve` of this package takes them.

    Args:
        package: folder of the package `vllm`.

    Raises:
        FileNotFoundError: the package has another layout.
        InputError: a flag is made from no field that is known.
    """
    source = Source(package)
    found: dict[str, str] = {}
    overridden: dict[str, str] = {}
    for tree in source.trees:
        for name, function in _functions(tree):
            overridden |= _overridden(function)
            if name in FUNCTIONS:
                found |= _added(function, source)
    for field, annotation in source.fields_of(FRONTEND).items():
        found[field.replace("_", "-")] = overridden.get(f"frontend_kwargs.{field}") or source.kind(annotation)
    return dict(sorted(found.items()))


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def _overridden(function: ast.FunctionDef) -> dict[str, str]:
    """`x_kwargs["field"]["type"] = ...`, by `x_kwargs.field`: a kind that does not follow from the annotation."""
    found = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            words = re.search(r"(\w+)\['(\w+)'\]\['type'\]", ast.unparse(node.targets[0]))
            if words:
                found[f"{words[1]}.{words[2]}"] = _called(node.value)
    return found


def _called(converter: ast.expr) -> str:
    """Kind of a value that goes through this function."""
    if isinstance(converter, ast.Lambda):  # takes a text apart itself
        return "str"
    text = ast.unparse(converter)
    return "json" if "json.loads" in text else next((name for name in _NUMBERS if name in text), "str")


def _added(function: ast.FunctionDef, source: Source) -> dict[str, str]:
    """Every flag that the function adds by name."""
    classes: dict[str, str] = {}  # of a variable with the arguments of a config's fields
    single: dict[str, str] = {}  # variable with the arguments of one field -> "variable.field"
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target, text = node.targets[0].id, ast.unparse(node.value)
            if words := re.fullmatch(r"get_kwargs\((\w+)\)", text):
                classes[target] = words[1]
            elif words := re.fullmatch(r"get_kwargs\((\w+)\)\['(\w+)'\]", text):
                classes[target], single[target] = words[1], f"{target}.{words[2]}"
            elif words := re.fullmatch(r"(\w+_kwargs)\['(\w+)'\]", text):
                single[target] = f"{words[1]}.{words[2]}"
    overridden = _overridden(function)
    found = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            names = [word.value for word in node.args if isinstance(word, ast.Constant)]
            flag = next((str(name)[2:] for name in names if str(name).startswith("--")), None)
            if flag is not None:
                found[flag] = _kind_of_call(node, source, classes, single, overridden)
    return found


def _kind_of_call(
    call: ast.Call, source: Source, classes: dict[str, str], single: dict[str, str], overridden: dict[str, str]
) -> str:
    given = {word.arg: word.value for word in call.keywords}
    if "type" in given:
        return _called(given["type"])
    if "action" in given and re.search("store_true|store_false|BooleanOptional", ast.unparse(given["action"])):
        return "bool"
    if None not in given:
        return "str"
    text = ast.unparse(given[None])
    words = re.search(r"(\w+)\['(\w+)'\]", text)
    place = f"{words[1]}.{words[2]}" if words else single.get(text, "")
    variable, _, field = place.partition(".")
    if place in overridden:
        return overridden[place]
    annotation = source.fields_of(classes.get(variable, "")).get(field)
    if annotation is None:
        raise InputError(f"no field stands behind {ast.unparse(call)[:120]}")
    return source.kind(annotation)


def merged(table: dict[str, Any], version: str, read_flags: dict[str, str]) -> dict[str, Any]:
    """The table with what one version has.

    The newest version of the table may be read again, a newer one is added. Since when a flag is there is known to the
    compared releases only: one that came between two of them counts from the later.

    Args:
        table: data/vllm_flags.json.
        version: the version that was read.
        read_flags: what `read` said of it.

    Raises:
        InputError: the version is older than the table's newest; what it has is in the table already, or between two.
    """
    if parse_version(version) < parse_version(table["newest"]):
        raise InputError(f"data/vllm_flags.json: {version} is older than its newest version, {table['newest']}")
    flags: dict[str, dict[str, str | None]] = {name: dict(entry) for name, entry in table["flags"].items()}
    for name, kind in read_flags.items():
        entry = flags.get(name, {})
        since = entry["from"] if entry and "until" not in entry else version
        flags[name] = {"from": since, "kind": kind}
    for name in set(flags) - set(read_flags):
        if "until" not in flags[name]:
            flags[name] = {"from": flags[name]["from"], "until": table["newest"], "kind": flags[name]["kind"]}
    compared = table["versions_compared"]
    return {
        **table,
        "newest": version,
        "versions_compared": compared if version in compared else [*compared, version],
        "flags": dict(sorted(flags.items())),
    }


def text_of(table: dict[str, Any]) -> str:
    """The table as JSON, one flag a line."""
    head = {key: value for key, value in table.items() if key != "flags"}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    flags = [f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in table["flags"].items()]
    return "\n".join(["{", *lines, '  "flags": {', ",\n".join(flags), "  }", "}"]) + "\n"
