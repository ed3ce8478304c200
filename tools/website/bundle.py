"""The Python that the planner needs in the browser, as one archive: generator, libraries, this site's bridge."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackagePath, distribution
from pathlib import Path

# Pure Python of each: where a library has a compiled helper it does without.
LIBRARIES = {
    "jinja2": ("jinja2", "https://github.com/pallets/jinja"),
    "markupsafe": ("markupsafe", "https://github.com/pallets/markupsafe"),
    "pyyaml": ("yaml", "https://github.com/yaml/pyyaml"),
}
_BRIDGE = ("__init__.py", "bars.py", "bridge.py", "view.py")
_FRAGMENTS = ("_plan.html.j2", "_bar.html.j2", "_refusal.html.j2")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format holds: same files, same bytes


@dataclass(frozen=True, slots=True)
class Library:
    """What a visitor may want to know of a library that is passed on."""

    name: str
    version: str
    licence: str
    source: str
    text: str


def archive(root: Path) -> bytes:
    """A ZIP file that can be put on Python's path after unpacking."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, data in sorted([*_generator(root), *_site(), *_libraries()]):
            target.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def _generator(root: Path) -> Iterator[tuple[str, bytes]]:
    folder = root / "generator"
    for path in (folder / "llm_serving_planner").rglob("*"):
        if path.suffix in {".py", ".json", ".j2"}:
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _site() -> Iterator[tuple[str, bytes]]:
    folder = Path(__file__).parent
    for name in (*_BRIDGE, *(f"templates/{fragment}" for fragment in _FRAGMENTS)):
        yield f"website/{name}", (folder / name).read_bytes()


def _files(name: str) -> list[PackagePath]:
    return distribution(name).files or []


def _libraries() -> Iterator[tuple[str, bytes]]:
    for name, (package, _) in LIBRARIES.items():
        for path in _files(name):
            if path.parts[0] == package and path.suffix == ".py":
                yield path.as_posix(), Path(str(path.locate())).read_bytes()


def libraries() -> list[Library]:
    """The libraries of the archive, with the texts of their licences."""
    found = []
    for name, (_, source) in LIBRARIES.items():
        metadata = distribution(name).metadata
        texts = [path.read_text() for path in _files(name) if path.name.upper().startswith("LICENSE")]
        licence = metadata["License-Expression"] or metadata["License"] or "licence below"
        found.append(Library(metadata["Name"], metadata["Version"], licence, source, "\n".join(texts)))
    return found
