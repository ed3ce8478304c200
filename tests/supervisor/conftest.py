"""A certificate for localhost, and a stranger's authority."""

from pathlib import Path

import pytest
from support.certificates import certificate


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate for localhost, its key, its authority, and a stranger's authority."""
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder, "localhost")
    other = tmp_path_factory.mktemp("other")
    certificate(other, "localhost")
    return {"crt": folder / "tls.crt", "key": folder / "tls.key", "ca": folder / "ca.crt", "stranger": other / "ca.crt"}
