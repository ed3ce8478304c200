"""The site in memory, built once; for browsers on disk, with the runtime."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from chart.helm import ROOT
from playwright.sync_api import Browser, sync_playwright
from website import build, runtime
from website.build import Files

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def files() -> Files:
    """Every file but assets/runtime.js, which needs npm."""
    return build.site(ROOT, None)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Path:
    """The whole site on disk, in a folder whose name needs quoting."""
    whole = dict(files)
    whole["assets/runtime.js"] = runtime.script(ROOT, runtime.fetch(ROOT / ".cache" / "pyodide")).encode()
    out = tmp_path_factory.mktemp("pages") / "a site"
    build.write(whole, out)
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
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    assert path, "chromium is not on PATH (Debian's package chromium)"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
