"""The notebook runs as it is committed, from a clean start, and holds no outputs of anybody's machine."""

from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.fake_engine import DONE, END, NAME, FakeEngine, chunk, document, event, stream
from support.helm import ROOT

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "docs" / "notebooks" / "query.ipynb"


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    server = FakeEngine()
    usage = event({"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23}})
    server.chat(stream(chunk("Machines "), chunk("that think."), END, usage, DONE))
    server.replies["/v1/completions"] = [document({"choices": [{"text": " Paris.", "finish_reason": "stop"}]})]
    yield server
    server.close()


def load() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def outputs(notebook: Any) -> dict[str, str]:
    """What each cell printed, by its id."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.id: "".join(output.get("text", "") for output in cell.outputs) for cell in cells}


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = load()
    nbformat.validate(notebook)
    assert not any(outputs(notebook).values())
    assert {cell.get("execution_count") for cell in notebook.cells} == {None}


def test_the_notebook_runs(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", engine.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")  # this environment's kernel, not one of the user's
    notebook = load()
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed = outputs(notebook)
    assert printed["models"] == f"{NAME}\n"
    assert printed["completion"] == " Paris.\n"
    text, figures = printed["chat"].split("\n---\n")
    assert text == "Machines that think."
    assert figures.startswith("first token ")
    assert figures.endswith(" tokens/s, 2 tokens, finish: stop\n")
    head, *rows = printed["compare"].splitlines()
    assert head.split() == ["prompt", "tokens", "in", "tokens", "out", "first", "token", "tokens/s"]
    assert [row.split()[:3] for row in rows] == [[label, "21", "2"] for label in ("short", "code", "long")]
    assert {headers["Authorization"] for _, headers, _ in engine.requests} == {"Bearer sk-1"}
