"""The site in memory, built once; for browsers on disk, with the runtime."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from llm_serving_planner.models import embedded
from playwright.sync_api import Browser, sync_playwright
from support.helm import ROOT
from support.laws import NIGHTLY
from website import build, runtime
from website.build import Files

pytest.register_assert_rewrite("pages.command_line", "pages.visits")

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def shown_models() -> list[str]:
    """The models of the matrix of what fits: all at night, else every tenth, because each is planned on every GPU."""
    return embedded.model_ids()[:: 1 if NIGHTLY else 10]


@pytest.fixture(scope="session")
def files(shown_models: list[str]) -> Files:
    """Every file but assets/runtime.js, which needs npm."""
    with patch("website.cells.embedded", SimpleNamespace(model_ids=lambda: shown_models, find=embedded.find)):
        return build.site(ROOT, None)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site in a folder whose name needs quoting; LLM_SERVING_SITE names one that was built before."""
    out = tmp_path_factory.mktemp("pages") / "a site"
    built = os.environ.get("LLM_SERVING_SITE")
    if built:
        shutil.copytree(built, out)
    else:
        build.write(build.site(ROOT, runtime.fetch(ROOT / ".cache" / "pyodide")), out)
    return out


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from its npm package."""
    npm = shutil.which("npm")
    assert npm, "npm brings axe-core"
    target = tmp_path_factory.mktemp("axe")
    subprocess.run([npm, "pack", "--silent", "--pack-destination", str(target), AXE], check=True, capture_output=True)
    (package,) = target.glob("*.tgz")
    shutil.unpack_archive(package, target, filter="data")
    return (target / "package" / "axe.min.js").read_text()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium or the Chrome of a hosted runner, without a window."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "chromium is not on PATH (Debian's package chromium)"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
