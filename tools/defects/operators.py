"""Mutants of a module: every small change that a slip of the pen could make, over Python's own syntax tree."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.LShift: ast.RShift,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed module.

    Attributes:
        where: the function or class, dotted; "module" outside of them.
        before, after: the smallest statement's line that changed.
        source: the whole module with the change; comments are gone.
    """

    where: str
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """What stays the same when lines move."""
        return f"{self.where}: {self.before} -> {self.after}"


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of the text; a change that repeats another is left out."""
    tree = ast.parse(source)
    found: dict[str, Mutant] = {}
    for path, change in _changes(tree):
        mutated = copy.deepcopy(tree)
        change(_at(mutated, path))
        place, old = _statement(tree, path)
        _, new = _statement(mutated, path)
        before, after = _difference(_head(old), _head(new))
        one = Mutant(place, before, after, ast.unparse(ast.fix_missing_locations(mutated)) + "\n")
        found.setdefault(one.source, one)
    return list(found.values())


Path = tuple[tuple[str, int | None], ...]
Change = Callable[[ast.AST], None]


def _changes(tree: ast.Module) -> Iterator[tuple[Path, Change]]:
    for path, node in _walk(tree, ()):
        for change in _of(node):
            yield path, change


def _walk(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
    """Nodes with their way from the root; not into what only types, imports or describes."""
    yield path, node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or isinstance(child, ast.Import | ast.ImportFrom):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring
            yield from _walk(child, (*path, (name, index if isinstance(value, list) else None)))


def _of(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            opposite = _COMPARISONS[type(operator)]
            yield _setter(lambda n, o=opposite, i=index: n.ops.__setitem__(i, o()))
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        inverse = _ARITHMETIC[type(node.op)]
        yield _setter(lambda n, o=inverse: setattr(n, "op", o()))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield _setter(lambda n, o=other: setattr(n, "op", o()))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _setter(lambda n: setattr(n, "operand", ast.UnaryOp(ast.Not(), n.operand)))
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and not _changes_by_itself(node.test):
        yield _setter(lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test)))
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield _setter(lambda n: setattr(n, "value", ast.Constant(None)))
    elif isinstance(node, ast.Constant):
        yield from _of_constant(node.value)


def _of_constant(value: object) -> Iterator[Change]:
    if isinstance(value, bool):
        yield _setter(lambda n: setattr(n, "value", not n.value))
    elif isinstance(value, int | float):
        for step in (1, -1):
            yield _setter(lambda n, s=step: setattr(n, "value", n.value + s))


def _setter(change: Callable[..., object]) -> Change:
    """A change as a function of a node alone."""
    return lambda node: (change(node), None)[1]


def _changes_by_itself(test: ast.expr) -> bool:
    """Whether the opposite of a condition is a mutant of its own anyway."""
    single = isinstance(test, ast.Compare) and len(test.ops) == 1
    return single or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _at(tree: ast.AST, path: Path) -> ast.AST:
    node = tree
    for name, index in path:
        child = getattr(node, name)
        node = child if index is None else child[index]
    return node


def _statement(tree: ast.Module, path: Path) -> tuple[str, ast.AST]:
    """The function around a node, and the smallest statement."""
    node: ast.AST = tree
    names: list[str] = []
    statement: ast.AST = tree
    for name, index in path:
        child = getattr(node, name)
        node = child if index is None else child[index]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        if isinstance(node, ast.stmt):
            statement = node
    return ".".join(names) or "module", statement


def _head(statement: ast.AST) -> str:
    """A statement on one line, of a compound one its head."""
    text = ast.unparse(statement)
    lines = text.splitlines()
    while lines[0].startswith("@"):
        lines = lines[1:]
    compound = isinstance(statement, ast.If | ast.While | ast.For | ast.With | ast.FunctionDef | ast.ClassDef)
    return lines[0] if compound else " ".join(line.strip() for line in lines)


def _difference(old: str, new: str, around: int = 44) -> tuple[str, str]:
    """What differs between two texts, with some text around it."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    first = max(0, start - around)
    return old[first : len(old) - max(0, end - around)], new[first : len(new) - max(0, end - around)]
