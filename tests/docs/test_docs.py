"""The documents say what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from llm_serving_planner.base.units import GIB
from llm_serving_planner.cli.main import main
from llm_serving_planner.hardware.profiles import parse_profile
from llm_serving_planner.models import embedded
from llm_serving_planner.models.config import formats
from llm_serving_planner.planner.proposals import make_plan
from support.fake_engine import FakeEngine
from support.helm import ROOT, find, in_process

pytestmark = pytest.mark.prose

README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llm_serving_planner", *words], capture_output=True, text=True, check=False
    )


def test_the_readmes_model_count_is_true() -> None:
    assert f"catalogue of {len(embedded.model_ids())} models" in README


def test_every_command_is_in_the_readme_and_every_make_target_exists() -> None:
    help_text = run("--help").stdout
    listed = re.findall(r"^    ([a-z]+)(?: |$)", help_text.split("commands:", 1)[1], re.MULTILINE)
    assert {"plan", "values", "machineset", "query", "chat", "preflight"} <= set(listed)
    for command in listed:
        assert f"llm-serving {command}" in README
    makefile = (ROOT / "Makefile").read_text()
    for document in DOCUMENTS:
        for target in re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{document.name}: make {target}"


def test_the_page_on_clients_names_every_option_and_its_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "clients.md").read_text()
    known = set(re.findall(r"--[a-z-]+", run("query", "--help").stdout))
    assert known - {"--help", "--debug", "--deadline"} <= set(re.findall(r"--[a-z-]+", page))
    for line in re.findall(r"llm-serving (?:query|chat).*", page):
        assert set(re.findall(r" (--[a-z-]+)", line)) <= known, line
    engine = FakeEngine()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code.replace("http://127.0.0.1:8000", engine.url), "clients.md", "exec"), {})
    engine.close()
    assert capsys.readouterr().out.startswith("Hello world\nfirst token ")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not link.startswith(("http", "mailto")):
            assert (document.parent / link).exists(), link


def test_the_worked_example_is_what_the_planner_computes() -> None:
    spec = embedded.find("mistralai/Mistral-7B-Instruct-v0.2")
    assert spec is not None
    estimate = make_plan(spec, parse_profile("2xt4")).estimate
    table = (ROOT / "docs" / "sizing.md").read_text()
    rows = dict(re.findall(r"^\| ([a-zA-Z -]+) \| .* \| ([\d.]+) \|$", table, re.MULTILINE))
    terms = {
        "usable": estimate.requested, "weights": estimate.weights, "activations": estimate.activations,
        "non-torch": estimate.non_torch, "CUDA graphs": estimate.cuda_graphs, "KV cache": estimate.kv_cache,
    }  # fmt: skip
    assert rows == {name: f"{size / GIB:.2f}" for name, size in terms.items()}


def test_the_page_on_monitoring_has_every_alert_and_no_other() -> None:
    rules = {"enabled": True, "timeToFirstTokenSeconds": 1, "interTokenLatencySeconds": 1}
    values = {"model": {"id": "a/b"}, "monitoring": {"prometheusRule": rules}}
    (group,) = find(in_process(values), "PrometheusRule")["spec"]["groups"]
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert re.findall(r"^\| `(Llm\w+)` \|", page, re.MULTILINE) == [rule["alert"] for rule in group["rules"]]


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "examples:" in capsys.readouterr().out


def test_the_command_needs_no_development_package() -> None:
    """Runtime dependencies only: nothing of the test or lint groups is imported by a plan and its values."""
    code = (
        "import sys\n"
        "from llm_serving_planner.cli import main as cli\n"
        "code = cli.main(['values', 'gpt2', '--profile', '1xl4', '--offline', '--storage', 'emptyDir'])\n"
        "bad = {'grpc', 'pytest', 'helm_python', 'hypothesis', 'kubernetes_validate', 'matplotlib', 'pyhelm3'}\n"
        "bad &= set(sys.modules)\n"
        "sys.exit(f'imported {bad}' if bad else code)\n"
    )
    name = code.replace("'gpt2'", "'openai-community/gpt2'")
    done = subprocess.run([sys.executable, "-c", name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_offline_plan_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom llm_serving_planner.cli import main as cli\n"
        "cli.main(['plan', 'openai-community/gpt2', '--profile', '1xl4', '--offline'])\n"
        "cli.main(['advise', 'openai-community/gpt2', '--offline'])\n"
        "sys.exit(str({'huggingface_hub', 'jinja2', 'jsonschema', 'matplotlib', 'yaml'} & set(sys.modules) or ''))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert {*done.stderr.splitlines()} - {""} == {"note: offline: facts come from the embedded catalogue"}


def test_an_offline_plan_imports_none_of_the_dear_modules_of_the_standard_library() -> None:
    """They took half of its time; a record takes the place of a frozen dataclass."""
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom llm_serving_planner.cli import main as cli\n"
        "cli.main(['plan', 'openai-community/gpt2', '--profile', '1xl4', '--offline'])\n"
        "print('loaded', *sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dear = {"dataclasses", "difflib", "inspect", "pathlib", "shutil", "tempfile", "textwrap", "threading"}
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "llm_serving_planner.planner.sizing" in loaded
    assert not dear & loaded


def test_the_page_on_advice_names_every_option_and_its_example_runs() -> None:
    page = (ROOT / "docs" / "advice.md").read_text()
    known = set(re.findall(r"--[a-z-]+", run("advise", "--help").stdout))
    assert known - {"--help", "--debug", "--deadline"} <= set(re.findall(r"--[a-z-]+", page))
    (example,) = re.findall(r"\$ llm-serving (advise .*)", page)
    done = run(*example.split())
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("cheapest: llm-serving values ")


def test_the_advice_page_hides_no_row() -> None:
    page = (ROOT / "docs" / "advice.md").read_text()
    measured = (ROOT / "docs" / "data" / "throughput.csv").read_text().splitlines()[1:]
    shown = re.findall(r"^\| \[?(S\d+)", page, re.MULTILINE)
    assert shown == [line.split(",", 1)[0] for line in measured]
    outside = re.findall(r"^\| \[?(S\d+).*\| outside \|$", page, re.MULTILINE)
    assert outside
    assert f"Outside the band: {', '.join(outside)}." in page
    told = page.split("What this says:")[1]
    assert all(row in told for row in outside), "each row outside is spoken of"


def test_the_page_on_quantisation_has_every_kind() -> None:
    page = (ROOT / "docs" / "quantization.md").read_text()
    for kind in formats.kinds().values():
        assert f"| {kind['name']} |" in page


def test_paths_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    folders = ("tests", "docs", "tools", "schema", "generator", "charts", "values", "data", "logs", "commands")
    named = set(re.findall(rf"`((?:{'|'.join(folders)})/[\w/.*-]*)`", text)) | set(re.findall(r"`(\w+\*?\.py)`", text))
    assert len(named) > 40
    for name in named:
        places = (ROOT, ROOT / "generator" / "llm_serving_planner", ROOT / "charts" / "llm-serving")
        found = [path for place in places for path in place.glob(name)] or list((ROOT / "generator").rglob(name))
        assert found or list((ROOT / "tests").rglob(name)), name
