"""The lint that counts questions which engine or vendor."""

import ast

import pytest
from measure.questions import EXCEPTIONS, IMPLEMENTATIONS, ROOT, questions


@pytest.mark.parametrize(
    "text",
    [
        'if options.engine != "vllm": ...',
        'if options.engine in {"tgi", "tgis"}: ...',
        "if gpu.vendor == other: ...",
        'args = {"vllm": first}[name]',
        'entry.get("amd")',
        'match vendor:\n    case "intel": ...',
        "if is_cpu(profile): ...",
        "if cpu.is_cpu(profile): ...",
        "if isinstance(device, Nvidia): ...",
        'if "gaudi" == gpu.vendor: ...',
    ],
)
def test_a_question_is_found(text: str) -> None:
    assert len(list(questions(ast.parse(text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        'def one() -> str:\n    """vllm"""\n    return "TGI shards inside one node: --engine vllm"',
        'resources["cpu"] = quantity(values["cpu"])',
        "if engine.pipeline: ...",
        "device_of(profile.gpu).image(profile.gpu, engine, version)",
        "if isinstance(value, str): ...",
    ],
)
def test_what_is_none_is_not(text: str) -> None:
    assert list(questions(ast.parse(text))) == []


def test_lists_name_files_that_are_there() -> None:
    for name in (*EXCEPTIONS, *IMPLEMENTATIONS):
        assert (ROOT / name).is_file(), name
