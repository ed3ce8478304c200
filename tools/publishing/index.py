"""A classic chart repository: index.yaml over the packages of a folder, older versions kept."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.files import read_text
from llm_serving_planner.base.writing import write_text

from publishing.archive import NAME, sha256_file


def make_index(folder: Path, url: str, *, merge: Path | None = None) -> Path:
    """Write `<folder>/index.yaml` for the packages in the folder, to be served below `url`; its path.

    Versions of `merge` (by default the index that is there) whose package is not in the folder keep their entry, with
    their own address. Entries that stay the same keep their date, so that an unchanged folder gives an unchanged file.

    Raises:
        InputError: no package, no http(s) address, an index that is none, or a version that would change its content.
    """
    from helm_python import HelmError, repo_index_generate

    if not re.match(r"https?://[^\s/]+", url):
        raise InputError(f"URL {url!r} is no http(s) address", hint="make index URL=https://example.com/charts")
    packages = sorted(folder.glob(f"{NAME}-*.tgz"))
    if not packages:
        raise InputError(f"{folder}: holds no {NAME}-*.tgz", hint="make package writes one")
    target = folder / "index.yaml"
    before = merge or (target if target.exists() else None)
    old = _entries(before) if before else {}
    for package in packages:
        _check_unchanged(package, old)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".index-") as work:
        for package in packages:
            os.link(package, Path(work) / package.name)
        try:
            repo_index_generate(work, base_url=url.rstrip("/"), merge=before)
        except HelmError as error:
            raise InputError(f"{folder}: cannot be indexed: {error}") from error
        made = load_values(Path(work) / "index.yaml")
    text = _settled(made, load_values(before) if before else None)
    if not target.exists() or read_text(target) != text:
        write_text(target, text)
    return target


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """Entries of an index by version.

    Raises:
        InputError: it is no index.
    """
    document = load_values(path)
    if document.get("apiVersion") != "v1" or not isinstance(document.get("entries"), dict):
        raise InputError(f"{path}: is no index of a chart repository (apiVersion v1 with entries)")
    return {str(entry["version"]): entry for entry in document["entries"].get(NAME, [])}


def _check_unchanged(package: Path, old: dict[str, dict[str, Any]]) -> None:
    version = package.name.removeprefix(f"{NAME}-").removesuffix(".tgz")
    known = str(old.get(version, {}).get("digest", "")).removeprefix("sha256:")
    found = sha256_file(package)
    if known and known != found:
        raise InputError(
            f"{package.name} has the digest {found}, the index says {known}",
            hint="a published version never changes: raise the version, or start from an index without it",
        )


def _settled(made: dict[str, Any], old: dict[str, Any] | None) -> str:
    """The index as text; what did not change keeps its dates."""
    before = {str(entry["version"]): entry for entry in (old or {}).get("entries", {}).get(NAME, [])}
    for entry in made["entries"][NAME]:
        known = before.get(str(entry["version"]))
        if known is not None and "created" in known:
            entry["created"] = known["created"]
    if old is not None and old.get("entries") == made["entries"]:
        made["generated"] = old.get("generated", made["generated"])
    return yaml.safe_dump(made, sort_keys=True, width=120)
