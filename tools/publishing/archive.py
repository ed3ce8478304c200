"""The chart as one .tgz whose bytes are a function of the files alone, and its signature.

Helm writes the archive; this module stages what goes in. Helm copies modification times into the archive and, at the
push, that of the archive into the manifest (`org.opencontainers.image.created`), so both are one constant: the same
files give the same archive and the same manifest in every clone, at any time.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml
from llm_serving_planner.base.errors import InputError

ROOT = Path(__file__).parent.parent.parent
NAME = "llm-serving"
EPOCH = 315_532_800  # 1980-01-01, the first date that zip can hold too: any constant would do


def chart_version(root: Path) -> str:
    """Version in Chart.yaml."""
    metadata = yaml.safe_load((root / "charts" / NAME / "Chart.yaml").read_text(encoding="utf-8"))
    return str(metadata["version"])


def chart_files(root: Path) -> list[Path]:
    """Files of the chart: what git tracks, so that a leftover of an editor is never published.

    A folder that is no git checkout (a source archive) gives all its files.
    """
    chart = root / "charts" / NAME
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", f"charts/{NAME}"], cwd=root, capture_output=True, text=True, check=False
    )
    names = [root / name for name in listed.stdout.split("\0") if name]
    found = names if listed.returncode == 0 and names else [path for path in chart.rglob("*") if path.is_file()]
    return sorted(path for path in found if path.exists())


def values_files(root: Path) -> list[Path]:
    """The committed values files; they travel in the package's `values/`."""
    return sorted(path for path in (root / "values").glob("*.yaml") if path.name != "catalog.yaml")


def make_package(root: Path, destination: Path) -> Path:
    """Write `<destination>/llm-serving-<version>.tgz`, whole or not at all; its path.

    Raises:
        InputError: Helm refuses the chart, or the folder cannot be written to.
    """
    from helm_python import HelmError, package

    try:
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=destination, prefix=".package-") as work:
            staged = Path(work) / NAME
            for source in chart_files(root):
                _stage(source, staged / source.relative_to(root / "charts" / NAME))
            for source in values_files(root):
                _stage(source, staged / "values" / source.name)
            made = Path(package(str(staged), destination=work))
            os.utime(made, (EPOCH, EPOCH))
            target = destination / made.name
            if not target.exists() or sha256_file(target) != sha256_file(made):
                target.with_name(f"{target.name}.prov").unlink(missing_ok=True)  # it signed other bytes
            made.replace(target)
    except HelmError as error:
        raise InputError(f"charts/{NAME}: cannot be packaged: {error}") from error
    except OSError as error:
        raise InputError(f"{destination}: cannot be written ({error.strerror})") from error
    return target


def _stage(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    os.utime(target, (EPOCH, EPOCH))


def sign_package(archive: Path, *, key: str, keyring: Path, passphrase_file: Path | None = None) -> Path:
    """Write `<archive>.prov`, the provenance that `helm verify` reads; its path.

    Raises:
        InputError: no such key, a locked key, a keyring that cannot be read.
    """
    from helm_python import HelmError, sign

    if not keyring.is_file():
        raise InputError(
            f"{keyring}: no such keyring",
            hint="gpg --export-secret-keys KEY > secring.gpg writes one (keep it private)",
        )
    try:
        made = Path(sign(str(archive), key=key, keyring=str(keyring), passphrase_file=passphrase_file))
    except HelmError as error:
        raise InputError(f"{archive.name}: cannot be signed with {key!r}: {error}") from error
    os.utime(made, (EPOCH, EPOCH))
    return made


def verify_package(archive: Path, keyring: Path) -> str:
    """Who signed an archive, once signature and digest are checked.

    Raises:
        InputError: no provenance, a changed archive, or a key that the keyring does not hold.
    """
    from helm_python import HelmError, verify

    try:
        found = verify(str(archive), str(keyring))
    except HelmError as error:
        raise InputError(f"{archive.name}: not verified: {error}") from error
    return ", ".join(found["signed_by"])


def sha256_file(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
