"""Markdown documents as pages: headings with anchors, links between pages, other files of the repository beside."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from website.highlight import highlight

# Documents outside docs/ that have a page, and documents that have another page than their own.
_PLACES = {
    "README.md": "docs/readme.html",
    "CHANGELOG.md": "docs/changelog.html",
    "CONTRIBUTING.md": "docs/contributing.html",
    "SECURITY.md": "docs/reporting.html",
    "CODE_OF_CONDUCT.md": "docs/conduct.html",
    "docs/values.md": "values.html",
}
_INDEXED = ("docs", "docs/decisions")  # folders whose index the site has itself
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


class BrokenLinkError(Exception):
    """A document links to what the repository does not hold."""


@dataclass(slots=True)
class Document:
    """One page of prose.

    Attributes:
        source: path in the repository.
        place: path in the site.
        headings: (level, anchor, text) of second and third level.
        files: paths in the repository that it links to and that have no page.
    """

    source: str
    place: str
    title: str
    summary: str
    body: Markup
    headings: list[tuple[int, str, str]]
    files: set[str] = field(default_factory=set)


def sources(root: Path) -> list[str]:
    """Documents of the repository that have a page of prose."""
    inside = sorted(path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md"))
    return [name for name in (*_PLACES, *inside) if (root / name).is_file() and place(name) != "values.html"]


def place(source: str) -> str:
    """Path in the site of a document of the repository."""
    return _PLACES.get(source) or f"{source.removesuffix('.md')}.html"


def read(root: Path, source: str) -> Document:
    """A document as HTML.

    Raises:
        BrokenLinkError: a link leads to nothing.
    """
    text = (root / source).read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    parser = MarkdownIt("commonmark", {"html": False, "highlight": _code}).enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    headings = list(_anchors(tokens))
    page = Document(source, place(source), _title(tokens, source), _summary(tokens), Markup(), headings)
    for token in _flat(tokens):
        _relink(root, page, token)
    html = parser.renderer.render(tokens, parser.options, {})
    page.body = Markup(_wrapped(html))
    page.headings = [heading for heading in headings if heading[0] in {2, 3}]
    return page


def _code(text: str, language: str, _: str) -> str:
    return highlight(text, language)


def _flat(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or ())


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or () if child.type in {"text", "code_inline"})


def _anchors(tokens: list[Token]) -> Iterator[tuple[int, str, str]]:
    """Give each heading an id as GitHub does."""
    used: dict[str, int] = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            text = _plain(inline)
            slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
            used[slug] = used.get(slug, -1) + 1
            anchor = f"{slug}-{used[slug]}" if used[slug] else slug
            token.attrSet("id", anchor)
            yield int(token.tag[1]), anchor, text


def _title(tokens: list[Token], source: str) -> str:
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            return _plain(inline)
    return source


def _summary(tokens: list[Token]) -> str:
    for token, inline in pairwise(tokens):
        if token.type == "paragraph_open":
            text = " ".join("".join(
                " " if child.type == "softbreak" else child.content for child in inline.children or ()
            ).split())  # fmt: skip
            return re.split(r"(?<=\.)\s", text, maxsplit=1)[0].rstrip(":")
    return ""


def _relink(root: Path, page: Document, token: Token) -> None:
    for name in ("href", "src"):
        target = str(token.attrGet(name) or "")
        if not target or _OUTSIDE.match(target) or target.startswith("#"):
            continue
        path, _, anchor = target.partition("#")
        token.attrSet(name, _link(root, page, path) + (f"#{anchor}" if anchor else ""))


def _link(root: Path, page: Document, path: str) -> str:
    """The link as seen from the page's own folder."""
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
    found = root / inside
    if inside.startswith("..") or not found.exists():
        raise BrokenLinkError(f"{page.source}: the link {path} leads to nothing")
    if inside.endswith(".md"):
        target = place(inside)
    elif found.is_dir():
        target = f"{inside}/index.html" if inside in _INDEXED else "docs/index.html"
    else:
        page.files.add(inside)
        target = f"files/{inside}"
    return posixpath.relpath(target, posixpath.dirname(page.place) or ".")


def _wrapped(html: str) -> str:
    """Tables and code in regions that scroll by themselves, by keyboard too; a copy button where there is code."""
    html = html.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
    html = (
        html.replace("</table>", "</table></div>")
        .replace("<th>", '<th scope="col">')
        .replace("<th ", '<th scope="col" ')
    )
    button = '<button type="button" class="copy" aria-label="Copy the code">Copy</button>'
    html = html.replace("<pre>", f'<div class="code">{button}<pre tabindex="0" role="region" aria-label="Code">')
    return html.replace("</pre>", "</pre></div>")


def indexes(pages: Sequence[Document]) -> dict[str, list[tuple[str, list[tuple[str, str, str]]]]]:
    """Folder of the site -> groups of (path, title, summary)."""
    docs, decisions, about = [], [], []
    for page in pages:
        entry = (page.place, page.title, page.summary)
        if page.source.startswith("docs/decisions/"):
            decisions.append(entry)
        elif page.source.startswith("docs/"):
            docs.append(entry)
        else:
            about.append(entry)
    groups = [("Guides and facts", docs), ("About the project", about), ("Decisions", decisions)]
    return {"docs": groups, "docs/decisions": [("Decisions", decisions)]}
