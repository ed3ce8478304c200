"""Every page is valid HTML, loads nothing from elsewhere and leads somewhere; its facts are those of the project."""

import io
import json
import re
import zipfile
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from justhtml import JustHTML
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.output.committed import load_catalog
from support.helm import ROOT
from website import build, bundle, cells, documents, fit, planning, runtime
from website.build import Files
from website.view import render

MOST_BYTES = {"fit": 1_400_000, "site.js": 20_000, "style.css": 30_000}
WITHOUT_RUNTIME = 12_000_000


@pytest.fixture(scope="module")
def pages(files: Files) -> dict[str, JustHTML]:
    return {
        name: JustHTML(data.decode(), collect_errors=True, sanitize=False)
        for name, data in files.items()
        if name.endswith(".html")
    }


def attributes(page: JustHTML, selector: str, name: str) -> list[str]:
    return [str(node.attrs[name]) for node in page.query(selector) if node.attrs and name in node.attrs]


def attribute(node: Any, name: str) -> str:
    return str(node.attrs[name])


def test_every_page_is_valid_html(pages: dict[str, JustHTML]) -> None:
    assert len(pages) > 40
    assert {name: page.errors for name, page in pages.items() if page.errors} == {}


def test_the_parser_would_find_errors() -> None:
    assert JustHTML("<!doctype html><p><div></p></div>", collect_errors=True, sanitize=False).errors


def test_every_page_has_one_title_one_language_one_first_heading(pages: dict[str, JustHTML]) -> None:
    for name, page in pages.items():
        assert attributes(page, "html", "lang") == ["en"], name
        assert len(page.query("h1")) == 1, name
        ids = attributes(page, "[id]", "id")
        assert sorted(set(ids)) == sorted(ids), name
    titles = [page.query("title")[0].to_text() for page in pages.values()]
    assert all(titles)


def test_nothing_is_loaded_from_elsewhere(files: Files, pages: dict[str, JustHTML]) -> None:
    """Pages name only files of the site; CSS has no url(), JavaScript no address but the made-up one."""
    for name, page in pages.items():
        loaded = attributes(page, "script", "src") + attributes(page, "link", "href") + attributes(page, "[src]", "src")
        for target in loaded:
            assert normpath(join(dirname(name), target)) in files, (name, target)
        assert not page.query("iframe, object, embed, base, style"), name
    assert b"url(" not in files["assets/style.css"]
    assert b"@import" not in files["assets/style.css"]
    assert b"http" not in files["assets/site.js"]
    worker = (Path(build.__file__).parent / "static" / "worker.js").read_text()
    assert set(re.findall(r"https?://[^\"]*", worker)) == {"https://pyodide.invalid/"}


def test_every_link_leads_somewhere(files: Files, pages: dict[str, JustHTML]) -> None:
    anchors = {name: set(attributes(page, "[id]", "id")) for name, page in pages.items()}
    count = 0
    for name, page in pages.items():
        for href in set(attributes(page, "a", "href")):
            parts = urlsplit(href)
            if parts.scheme:
                assert parts.scheme in {"https", "http", "mailto"}, (name, href)
                continue
            target = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
            assert not href.startswith("/"), f"{name}: {href} works at one path only"
            assert target in files, (name, href)
            if parts.fragment and target != "planner.html":
                assert unquote(parts.fragment) in anchors[target], (name, href)
            count += 1
    assert count > 1000


def test_links_into_the_planner_fill_fields_that_it_has(pages: dict[str, JustHTML]) -> None:
    fields = set(attributes(pages["planner.html"], "[name]", "name"))
    models = set(attributes(pages["planner.html"], "datalist#models option", "value"))
    asked = 0
    for page in pages.values():
        for href in attributes(page, "a", "href"):
            if "planner.html#" in href:
                given = parse_qs(href.split("#")[1])
                assert set(given) <= fields, href
                assert given["model"][0] in models, href
                asked += 1
    assert asked > 20_000


def test_sizes(files: Files) -> None:
    for part, most in MOST_BYTES.items():
        for name, data in files.items():
            if part in name and name.startswith(("fit", "assets")):
                assert len(data) < most, name
    assert sum(len(data) for data in files.values()) < WITHOUT_RUNTIME


def test_every_values_file_has_a_page_with_its_whole_text(files: Files, pages: dict[str, JustHTML]) -> None:
    committed = {path.stem for path in (ROOT / "values").glob("*.yaml")} - {"catalog"}
    assert {name[6:-5] for name in pages if name.startswith("plans/")} == committed
    for stem in committed:
        text = (ROOT / "values" / f"{stem}.yaml").read_text()
        assert files[f"values/{stem}.yaml"].decode() == text
        shown = pages[f"plans/{stem}.html"].query(".tall code")[0].to_text(separator="", strip=False)
        assert shown.strip() == text.strip()
        plan = yaml.safe_load(text)["plan"]["estimateGiBPerGpu"]
        legend = pages[f"plans/{stem}.html"].query(".legend")[0].to_text()
        for term in ("weights", "activations", "kvCache"):
            assert f"{plan[term]:.2f}" in legend


