"""The planner in a real browser: the generator's own answers, from a file and from a server, by keyboard too."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages.command_line import assert_same, run
from pages.planner_cases import cases, question
from pages.visits import visit
from playwright.sync_api import Browser

FEW, MANY, PARTS = 40, 2000, 4
LLAMA = "model=meta-llama/Llama-3.1-70B-Instruct&gpu=a10g&count=4&nodes=1"
QWEN = "model=Qwen/Qwen3-8B&gpu=l40s&count=2&nodes=1&max-model-len=16384&kv-cache-dtype=fp8"
MOST_RUNTIME_BYTES = 10_000_000

pytestmark = pytest.mark.site


def test_the_runtime_is_loaded_only_when_it_is_needed(browser: Browser, folder: Path) -> None:
    assert (folder / "assets" / "runtime.js").stat().st_size < MOST_RUNTIME_BYTES
    with visit(browser, folder.as_uri()) as visitor:
        visitor.go("planner.html").wait_for_timeout(500)
        assert not [url for url in visitor.loaded if "runtime.js" in url]
        assert "Fits" in (visitor.page.text_content("#result .verdict") or "")


def test_by_keyboard_alone(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("planner.html")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == "model":
                break
        page.keyboard.press("Control+A")
        page.keyboard.type("Qwen/Qwen3-8B")
        walk = []
        for keys in ("L40S", "", "", ""):
            page.keyboard.press("Tab")
            walk.append(page.evaluate("document.activeElement.name"))
            if keys:
                page.keyboard.type("NVIDIA L40S")
        assert walk == ["gpu", "count", "nodes", "machine"]
        page.keyboard.press("Enter")
        page.wait_for_function(
            "document.getElementById('file-name').textContent === 'qwen3-8b-2xl40s.yaml'", timeout=240_000
        )
        shown = visitor.planned()
        assert shown["state"] == "Planned."
        assert shown["verdict"].startswith("Fits Qwen3-8B on 2xl40s")
        assert shown["values"] == run("values", ["Qwen/Qwen3-8B", "--profile", "2xl40s"])[1]


def test_an_address_holds_the_question_and_a_refusal_its_ways_out(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go(f"planner.html#{LLAMA}")
        shown = visitor.planned()
        assert shown["verdict"].startswith("Does not fit meta-llama/Llama-3.1-70B-Instruct does not run on 4xa10g")
        assert page.locator("#values").is_hidden()
        _, _, said = run("plan", ["meta-llama/Llama-3.1-70B-Instruct", "--profile", "4xa10g"])
        items = page.locator("#result li").all_text_contents()
        assert items[1:] == [line.removeprefix("  try: ") for line in said if line.startswith("  try: ")]
        page.fill("input[name=count]", "8")
        page.keyboard.press("Tab")
        page.wait_for_selector("#result .verdict-fits")
        assert "hf-token-secret=hf-token" in page.url, "a gated model needs a Secret, and the form names one"
        page.fill("input[name=model]", "Qwen/Qwen3-8B")
        page.keyboard.press("Tab")
        page.wait_for_function("document.querySelector('#result .verdict').textContent.includes('Qwen3-8B')")
        assert "hf-token" not in page.url
        address = page.url
    with visit(browser, folder.as_uri()) as visitor:
        visitor.page.goto(address)
        assert visitor.planned()["verdict"].startswith("Fits Qwen3-8B on 8xa10g")


def test_every_field_reaches_the_plan(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go(f"planner.html#{QWEN}&platform=openshift&name=mine&enforce-eager=on")
        words = ["Qwen/Qwen3-8B", "--profile", "2xl40s", "--max-model-len=16384", "--kv-cache-dtype=fp8"]
        words += ["--enforce-eager", "--platform=openshift", "--name=mine"]
        assert visitor.planned()["values"] == run("values", words)[1]
        page.fill("input[name=machine]", "g6e.12xlarge")
        page.keyboard.press("Tab")
        page.wait_for_function("document.querySelector('#result .verdict').textContent.includes('g6e.12xlarge')")
        assert page.locator("select[name=gpu]").is_disabled()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "mine-g6e.12xlarge.yaml"
        words[2] = "g6e.12xlarge"
        assert Path(download.value.path()).read_text() == run("values", words)[1]


def test_what_is_wrong_is_said_at_the_field_or_in_the_answer(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("planner.html#model=Qwen/Qwen3-8b-instrukt&gpu=t4&count=1&nodes=1")
        assert "the embedded catalogue has no Qwen/Qwen3-8b-instrukt" in visitor.planned()["verdict"]
        assert "did you mean Qwen/" in (page.text_content("#result") or "")
        page.fill("input[name=count]", "0")
        page.get_by_role("button", name="Plan").click()
        assert not page.evaluate("document.querySelector('input[name=count]').validity.valid")


def test_a_cell_of_the_matrix_opens_its_plan(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri(), width=390) as visitor:
        page = visitor.go("fit-2.html")
        page.fill("input[name=row]", "qwen3-8b")
        page.fill("input[name=column]", "l40s")
        cell = page.locator("tbody tr:visible td:visible a").first
        text = (cell.text_content() or "").split()
        cell.focus()
        page.keyboard.press("Enter")
        shown = visitor.planned()
        assert shown["verdict"].startswith("Fits Qwen3-8B on 2xl40s")
        tokens = int((page.locator("#result .tiles b").first.text_content() or "").replace(",", ""))
        assert text[1].startswith(f"{tokens // 1024}k")


def test_two_quick_changes_show_the_last(browser: Browser, folder: Path) -> None:
    with visit(browser, folder.as_uri()) as visitor:
        page = visitor.go("planner.html")
        for gpu in ("l4", "a10g", "h200"):
            page.select_option("select[name=gpu]", gpu)
        page.wait_for_function(
            "document.querySelector('#result .verdict').textContent.includes('h200')", timeout=240_000
        )
        assert visitor.planned()["verdict"].endswith("on 2xh200 with vLLM 0.33.0")


def test_a_site_without_runtime_says_so(browser: Browser, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("runtime.js"))
    with visit(browser, (tmp_path / "copy").as_uri()) as visitor:
        page = visitor.go("planner.html")
        page.select_option("select[name=gpu]", "l4")
        page.wait_for_function("document.getElementById('state').textContent.includes('is not there')")
        visitor.messages.clear()  # the browser reports the missing file as well


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """The site below a path of a server on loopback."""
    handler = functools.partial(_Quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/{folder.name.replace(' ', '%20')}"
        running.shutdown()
        thread.join()


def test_it_works_below_any_path_of_a_server(browser: Browser, server: str) -> None:
    with visit(browser, server) as visitor:
        page = visitor.go("docs/sizing.html")
        page.click("text=Planner")
        page.select_option("select[name=gpu]", "l4")
        page.wait_for_function(
            "document.querySelector('#result .verdict').textContent.includes('2xl4')", timeout=240_000
        )
        assert visitor.planned()["state"] == "Planned."


def asked(browser: Browser, base: str, questions: list[list[str]]) -> list[dict[str, Any]]:
    """Answers of the planner's own worker, as its page gets them."""
    with visit(browser, base) as visitor:
        page = visitor.go("planner.html")
        page.set_default_timeout(0)
        found: list[dict[str, Any]] = []
        for start in range(0, len(questions), 50):
            batch = questions[start : start + 50]
            found += page.evaluate("asked => Promise.all(asked.map(one => planner.ask(one)))", [*map(question, batch)])
        print(f"the planner started in {page.evaluate('planner.ready')} ms")
        return found


def compare(browser: Browser, base: str, questions: list[list[str]]) -> None:
    """Ask, and hold every answer against the command line."""
    answers = asked(browser, base, questions)
    assert len(answers) == len({tuple(words) for words in questions}) == len(questions)
    for words, answer in zip(questions, answers, strict=True):
        assert_same(words, answer)
    assert sum(answer["ok"] for answer in answers) > len(questions) // 4
    assert sum(not answer["ok"] for answer in answers) > len(questions) // 4


def test_the_browser_answers_as_the_command_line(browser: Browser, folder: Path) -> None:
    compare(browser, folder.as_uri(), cases(FEW))


@pytest.mark.grid
@pytest.mark.parametrize("part", range(PARTS))
def test_the_browser_answers_2000_questions_as_the_command_line(browser: Browser, folder: Path, part: int) -> None:
    compare(browser, folder.as_uri(), cases(MANY)[part::PARTS])
