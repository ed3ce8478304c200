"""The package of this tree, made anew for each test; throw-away keys."""

import shutil
import subprocess
from pathlib import Path

import pytest
from publishing import archive
from support.helm import ROOT


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    archive.make_package(ROOT, tmp_path / "dist")
    return tmp_path / "dist"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A throw-away PGP key: secret and public keyring, and a stranger's public keyring."""
    assert shutil.which("gpg"), "gpg is part of Debian and Ubuntu; as root: apt-get install -y gnupg"
    folder = tmp_path_factory.mktemp("gpg")
    found = {}
    for name in ("me", "stranger"):
        home = folder / name
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
        make = ["--passphrase", "", "--pinentry-mode", "loopback", "--quick-generate-key"]
        user = f"{name} <{name}@example.com>"
        subprocess.run([*gpg, *make, user, "rsa3072", "sign", "1d"], check=True, capture_output=True)
        for kind, option in (("secret", "--export-secret-keys"), ("public", "--export")):
            found[f"{name}-{kind}"] = folder / f"{name}-{kind}.gpg"
            done = subprocess.run([*gpg, option], check=True, capture_output=True)
            found[f"{name}-{kind}"].write_bytes(done.stdout)
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    return found
