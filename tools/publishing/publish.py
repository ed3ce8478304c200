"""Publish a packaged chart: once per version, compared after the push."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from llm_serving_planner.base.errors import InputError

from publishing.registry import Registry, RegistryError


def sha256(data: bytes) -> str:
    """Digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def name_and_version(archive: Path) -> tuple[str, str]:
    """Both parts of `name-1.2.3.tgz`.

    Raises:
        InputError: the name has no such form.
    """
    found = re.fullmatch(r"(.+?)-(\d+\.\d+\.\d+.*)\.tgz", archive.name)
    if found is None:
        raise InputError(f"{archive}: is not named <chart>-<version>.tgz")
    return found.group(1), found.group(2)


def publish(archive: Path, registry: Registry, progress: Callable[[str], None]) -> str:
    """Push an archive unless the same is there; the digest of its manifest.

    Raises:
        InputError: the version is there with other content.
        RegistryError: the registry cannot be used, or gives back something else.
    """
    name, version = name_and_version(archive)
    content = archive.read_bytes()
    where = f"{registry.url}/{name}:{version}"
    there = registry.digest(name, version)
    if there is not None:
        published = registry.pull(name, version)
        if published != content:
            raise InputError(
                f"{where} is there with other content ({sha256(published)}, here {sha256(content)})",
                hint="a published version never changes: raise the version (make release VERSION=x.y.z)",
            )
        progress(f"{where}: the same content is there already")
        return there
    progress(f"pushing {archive.name} ({len(content) / 1024:.0f} KiB) to {registry.url}")
    registry.push(archive)
    progress("reading it back")
    returned = registry.pull(name, version)
    digest = registry.digest(name, version)
    if returned != content or digest is None:
        raise RegistryError(
            f"{where} came back as {sha256(returned)}, sent was {sha256(content)}", hint="do not use this version"
        )
    progress(f"published {where}")
    return digest
