"""The chart's templates as text: what they define, what they include, and how deep that goes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from support.helm import CHART

FILES = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
PARTIALS = [path for path in FILES if path.name.startswith("_")]
RENDERED = [path for path in FILES if path not in PARTIALS]
_COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_DEFINE = re.compile(r'\{\{-?\s*define\s+"([^"]+)"\s*-?\}\}')
_INCLUDE = re.compile(r'\binclude\s+(?:"([^"]+)"|\(printf\s+"([^"]+)")')


@dataclass(frozen=True)
class Template:
    """A rendered file or a named template.

    Attributes:
        name: the file's path below templates/, or the name of the define.
        text: its body, without comments.
        file: where it stands.
    """

    name: str
    text: str
    file: Path

    @property
    def includes(self) -> set[str]:
        """Names of the defines that the body may include; each `%s` of a name that is made stands for one word."""
        found: set[str] = set()
        read = _INCLUDE.findall(self.text)
        assert len(read) == len(re.findall(r"\binclude\b", self.text)), f"{self.name}: an include of another form"
        for literal, made in read:
            wanted = re.compile(re.escape(literal or made).replace("%s", "[a-zA-Z]+"))
            hits = {name for name in defines() if wanted.fullmatch(name)}
            assert hits, f"{self.name} includes {literal or made}, which nothing defines"
            found |= hits
        return found


def without_comments(text: str) -> str:
    """The text of a template without its comments."""
    return _COMMENT.sub("", text)


def _bodies(path: Path) -> Iterator[Template]:
    """The defines of a file: each reaches to the next one, or to the end."""
    text = without_comments(path.read_text())
    starts = list(_DEFINE.finditer(text))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    for match, end in zip(starts, ends, strict=True):
        yield Template(match[1], text[match.end() : end].strip().removesuffix("{{- end -}}"), path)


@cache
def defines() -> dict[str, Template]:
    """Every named template by its name."""
    found: dict[str, Template] = {}
    for path in PARTIALS:
        for template in _bodies(path):
            assert template.name not in found, f"{template.name} is defined twice"
            found[template.name] = template
    return found


@cache
def rendered() -> list[Template]:
    """Every file that Helm renders."""
    folder = CHART / "templates"
    return [Template(str(path.relative_to(folder)), without_comments(path.read_text()), path) for path in RENDERED]


@cache
def longest_chain(name: str) -> tuple[str, ...]:
    """The longest chain of includes that begins with a define.

    Raises:
        RecursionError: the includes run in a circle.
    """
    chains = [longest_chain(inner) for inner in sorted(defines()[name].includes)]
    return (name, *max(chains, key=len, default=()))


def of_users() -> set[str]:
    """Defines that users may include: those in extraObjects of the ci files."""
    found = set()
    for path in (CHART / "ci").glob("*-values.yaml"):
        text = str((yaml.safe_load(path.read_text()) or {}).get("extraObjects", ""))
        found |= {literal for literal, _ in _INCLUDE.findall(text)}
    return found
