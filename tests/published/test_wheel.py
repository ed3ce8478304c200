"""The generator as a stranger gets it: a wheel in an empty environment, far from the repository."""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.version import __version__
from llm_serving_planner.output import home
from packaging.requirements import Requirement
from support.helm import ROOT

LARGEST_MIB = 0.5  # docs/verify.md says so
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the tracked files, with the build back end of this environment."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "generator", "pyproject.toml", "README.md",
                             "LICENSE"], cwd=ROOT, check=True, capture_output=True, text=True)  # fmt: skip
    for name in listed.stdout.splitlines():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in a new environment that holds the wheel and what it requires, nothing of development.

    The requirements are links to this environment's own packages, to those of the runtime lock alone: no network is
    needed, and an import of a development package fails.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    (library,) = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-compile", str(wheel)], check=True)
    here = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines():
        name = re.match(r"([a-z0-9._-]+)==", line)
        if name is None:
            continue
        for metadata in here.glob("*.dist-info"):
            if metadata.name.split("-")[0].lower().replace("_", "-") == name.group(1):
                _link(here, metadata, library)
    return folder / "bin" / "llm-serving"


def _link(here: Path, metadata: Path, library: Path) -> None:
    for line in (metadata / "RECORD").read_text().splitlines():
        top = line.split(",")[0].split("/")[0]
        if top not in {"..", "__pycache__"} and not (library / top).exists():
            (library / top).symlink_to(here / top)


def run(command: Path, *words: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LLM_SERVING", "VIRTUAL"))
    }
    return subprocess.run(
        [command, *words], cwd=cwd, env={**clean, **(env or {})}, check=False, capture_output=True, text=True
    )


def test_the_wheel_holds_data_templates_types_and_license_only(wheel: Path) -> None:
    assert wheel.name == f"llm_serving_planner-{__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < LARGEST_MIB * 1024 * 1024
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith("/METADATA")]
        text = archive.read(metadata).decode()
    package = ROOT / "generator" / "llm_serving_planner"
    expected = {
        f"llm_serving_planner/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "llm_serving_planner/py.typed" in names
    assert not {name for name in names if name.startswith("supervisor")}, "it runs in pods, out of the chart"
    assert any(name.endswith("licenses/LICENSE") for name in names)
    required = [Requirement(line) for line in re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)]
    assert {requirement.name for requirement in required if requirement.marker is None} == {
        "httpx2",
        "huggingface_hub",
        "jinja2",
        "jsonschema",
        "pyyaml",
        "shtab",
    }
    assert f"Project-URL: Source, {home.SOURCE}" in text


@pytest.mark.parametrize("command", ["llm-serving", "llm-serving-planner"])
def test_both_commands_tell_the_version_and_plan(installed: Path, tmp_path: Path, command: str) -> None:
    """The second has the distribution's name, so that `uvx llm-serving-planner` finds it."""
    assert PROJECT["project"]["name"] == "llm-serving-planner"
    program = installed.with_name(command)
    done = run(program, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"llm-serving {__version__}\n")
    plan = run(program, "plan", "mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--offline",
               "--format", "json", cwd=tmp_path)  # fmt: skip
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)


def test_values_far_from_the_repository(installed: Path, tmp_path: Path) -> None:
    values = ("values", "mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--offline", "--name", "mistral")
    done = run(installed, *values, "-o", "out/", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == (
        f"next: helm install mistral {home.CHARTS}/llm-serving --version {__version__} -f out/mistral-2xt4.yaml"
    )
    assert run(installed, "validate", "out/mistral-2xt4.yaml", cwd=tmp_path).returncode == 0
    values_file = load_values(tmp_path / "out" / "mistral-2xt4.yaml")
    committed = load_values(ROOT / "values" / "mistral-2xt4.yaml")
    assert values_file["parallelism"] == committed["parallelism"]
    assert values_file["engine"]["version"] == committed["engine"]["version"]


@pytest.mark.parametrize(
    ("words", "variable", "named"),
    [
        (("--chart", "./llm-serving-0.1.0.tgz"), "", "./llm-serving-0.1.0.tgz"),
        (("--chart", "my charts/llm"), "", "'my charts/llm'"),
        (("--chart", "oci://host:5000/c/llm-serving"), "", f"oci://host:5000/c/llm-serving --version {__version__}"),
        (("--chart", "oci://host/c/llm-serving:9.9.9"), "", "oci://host/c/llm-serving:9.9.9"),
        (("--chart", f"oci://host/c/llm-serving@sha256:{'0' * 64}"), "", f"oci://host/c/llm-serving@sha256:{'0' * 64}"),
        ((), "oci://mirror/llm-serving", f"oci://mirror/llm-serving --version {__version__}"),
        (("--chart", "mine.tgz"), "oci://mirror/llm-serving", "mine.tgz"),
    ],
)
def test_the_chart_that_is_named(
    installed: Path, tmp_path: Path, words: tuple[str, ...], variable: str, named: str
) -> None:
    env = {"LLM_SERVING_CHART": variable} if variable else {}
    done = run(installed, "values", "openai-community/gpt2", "--profile", "1xl4", "--offline", "-o", "v.yaml", *words,
               cwd=tmp_path, env=env)  # fmt: skip
    assert f" {named} -f v.yaml" in done.stderr.splitlines()[-1]


def test_in_a_clone_the_chart_is_the_clones(installed: Path, tmp_path: Path) -> None:
    chart = tmp_path / "charts" / "llm-serving" / "Chart.yaml"
    chart.parent.mkdir(parents=True)
    chart.write_text("name: llm-serving\n")
    done = run(installed, "values", "openai-community/gpt2", "--profile", "1xl4", "--offline", "-o", "v.yaml",
               cwd=tmp_path)  # fmt: skip
    assert done.stderr.splitlines()[-1].endswith(" charts/llm-serving -f v.yaml")


def test_the_lock_covers_what_pyproject_asks_for() -> None:
    """Every direct requirement is locked to a version that satisfies it, and every line has its hash."""
    groups = PROJECT["dependency-groups"]

    def members(group: str) -> list[str]:
        items = [[item] if isinstance(item, str) else members(item["include-group"]) for item in groups[group]]
        return [text for item in items for text in item]

    runtime = PROJECT["project"]["dependencies"]
    for file, wanted in (("runtime", runtime), ("dev", [*runtime, *members("dev")]), ("supply", members("supply"))):
        text = (ROOT / "requirements" / f"{file}.txt").read_text()
        blocks = re.findall(r"^([a-z0-9._-]+)==(\S+)(.*?)(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL)
        assert all("--hash=sha256:" in rest for _, _, rest in blocks)
        locked = {name: version for name, version, _ in blocks}
        for line in wanted:
            requirement = Requirement(line)
            version = locked[requirement.name.lower().replace("_", "-")]
            assert requirement.specifier.contains(version), f"{file}.txt: {requirement} (run: make lock)"
