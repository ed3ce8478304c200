"""The package: the same bytes from the same files, what a stranger needs inside, signed and verified."""

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helm_python import Chart
from llm_serving_planner.base.errors import InputError
from publishing import archive
from support.helm import ROOT

MOST_KIB = 256  # the archive travels in the release's Secret, which holds 1 MiB


def git(folder: Path, *words: str) -> None:
    identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t",
                "GIT_COMMITTER_EMAIL": "t@example.com"}  # fmt: skip
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env={**os.environ, **identity})


def append(path: Path) -> None:
    path.write_text(path.read_text() + "# more\n")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout of its own that holds the files of this tree, whatever git knows of them."""
    folder = tmp_path / "clone"
    for part in ("charts", "values"):
        shutil.copytree(ROOT / part, folder / part, copy_function=shutil.copyfile)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def test_the_same_files_give_the_same_bytes_later_and_in_another_clone(clone: Path, tmp_path: Path) -> None:
    first = archive.make_package(ROOT, tmp_path / "a")
    for path in clone.rglob("*.yaml"):
        os.utime(path, (time.time() + 7200, time.time() + 7200))
        path.chmod(0o600)
    again = archive.make_package(ROOT, tmp_path / "b")
    other = archive.make_package(clone, tmp_path / "c")
    assert archive.sha256_file(first) == archive.sha256_file(again) == archive.sha256_file(other)
    assert first.stat().st_mtime == archive.EPOCH


def test_another_file_gives_other_bytes(clone: Path, tmp_path: Path) -> None:
    before = archive.sha256_file(archive.make_package(clone, tmp_path / "a"))
    append(clone / "values" / "mistral-2xt4.yaml")
    assert archive.sha256_file(archive.make_package(clone, tmp_path / "b")) != before


def test_members_are_nobodys_and_of_one_date(dist: Path) -> None:
    (package,) = dist.glob("*.tgz")
    with tarfile.open(package) as members:
        for member in members:
            assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (archive.EPOCH, 0, 0, "", 0o644)


def test_leftovers_stay_out(clone: Path, tmp_path: Path) -> None:
    (clone / "charts" / "llm-serving" / "secret.txt").write_text("token")
    with tarfile.open(archive.make_package(clone, tmp_path)) as members:
        names = members.getnames()
    assert "llm-serving/secret.txt" not in names
    assert "llm-serving/values.schema.json" in names
    assert not any("/ci/" in name for name in names)


def test_a_deleted_file_does_not_come_back(clone: Path, tmp_path: Path) -> None:
    (clone / "values" / "mistral-2xt4.yaml").unlink()
    with tarfile.open(archive.make_package(clone, tmp_path)) as members:
        assert "llm-serving/values/mistral-2xt4.yaml" not in members.getnames()


def test_every_values_file_travels_with_the_chart_and_renders_from_it(dist: Path, tmp_path: Path) -> None:
    (package,) = dist.glob("*.tgz")
    assert package.stat().st_size < MOST_KIB * 1024
    with tarfile.open(package) as members:
        members.extraction_filter = getattr(tarfile, "data_filter", None)  # an argument only from 3.11.4 on
        members.extractall(tmp_path)
    found = sorted((tmp_path / "llm-serving" / "values").glob("*.yaml"))
    assert [path.name for path in found] == [path.name for path in archive.values_files(ROOT)]
    for path in found:
        assert Chart.load(str(package)).render(yaml.safe_load(path.read_text()), name="demo")


def test_a_chart_that_helm_refuses_leaves_no_package(clone: Path, tmp_path: Path) -> None:
    (clone / "charts" / "llm-serving" / "Chart.yaml").write_text("apiVersion: v2\nname: llm-serving\nversion: one\n")
    with pytest.raises(InputError, match=r"charts/llm-serving: cannot be packaged: .*version"):
        archive.make_package(clone, tmp_path / "dist")
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(clone: Path) -> None:
    with pytest.raises(InputError, match=r"/proc/dist: cannot be written"):
        archive.make_package(clone, Path("/proc/dist"))


def test_a_signed_package_verifies_and_a_changed_one_does_not(dist: Path, keys: dict[str, Path]) -> None:
    (package,) = dist.glob("*.tgz")
    provenance = archive.sign_package(package, key="me@example.com", keyring=keys["me-secret"])
    assert provenance.name == f"{package.name}.prov"
    assert archive.sha256_file(package) in provenance.read_text()
    assert "me@example.com" in archive.verify_package(package, keys["me-public"])
    with pytest.raises(InputError, match="not verified"):
        archive.verify_package(package, keys["stranger-public"])
    package.write_bytes(package.read_bytes() + b"\0")
    with pytest.raises(InputError, match="not verified"):
        archive.verify_package(package, keys["me-public"])


def verified_by_the_wheel(package: Path, keyring: Path) -> bool:
    try:
        archive.verify_package(package, keyring)
    except InputError:
        return False
    return True


def verified_by_the_program(package: Path, keyring: Path) -> bool:
    command = ["helm", "verify", str(package), "--keyring", str(keyring)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


VERIFIERS = [verified_by_the_wheel, *([verified_by_the_program] if shutil.which("helm") else [])]


@pytest.mark.parametrize("verified", VERIFIERS)
def test_every_helm_that_is_there_tells_friend_from_stranger(
    dist: Path, keys: dict[str, Path], verified: Callable[[Path, Path], bool]
) -> None:
    (package,) = dist.glob("*.tgz")
    assert not verified(package, keys["me-public"])
    archive.sign_package(package, key="me@example.com", keyring=keys["me-secret"])
    assert verified(package, keys["me-public"])
    assert not verified(package, keys["stranger-public"])


def test_gpg_itself_accepts_the_provenance(dist: Path, keys: dict[str, Path], tmp_path: Path) -> None:
    (package,) = dist.glob("*.tgz")
    provenance = archive.sign_package(package, key="me@example.com", keyring=keys["me-secret"])
    command = ["gpgv", "--keyring", str(keys["me-public"]), str(provenance)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Good signature" in done.stderr


def test_packaging_again_keeps_a_signature_that_still_holds(dist: Path, keys: dict[str, Path], clone: Path) -> None:
    (package,) = dist.glob("*.tgz")
    provenance = archive.sign_package(package, key="me@example.com", keyring=keys["me-secret"])
    archive.make_package(ROOT, dist)
    assert provenance.exists()
    append(clone / "charts" / "llm-serving" / "README.md")
    archive.make_package(clone, dist)
    assert not provenance.exists()


@pytest.mark.parametrize(
    ("key", "text"),
    [("nobody@example.com", r"llm-serving-.*\.tgz: cannot be signed with 'nobody@example\.com': ")],
)
def test_an_unknown_key_is_one_line(dist: Path, keys: dict[str, Path], key: str, text: str) -> None:
    (package,) = dist.glob("*.tgz")
    with pytest.raises(InputError, match=text):
        archive.sign_package(package, key=key, keyring=keys["me-secret"])
    assert not package.with_name(f"{package.name}.prov").exists()
    with pytest.raises(InputError, match=r"missing\.gpg: no such keyring"):
        archive.sign_package(package, key="me", keyring=Path("missing.gpg"))
