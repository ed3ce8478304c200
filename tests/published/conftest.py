"""The package of this tree, made anew for each test."""

from pathlib import Path

import pytest
from chart.helm import ROOT
from publishing import archive


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    archive.make_package(ROOT, tmp_path / "dist")
    return tmp_path / "dist"