def test_bars_fill_the_gpu(pages: dict[str, JustHTML]) -> None:
    for name, page in pages.items():
        for bar in page.query(".bar"):
            shares = [float(attribute(span, "style").split(":")[1]) for span in bar.query("span")]
            assert sum(shares) == pytest.approx(100, abs=0.01), name


def test_the_matrix_has_every_model_and_gpu_and_says_it_without_colour(
    pages: dict[str, JustHTML], shown_models: list[str]
) -> None:
    for count in cells.COUNTS:
        page = pages[f"fit-{count}.html"]
        names = attributes(page, "tbody tr", "data-name")
        assert sorted(names) == sorted(name.lower() for name in shown_models)
        for cell in page.query("tbody td"):
            kind = attribute(cell, "class").removeprefix("fit-")
            text = cell.to_text().strip()
            assert text.startswith({"nodes": ("2N ", "4N ")}.get(kind, (fit.MARKS[kind],))), text
            assert ("at once" in text) == (kind != "no")


def test_every_class_of_the_matrix_occurs(pages: dict[str, JustHTML]) -> None:
    seen = {attribute(cell, "class") for count in (1, 4) for cell in pages[f"fit-{count}.html"].query("tbody td")}
    assert seen == {f"fit-{kind}" for kind in cells.KINDS}


def test_the_reference_has_every_key_of_the_chart(pages: dict[str, JustHTML]) -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs" / "values.md").read_text(), re.MULTILINE)
    assert sorted(attributes(pages["values.html"], ".entry", "id")) == sorted(rows)
    assert len(rows) > 100
    defaults = load_values(ROOT / "charts" / "llm-serving" / "values.yaml")
    assert (
        json.dumps(defaults["startup"]["budgetSeconds"])
        in pages["values.html"].query("[id='startup.budgetSeconds']")[0].to_text()
    )


def test_every_document_has_a_page(files: Files) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        assert documents.place(source.relative_to(ROOT).as_posix()) in files, source
    assert files["docs/sizing.html"].count(b'scope="col"') >= 3
    assert b"files/values/catalog.yaml" in b"".join(files.values()) or "files/docs/data/throughput.csv" in files


def test_a_broken_link_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\nsee [b](b.md)\n")
    with pytest.raises(documents.BrokenLinkError, match=r"docs/a\.md: the link b\.md leads to nothing"):
        documents.read(tmp_path, "docs/a.md")
    (tmp_path / "docs" / "b.md").write_text("# B\n\n<script>alert(1)</script>\n")
    assert 'href="b.html"' in documents.read(tmp_path, "docs/a.md").body
    assert "<script>" not in documents.read(tmp_path, "docs/b.md").body


def test_a_stale_values_file_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "catalog.yaml").write_text((ROOT / "values" / "catalog.yaml").read_text())
    first = load_catalog(tmp_path / "values" / "catalog.yaml")[0]
    with pytest.raises(
        planning.StaleValuesError, match=f"{first.name}-{first.profile}.yaml is stale: run make generate"
    ):
        planning.entries(tmp_path)


def test_names_are_escaped() -> None:
    html = render("_refusal.html.j2", error=InputError("<img src=x onerror=alert(1)>"), reasons=(), ways=())
    assert "<img" not in html


def test_the_archive_is_the_same_bytes_and_has_no_compiled_code() -> None:
    data = bundle.archive(ROOT)
    assert data == bundle.archive(ROOT)
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert {
        "llm_serving_planner/planner/plan.py",
        "llm_serving_planner/data/catalogue.json",
        "yaml/__init__.py",
        "website/bridge.py",
    } <= set(names)
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    assert all(library.text for library in bundle.libraries())


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    build.write({"index.html": b"old", "gone.html": b"old"}, tmp_path / "site")
    with pytest.raises(FileExistsError):
        build.write({"index.html": b"new", "index.html/below": b"new"}, tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_bytes() == b"old"
    build.write({"index.html": b"new"}, tmp_path / "site")
    assert {path.name for path in (tmp_path / "site").iterdir()} == {"index.html"}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_another_pyodide_than_the_reviewed_one_is_refused(tmp_path: Path) -> None:
    package = tmp_path / f"pyodide-{runtime.VERSION}.tgz"
    package.write_bytes(b"something else")
    with pytest.raises(runtime.RuntimeUnavailableError, match="is not the package that was reviewed"):
        runtime.fetch(tmp_path)
    assert not package.exists()


def test_without_npm_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(runtime.RuntimeUnavailableError, match="npm is not on PATH"):
        runtime.fetch(tmp_path / "cache")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(runtime.RuntimeUnavailableError, match=r"npm pack pyodide@[\d.]+ failed: npm error network"):
        runtime.fetch(tmp_path / "cache")
