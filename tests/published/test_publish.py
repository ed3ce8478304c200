"""What `publish` makes of a registry's answers; tests/published/test_registry.py asks a real one."""

from pathlib import Path
from typing import cast

import pytest
from llm_serving_planner.base.errors import InputError
from publishing.publish import publish, sha256
from publishing.registry import Registry, RegistryError


class Shelf:
    """A registry that keeps what it is given, or something else."""

    url = "oci://registry.example/charts"

    def __init__(self, there: bytes | None = None, *, breaks: bytes | None = None, forgets: bool = False) -> None:
        self.there, self.breaks, self.forgets = there, breaks, forgets
        self.pushes = 0

    def digest(self, name: str, version: str) -> str | None:
        assert (name, version) == ("llm-serving", "1.2.3")
        return None if self.there is None or (self.forgets and self.pushes) else sha256(self.there)

    def pull(self, name: str, version: str) -> bytes:
        assert self.there is not None
        return self.there

    def push(self, archive: Path) -> None:
        self.pushes += 1
        self.there = archive.read_bytes() if self.breaks is None else self.breaks


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "llm-serving-1.2.3.tgz"
    path.write_bytes(b"mine")
    return path


def told(package: Path, shelf: Shelf) -> tuple[str, list[str]]:
    lines: list[str] = []
    return publish(package, cast("Registry", shelf), lines.append), lines


def test_a_push_is_read_back_and_compared(package: Path) -> None:
    shelf = Shelf()
    assert told(package, shelf) == (
        sha256(b"mine"),
        [
            "pushing llm-serving-1.2.3.tgz (0 KiB) to oci://registry.example/charts",
            "reading it back",
            "published oci://registry.example/charts/llm-serving:1.2.3",
        ],
    )
    assert shelf.there == b"mine"


@pytest.mark.parametrize("shelf", [Shelf(breaks=b"other"), Shelf(forgets=True)], ids=["breaks", "forgets"])
def test_what_comes_back_otherwise_is_no_publication(package: Path, shelf: Shelf) -> None:
    with pytest.raises(RegistryError, match=r"1\.2\.3 came back as sha256:\w+, sent was sha256:\w+") as refused:
        told(package, shelf)
    assert refused.value.hint == "do not use this version"


def test_the_same_content_is_not_pushed_again(package: Path) -> None:
    shelf = Shelf(b"mine")
    digest, lines = told(package, shelf)
    assert (digest, shelf.pushes) == (sha256(b"mine"), 0)
    assert lines == ["oci://registry.example/charts/llm-serving:1.2.3: the same content is there already"]


def test_another_content_under_a_published_version_is_refused(package: Path) -> None:
    shelf = Shelf(b"theirs")
    with pytest.raises(InputError, match=r"1\.2\.3 is there with other content \(sha256:\w+, here sha256:\w+\)"):
        told(package, shelf)
    assert (shelf.there, shelf.pushes) == (b"theirs", 0)


@pytest.mark.parametrize("name", ["llm-serving.tgz", "llm-serving-1.2.tgz", "llm-serving-1.2.3.zip"])
def test_a_name_without_version_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(InputError, match="is not named <chart>-<version>"):
        told(tmp_path / name, Shelf())
