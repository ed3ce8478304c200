"""Documents of others, and what becomes of them when something in them is changed: structure first, then the text.

A document of the corpus is right; one to four of its places get another type, an extreme, another place's value, or go.
Then it is written as JSON or YAML, and now and then the text itself is disturbed.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

Path = tuple[Any, ...]
EXTREMES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    10**6,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**30,
    10**350,
    0.5,
    -0.0,
    1e308,
    5e-324,
    "",
    " ",
    "0",
    "1",
    "x",
    "null",
    "nan",
    "a\nb: c",
    "x\n",
    "\x1b[2J\x07",
    "\u202e",
    "\ud800",
    "../x",
    "/dev/zero",
    "~",
    "*",
    "{{ .x }}",
    "$(HF_TOKEN)",
    "y" * 5000,
    "9" * 5000,
    [],
    {},
    [[]],
    [None],
    [0],
    ["x"],
    [{}],
    {"x": None},
    {"": {}},
    {"a": [1]},
    ["x"] * 300,
    [[[[[[[[1]]]]]]]],
    {"type": "int"},
    {"items": None},
]
_WRONG = st.one_of(
    st.sampled_from(EXTREMES),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=6,
    ),
)
# What is laid over a text: at a place, in place of nothing
_DISTURBED = [
    "NaN",
    ".nan",
    "-.inf",
    "Infinity",
    "1e999",
    "9" * 4500,
    "[" * 300,
    "{" * 300,
    "\x00",
    "\x1b",
    "\ufeff",
    "\u2028",
    '"',
    "'",
    "}",
    "]",
    ":",
    "- ",
    "&a ",
    "*a",
    "!!python/object:x ",
    "<<: ",
    "? ",
    "---\n",
    "%YAML 1.2\n",
    "\t",
    "y",
    "0o17",
    "1:30",
    "1_000",
    "\n",
    "#",
]


def places(document: Any, path: Path = ()) -> Iterator[Path]:
    """Every place of a document, the document itself first."""
    yield path
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in children:
        yield from places(value, (*path, key))


def put(document: Any, path: Path, value: Any) -> Any:
    """The document with one place changed."""
    if not path:
        return value
    node = document
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return document


def at(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


@st.composite
def changed(draw: st.DrawFn, corpus: list[Any]) -> Any:
    """A document of the corpus with one to four changes."""
    document = copy.deepcopy(draw(st.sampled_from(corpus)))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(document))
        path = found[draw(st.integers(0, len(found) - 1))]
        change = draw(st.sampled_from(["wrong", "wrong", "gone", "other", "twice", "deep", "new"]))
        node = at(document, path)
        if change == "gone" and path:
            parent = at(document, path[:-1])
            del parent[path[-1]]
        elif change == "other":
            document = put(document, path, copy.deepcopy(at(document, found[draw(st.integers(0, len(found) - 1))])))
        elif change == "twice" and isinstance(node, list):
            node.extend(copy.deepcopy(node) * 20)
        elif change == "deep":
            deep: Any = node
            for _ in range(draw(st.sampled_from([1, 3, 99, 150]))):
                deep = [deep] if draw(st.booleans()) else {"x": deep}
                if len(str(path)) > 200:
                    break
            document = put(document, path, deep)
        elif change == "new" and isinstance(node, dict):
            node[draw(st.text(max_size=8))] = copy.deepcopy(draw(_WRONG))
        else:
            document = put(document, path, copy.deepcopy(draw(_WRONG)))
    return document


@st.composite
def texts(draw: st.DrawFn, corpus: list[Any], *, as_yaml: bool = False) -> bytes:
    """A changed document as a text, now and then a disturbed one."""
    document = draw(changed(corpus))
    if as_yaml and draw(st.booleans()):
        try:
            text = yaml.safe_dump(document, allow_unicode=True)
        except (yaml.YAMLError, RecursionError):
            text = json.dumps(document)
    else:
        text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        for _ in range(draw(st.integers(1, 3))):
            where = draw(st.integers(0, len(text)))
            text = text[:where] + draw(st.sampled_from(_DISTURBED)) + text[where + draw(st.integers(0, 3)) :]
    raw = text.encode("utf-8", "surrogatepass")
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 19)) == 0 else raw


def log_lines(lines: list[str]) -> st.SearchStrategy[bytes]:
    """A log out of an engine's own lines, parts of them, extremes and noise."""
    parts = st.one_of(
        st.sampled_from(lines),
        st.builds(lambda line, cut: line[cut:] + line[:cut], st.sampled_from(lines), st.integers(0, 200)),
        st.builds(
            lambda line, digits: "".join(digits if c.isdigit() else c for c in line),
            st.sampled_from(lines),
            st.sampled_from(["9" * 50, "-1", "", "1e5", ".", ",", "٣", "9" * 40_000]),
        ),
        st.builds(
            lambda piece, times: piece * times,
            st.sampled_from(["9", "(", "GiB ", "CUDA out of memory ", "a pid=1 "]),
            st.integers(1, 20_000),
        ),
        st.text(max_size=60),
    )
    return st.lists(parts, max_size=30).map(lambda found: "\n".join(found).encode("utf-8", "surrogatepass"))
