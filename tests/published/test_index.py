"""index.yaml of a classic chart repository: older versions stay, none changes, the same folder gives the same file."""

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from llm_serving_planner.base.errors import InputError
from publishing import archive
from publishing.index import make_index
from support.helm import CHART, ROOT

URL = "https://charts.example.com/stable"


def entries(index: Path) -> dict[str, Any]:
    return {entry["version"]: entry for entry in yaml.safe_load(index.read_text())["entries"]["llm-serving"]}


def package_of(version: str, tmp_path: Path, destination: Path) -> Path:
    """The chart under another version."""
    tree = tmp_path / f"tree-{version}"
    shutil.copytree(ROOT / "charts", tree / "charts")
    shutil.copytree(ROOT / "values", tree / "values")
    metadata = tree / "charts" / "llm-serving" / "Chart.yaml"
    metadata.write_text(re.sub(r"^version: .*$", f"version: {version}", metadata.read_text(), flags=re.MULTILINE))
    return archive.make_package(tree, destination)


def test_versions_whose_package_is_gone_keep_their_entry(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    old = package_of("0.0.1", tmp_path, dist)
    first = entries(make_index(dist, "https://old.example.com"))
    old.unlink()
    package_of("0.0.2", tmp_path, dist)
    second = entries(make_index(dist, f"{URL}/"))
    assert list(second) == ["0.0.2", "0.0.1"]
    assert second["0.0.1"] == first["0.0.1"]
    assert second["0.0.2"]["urls"] == [f"{URL}/llm-serving-0.0.2.tgz"]
    assert second["0.0.2"]["digest"] == archive.sha256_file(dist / "llm-serving-0.0.2.tgz")


def test_an_unchanged_folder_gives_an_unchanged_file(dist: Path) -> None:
    first = make_index(dist, URL).read_bytes()
    assert make_index(dist, URL).read_bytes() == first
    assert sorted(path.name for path in dist.iterdir()) == ["index.yaml", next(dist.glob("*.tgz")).name]


def test_a_version_in_the_index_never_changes(dist: Path) -> None:
    index = make_index(dist, URL)
    before = index.read_bytes()
    (package,) = dist.glob("*.tgz")
    with tarfile.open(package, "w:gz") as other:
        other.add(CHART, arcname="llm-serving")
    with pytest.raises(InputError, match=r"has the digest \w{64}, the index says \w{64}") as caught:
        make_index(dist, URL)
    assert caught.value.hint is not None
    assert index.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"holds a list; a mapping is expected"),
        ("apiVersion: v2\nentries: {}\n", r"is no index of a chart repository \(apiVersion v1 with entries\)"),
        (json.dumps({"apiVersion": "v1", "entries": 3}), r"is no index of a chart repository"),
        ("a: b: c\n", r"line 1: "),
    ],
)
def test_an_older_index_that_is_none_is_refused(dist: Path, tmp_path: Path, text: str, message: str) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(text)
    with pytest.raises(InputError, match=message):
        make_index(dist, URL, merge=old)
    assert not (dist / "index.yaml").exists()


@pytest.mark.parametrize("url", ["", "charts.example.com", "oci://host/charts", "https://"])
def test_the_address_must_be_one(dist: Path, url: str) -> None:
    with pytest.raises(InputError, match="is no http"):
        make_index(dist, url)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no llm-serving-\*\.tgz"):
        make_index(tmp_path, URL)
