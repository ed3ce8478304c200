"""The pages in a real browser: silent, self-contained, readable on a phone, in light and dark, by keyboard, for axe."""

import json
from pathlib import Path

import pytest
from pages.visits import Scheme, Visit, visit
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.site

KINDS = (
    "index.html", "planner.html", "fit-1.html", "plans.html", "plans/mistral-2xt4.html", "values.html",
    "docs/index.html", "docs/sizing.html", "docs/decisions/0001-one-contract.html", "licences.html",
)  # fmt: skip
WIDTHS = (1280, 390)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_every_page_is_silent_self_contained_and_as_wide_as_a_phone(browser: Browser, folder: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.html")]
    assert len(names) > 40
    with visit(browser, folder.as_uri(), width=390) as visitor:
        too_wide = [name for name in names if visitor.go(name).evaluate(OVERFLOW) > 0]
        assert too_wide == []
        assert len(visitor.loaded) > 3 * len(names)


def test_a_stranger_would_be_noticed(browser: Browser, folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"https://example\.com/"), visit(browser, folder.as_uri()) as visitor:
        visitor.go("index.html").evaluate("fetch('https://example.com/').catch(() => 0)")
    with pytest.raises(AssertionError, match="error: broken"), visit(browser, folder.as_uri()) as visitor:
        visitor.go("index.html").evaluate("console.error('broken')")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("path", KINDS)
def test_axe_finds_nothing_serious(
    browser: Browser, folder: Path, axe: str, path: str, scheme: Scheme, width: int
) -> None:
    if path == "fit-1.html" and (width, scheme) not in {(1280, "light"), (390, "dark")}:
        path = "fit-1.html#few"  # 7,000 cells twice is enough; the same colours with fewer rows the other times
    with visit(browser, folder.as_uri(), width=width, scheme=scheme) as visitor:
        page = visitor.go(path)
        if path.endswith("#few"):
            page.fill("input[name=row]", "70b")
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        assert serious(page, axe) == []


def serious(page: Page, axe: str) -> list[str]:
    """Findings of axe-core that it calls serious or critical."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
    return [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"][:3]
    ]


def test_axe_would_find_something(browser: Browser, folder: Path, axe: str) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("plans.html")
        page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input><img src=data:,>')")
        assert {line.split(":")[0] for line in serious(page, axe)} >= {"image-alt", "label"}


def test_light_and_dark_differ_in_every_colour_that_carries_meaning(browser: Browser, folder: Path) -> None:
    seen: dict[Scheme, dict[str, str]] = {}
    for scheme in SCHEMES:
        with visit(browser, folder.as_uri(), scheme=scheme) as visitor:
            page = visitor.go("fit-1.html")
            seen[scheme] = {
                name: page.evaluate(f"getComputedStyle(document.querySelector('{name}')).backgroundColor")
                for name in ("body", "dt.fit-fits", "dt.fit-tight", "dt.fit-quantised", "dt.fit-nodes", "dt.fit-no")
            }
    assert all(seen["light"][name] != seen["dark"][name] for name in seen["light"])
    assert all(len(set(colours.values())) == len(colours) for colours in seen.values())


def focused(page: Page) -> dict[str, str]:
    """What has the focus, and whether one sees it."""
    found: dict[str, str] = page.evaluate(
        """() => { const e = document.activeElement, s = getComputedStyle(e);
        return {tag: e.tagName, text: e.textContent.trim().slice(0, 40), name: e.name || '', outline: s.outlineStyle,
                width: s.outlineWidth, place: String(e.getBoundingClientRect().left >= 0)} }"""
    )
    return found


@pytest.mark.parametrize("path", KINDS)
def test_the_tab_key_walks_through_and_one_sees_where(browser: Browser, folder: Path, path: str) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go(path)
        walk = []
        for _ in range(14):
            page.keyboard.press("Tab")
            walk.append(focused(page))
        assert [stop["text"] for stop in walk[:3]] == ["Skip to the content", "llm-serving", "Planner"]
        for stop in walk:
            if stop["tag"] != "BODY":
                assert stop["outline"] != "none", stop
                assert stop["width"] != "0px", stop
                assert stop["place"] == "true", stop


def test_the_skip_link_leads_to_the_content(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("plans.html")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_matrix_is_one_stop_and_arrows_move_in_it(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("fit-4.html")
        assert page.locator("tbody a[tabindex='0']").count() == 1
        page.focus("tbody a[tabindex='0']")
        place = "[document.activeElement.closest('tr').rowIndex, document.activeElement.parentElement.cellIndex]"
        assert page.evaluate(place) == [1, 1]
        for key, expected in (
            ("ArrowRight", [1, 2]), ("ArrowDown", [2, 2]), ("ArrowDown", [3, 2]), ("ArrowLeft", [3, 1]),
            ("End", [3, 26]), ("ArrowRight", [3, 26]), ("Home", [3, 1]), ("ArrowUp", [2, 1]),
        ):  # fmt: skip
            page.keyboard.press(key)
            assert page.evaluate(place) == expected, key
        assert page.locator("tbody a[tabindex='0']").count() == 1
        page.keyboard.press("Tab")
        assert not page.evaluate("document.querySelector('table').contains(document.activeElement)")


def shown_rows(visitor: Visit) -> int:
    return visitor.page.locator("tbody tr:visible").count()


def test_filters_of_the_matrix(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("fit-1.html")
        every = shown_rows(visitor)
        page.fill("input[name=row]", "qwen 8b, mixtral")
        few = shown_rows(visitor)
        names = page.locator("tbody tr:visible").evaluate_all("rows => rows.map(row => row.dataset.name)")
        assert all(("qwen" in name and "8b" in name) or "mixtral" in name for name in names)
        assert 0 < few < every
        page.fill("input[name=column]", "h100")
        assert page.locator("thead th:visible").count() == 4
        assert page.text_content("output") == f"{few} of {every} models, 3 of 26 GPUs"
        page.select_option("select[name=kind]", "fits")
        assert 0 < shown_rows(visitor) < few
        page.fill("input[name=row]", "no such model")
        assert shown_rows(visitor) == 0


def test_filter_of_the_values(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("values.html")
        page.fill("input[name=row]", "storage claim")
        shown = page.locator(".entry:visible").evaluate_all("entries => entries.map(entry => entry.dataset.name)")
        assert 1 < len(shown) < 20
        assert all("storage" in text and "claim" in text for text in shown)
        assert page.locator(".group:visible").count() < 5


def test_copying(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri(), permissions=["clipboard-read", "clipboard-write"]) as visitor:
        page = visitor.go("plans/mistral-2xt4.html")
        button = page.get_by_role("button", name="Copy the values file")
        if button.count() == 0:
            button = page.get_by_role("button", name="Copy values file")
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.textContent === 'Copied'")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.strip() == (folder / "values" / "mistral-2xt4.yaml").read_text().strip()


def test_without_javascript_everything_can_be_read(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri(), java_script_enabled=False) as visitor:
        page = visitor.go("fit-1.html")
        assert page.locator("tbody tr").count() > 200
        assert page.locator("form.filters").is_hidden()
        assert "needs JavaScript" in (visitor.go("planner.html").text_content("noscript") or "")
        assert "Fits" in (page.text_content("#result .verdict") or "")


def test_zoomed_to_a_third_it_still_needs_no_sideways_scrolling(browser: Browser, folder: Path) -> None:
    """WCAG 1.4.10: 1280 px at 400 % are 320 px."""
    with visit(browser, folder.as_uri(), width=320) as visitor:
        assert [path for path in KINDS if visitor.go(path).evaluate(OVERFLOW) > 0] == []


def test_the_pages_say_the_same_in_print_and_high_contrast(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri(), forced_colors="active") as visitor:
        page = visitor.go("plans/mistral-2xt4.html")
        colours = page.locator(".legend i").evaluate_all(
            "items => items.map(item => getComputedStyle(item).backgroundColor)"
        )
        assert len(set(colours)) >= 5, json.dumps(colours)
        page.emulate_media(media="print")
        assert page.locator(".copy:visible").count() == 0
