"""The whole site as paths and contents, and writing it: complete or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_serving_planner.base.version import __version__
from llm_serving_planner.hardware.profiles import all_gpus
from llm_serving_planner.models import embedded
from llm_serving_planner.planner.devices.registry import is_measured
from markupsafe import Markup

from website import bundle, cells, documents, fit, planning, reference, runtime
from website.planning import Entry
from website.view import plan_html, render

NAVIGATION = (
    ("Planner", "planner.html", "planner"),
    ("Fit matrix", "fit-1.html", "fit"),
    ("Plans", "plans.html", "plans"),
    ("Values", "values.html", "values"),
    ("Docs", "docs/index.html", "docs"),
)
_ABOUT = "Sizes large language models on GPUs and runs them on Kubernetes with one Helm chart; every number explained."
_EXAMPLE = "mistral-2xt4"
_ASSETS = ("style.css", "site.js", "icon.svg")
Files = dict[str, bytes]


def site(root: Path, package: Path | None) -> Files:
    """Every file of the site by its path.

    Args:
        root: the repository.
        package: Pyodide's npm package; None leaves assets/runtime.js out, and the planner then says that it is missing.
    """
    script = runtime.script(root, package).encode() if package else None
    found: Files = {} if script is None else {"assets/runtime.js": script}
    megabytes = f"{len(script) / 1e6:.0f}" if script else "8"
    for name in _ASSETS:
        found[f"assets/{name}"] = (Path(__file__).parent / "static" / name).read_bytes()
    for path, html in (*_planned(root, megabytes), *_matrix(), *_reference(root), *_licences()):
        found[path] = html.encode()
    found |= _documents(root)
    found[".nojekyll"] = b""
    return found


def _page(template: str, path: str, section: str, title: str, **names: Any) -> tuple[str, str]:
    up = "../" * path.count("/")
    kind = template.split(".", maxsplit=1)[0]
    html = render(
        template,
        up=up,
        nav=NAVIGATION,
        section=section,
        kind=kind,
        title=title,
        about=_ABOUT,
        version=__version__,
        **names,
    )
    return path, html


def _planned(root: Path, megabytes: str) -> Iterator[tuple[str, str]]:
    entries = planning.entries(root)
    for entry in entries:
        place = f"plans/{entry.stem}.html"
        yield _page("plan_page.html.j2", place, "plans", entry.stem, **planning.entry_page(entry))
        yield f"values/{entry.stem}.yaml", entry.text
    yield _page("plans.html.j2", "plans.html", "plans", "Plans", entries=entries)
    yield _page("planner.html.j2", "planner.html", "planner", "Planner", **planning.planner_page(megabytes))
    yield _index(entries)


def _index(entries: list[Entry]) -> tuple[str, str]:
    example = next((entry for entry in entries if entry.stem == _EXAMPLE), entries[0])
    plan = example.plan
    return _page(
        "index.html.j2",
        "index.html",
        "",
        "llm-serving",
        example=Markup(plan_html(plan)),
        example_link=f"plans/{example.stem}.html",
        commands={
            "make": f"make values MODEL={plan.spec.model_id} PROFILE={plan.profile.name}",
            "file": f"{example.stem}.yaml",
            "install": f"helm install {plan.release_name} charts/llm-serving -f values/{example.stem}.yaml\n"
            f"helm test {plan.release_name}",
        },
        models=len(embedded.model_ids()),
        gpus=sum(map(is_measured, all_gpus())),
        plans=len(entries),
    )


def _matrix() -> Iterator[tuple[str, str]]:
    for count in cells.COUNTS:
        yield _page("fit.html.j2", f"fit-{count}.html", "fit", f"What fits on {count}", **fit.page(count))


def _reference(root: Path) -> Iterator[tuple[str, str]]:
    groups = reference.groups(root)
    count = sum(len(group.keys) for group in groups)
    yield _page("values.html.j2", "values.html", "values", "Values", groups=groups, count=count)


def _licences() -> Iterator[tuple[str, str]]:
    items = [*bundle.libraries(), runtime.notice()]
    yield _page("licences.html.j2", "licences.html", "", "Third-party software", items=items)


def _documents(root: Path) -> Files:
    found: Files = {}
    pages = [documents.read(root, source) for source in documents.sources(root)]
    for page in pages:
        path, html = _page(
            "doc.html.j2", page.place, "docs", page.title, body=page.body, headings=page.headings, source=page.source
        )
        found[path] = html.encode()
        for name in page.files:
            found[f"files/{name}"] = (root / name).read_bytes()
    for folder, groups in documents.indexes(pages).items():
        path, html = _page("docs_index.html.j2", f"{folder}/index.html", "docs", "Documents", groups=groups)
        found[path] = html.encode()
    return found


def write(files: Files, out: Path) -> None:
    """Put the site into `out`, in place of what was there.

    Raises:
        OSError: the folder or its parent cannot be written to; `out` is then as it was.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".site-", dir=out.parent))
    try:
        for name, data in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        fresh.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        fresh.replace(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
