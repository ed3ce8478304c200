"""YAML and JSON of others: read as Helm reads it, and bounded in size, depth, parts and digits."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helm_python import HelmError, values_from_yaml
from hypothesis import given
from hypothesis import strategies as st
from llm_serving_planner.base import jsontext
from llm_serving_planner.base.documents import load_values, parse_documents, plain
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.validation import go_pattern
from support.command import run

TEXTS = [
    "a: 1\na: 2\n", "a: y\nb: N\nc: yes\nd: on\ne: Off\n", "a: .nan\n", "a: -.inf\n",
    "a: 0777\nb: 0o17\nc: 0x1f\nd: 0b11\ne: 1_000\nf: 08\ng: 0o8\nh: 0xg\n", "a: 1e3\nb: 1.0e+3\nc: 1.\nd: .5\ne: +1\n",
    "a: 1:30\nb: 2001-01-01\nc: 2001-12-14t21:59:43.10-05:00\n", "a: &x [1, 2]\nb: *x\n",
    "x: &x {a: 2}\nb:\n  a: 1\n  <<: *x\n", "x: &x {a: 2}\nb:\n  <<: *x\n  a: 1\n", "b:\n  <<: 1\n",
    "x: &x {a: 1}\nb:\n  <<: [*x, {a: 3, c: 4}]\n", "a: {b: 1, <<: {b: 2}}\n", "1: a\ntrue: b\n1.5: c\n", "null: x\n",
    "~: x\n", "[1]: x\n", "a: !!binary aGk=\n", "a: !!binary '***'\n", "a: !foo b\n", "a: ! 5\n", "a: !!str 5\n",
    "a: !!int '5'\n", "a: !!int x\n", "a: !!int 1.5\n", "a: !!float 5\n", "a: !!bool yes\n", "a: !!bool 5\n",
    "a: !!null x\n", "a: !!set {x}\n", "a: !!str {b: 1}\n", "---\na: 1\n---\nb: 2\n", "a: 1\n...\nb: 1\n", "- 1\n",
    "", "null", 'a: "\\ud800"\n', "a: \x07\n", "a: \x7f\n", "a:\n\tb: 1\n", "a: =\n", "a: <<\n", "\ufeffa: 1\n",
    "%YAML 1.2\n---\na: yes\n", "%YAML 1.1\n---\na: yes\n", "a: &a [*a]\n", "a: *nope\n", "a: nUll\nb: tRue\n",
    "a: " + "9" * 400 + "\n", "a: 1e400\n", "a: 0777777777777777777777777\n", "a: 1e-400\n", "a: -0\nb: -0x1\nc: 0_1\n",
    "a: 0x_1\nb: 1_\nc: _1\n", "1.0: x\n1e3: y\n0x10: z\n1e21: w\n", "? a\n: b\n", "a: &x 1\n*x : 2\n", "{a: 1}",
    "a: !<tag:yaml.org,2002:int> '7'\n", "a: 'b\x00'",
    "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ),
]  # fmt: skip


def helms(text: str) -> Any:
    try:
        return values_from_yaml(text)
    except HelmError:
        return "refused"


def ours(text: str) -> Any:
    try:
        found = parse_documents(text, "x", tell=lambda _: None)
    except InputError:
        return "refused"
    first = found[0] if found else None
    return {} if first is None else first if isinstance(first, dict) else "refused"


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:50])
def test_a_text_means_what_it_means_to_helm(text: str) -> None:
    assert ours(text) == helms(text)


@given(st.text(alphabet="0123456789_+-.eExXoObB:~yYnN", min_size=1, max_size=9))
def test_a_plain_scalar_means_what_it_means_to_helm(scalar: str) -> None:
    text = f"a: {scalar}\n"
    both = (ours(text), helms(text))
    if isinstance(both[0], dict) and isinstance(both[0].get("a"), float):  # the last digit is printed in two ways
        assert both[1]["a"] == pytest.approx(both[0]["a"])
        return
    assert both[0] == both[1]


def test_scalars() -> None:
    assert [plain(text) for text in ("y", "1e3", "1:30", "1.5", "~", "0x_f")] == [True, 1000, "1:30", 1.5, None, 15]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "line 2: key 'a' stands twice"),
        ("a: .nan", "is not a finite number"),
        ("[" * 101 + "]" * 101, "nests deeper than 100 levels"),
        ("- " * 5000 + "x", "nests deeper than 100 levels|exceeded max depth"),
        ("x: " + "y" * 9_000_000, "is longer than 8,388,608 characters"),
        ("a: *b", "unknown anchor 'b'"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_refused_of_other_documents(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_documents(text, "x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": -Infinity}', "-Infinity is no JSON number"),
        ('{"a": 1e999}', "out of range"),
        ('{"a": ' + "9" * 5000 + "}", "a number has 5,000 digits"),
        ("[" * 200 + "]" * 200, "nests deeper than 100 levels"),
        ("[" * 100_000, "nests deeper than 100 levels|not valid JSON"),
        ("[" + "[]," * 3_000_000, "is longer than|more than 3,000,000 parts"),
        (b"\xff{", "is not UTF-8 text"),
        ("{", "is not valid JSON .line 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_refused_of_json(text: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        jsontext.parse(text, "x")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's own peak")
def test_a_million_empty_lists_cost_no_memory() -> None:
    code = (
        "from llm_serving_planner.base import jsontext\n"
        "from llm_serving_planner.base.errors import InputError\n"
        "try: jsontext.parse(b'[' + b'[],' * 8_300_000, 'x', 25_000_000)\n"
        "except InputError as error: print(error)\n"
        # getrusage would count what the process had before it became this program, which is the tests' own size
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, kibibytes = done.stdout.splitlines()
    assert message == "x has more than 3,000,000 parts"
    assert int(kibibytes) < 200 * 1024


def test_nine_levels_of_anchors_end_at_once(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("gpusPerNode: 1\ngpu:\n" + "".join(
        f"  {new}: &{new} [{','.join([f'*{old}'] * 9) if old else '1'}]\n"
        for old, new in zip(["", *"abcdefghi"], "abcdefghij", strict=True)
    ))  # fmt: skip
    started = time.monotonic()
    with pytest.raises(InputError, match="excessive aliasing"):
        load_values(tmp_path / "p.yaml")
    assert time.monotonic() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 1024**2


def test_json_is_yaml_too() -> None:
    document = {"a": [1, 2.5, None, True, "x"], "b": {"c": {}}}
    assert parse_documents(json.dumps(document), "x") == [document]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^[a-z]*$", "x\n", False),
        (r"^[a-z]*$", "x", True),
        (r"^(a|b$)*$", "b", True),
        (r"^\d+$", "٣", False),
        (r"^[^\s]*$", "a\x0bb", True),
        (r"^[^\s]*$", "a\u00a0b", True),
        (r"^\w+$", "ä", False),
        (r"^a\$$", "a$", True),
        (r"^[$]$", "$", True),
        (r"(^|/)\.\.(/|$)", "a/..", True),
        (r"(^|/)\.\.(/|$)", "a/..\n", False),
    ],
)
def test_patterns_end_where_gos_end(pattern: str, text: str, found: bool) -> None:
    assert bool(go_pattern(pattern).search(text)) is found


def test_no_model_id_may_end_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text('model: {id: "org/x\\n"}\n')
    done = run("validate", "v.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "/model/id: 'org/x\\n' does not match" in done.stderr
