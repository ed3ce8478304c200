"""Every command in the documents is run in a copy of the tree, or its block says why not."""

import contextlib
import io
import itertools
import re
import shlex
from pathlib import Path

import pytest
from documents import scratch
from documents.blocks import Block, MarkerError, blocks, missing, parts, selected
from documents.cli_page import commands
from documents.inject import injected_pages, pages
from llm_serving_planner.cli.main import build_parser
from support.helm import ROOT

pytestmark = pytest.mark.slow

BLOCKS = [block for page in pages(ROOT) for block in blocks(page)]
RUN = [block for block in BLOCKS if block.reason is None]
NOT_RUN = [block for block in BLOCKS if block.reason is not None]
MAKEFILE = (ROOT / "Makefile").read_text()
# The forms of a reason; one that says less is none.
NEEDS = re.compile(r"needs \w+ \w.{3,}|a template: .{5,}|this is what runs .+")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One copy for all documents, in the order in which a reader meets their commands; and the folder for PATH."""
    folder = tmp_path_factory.mktemp("documents")
    return scratch.copy_tree(ROOT, folder / "tree"), scratch.programs(folder / "bin")


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.where)
def test_the_commands_run_and_print_what_is_shown(block: Block, copied: tuple[Path, Path]) -> None:
    for number, command in enumerate(block.commands, 1):
        done = scratch.run(command, *copied)
        expected = block.exit_code if number == len(block.commands) else 0
        assert done.code == expected, f"{command}\n{done.printed}"
        if number == len(block.commands):
            absent = missing(block.shown, done.printed)
            assert absent is None, f"{command}\ndoes not print\n{absent}\nbut\n{done.printed}"


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.where)
def test_what_is_not_run_says_why_and_is_well_formed(block: Block) -> None:
    """Options, targets and files of commands that need more than this machine are still looked at."""
    assert block.reason is not None
    assert NEEDS.match(block.reason), f"not run: {block.reason}"
    for path in re.findall(r"tests/[\w/.]+\.py", block.reason):
        assert (ROOT / path).exists(), path
    for command in block.commands:
        for words in simple_commands(command):
            check(words)


def simple_commands(command: str) -> list[list[str]]:
    """The words of each command of a line with pipes and `&&`."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            found.append([])
        else:
            found[-1].append(word)
    return [words for words in found if words]


def check(words: list[str]) -> None:
    """What can be known without running it."""
    if words[0] == "llm-serving":
        assert usage_error(words[1:]) is None
    elif words[0] == "make":
        for word in words[1:]:
            assert "=" in word or re.search(rf"^{word}:", MAKEFILE, re.MULTILINE), word
    elif words[0] == "helm":
        for option, name in itertools.pairwise(words):
            if option in {"-f", "--values"} and name.startswith(("values/", "charts/")):
                assert (ROOT / name).exists() or not re.match(r"values/[a-z0-9.-]+\.yaml", name), name


def usage_error(words: list[str]) -> str | None:
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            build_parser().parse_args(words)
        except SystemExit as stopped:
            return errors.getvalue() if stopped.code else None
    return None


def test_commands_within_sentences_know_their_options() -> None:
    known = subcommands()
    for page in pages(ROOT):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for command, rest in re.findall(r"`llm-serving ([a-z]+)([^`]*)`", text):
            assert command in known, f"{page.name}: llm-serving {command}"
            for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", rest):
                assert option in known[command], f"{page.name}: llm-serving {command}{rest}: {option}"


def subcommands() -> dict[str, set[str]]:
    return {
        name: {option for action in parser._actions for option in action.option_strings}
        for name, parser in commands().items()
    }


def test_injected_output_is_current() -> None:
    """`make verify` says the same; here it is said of each page."""
    for page, text in injected_pages(ROOT, {}).items():
        assert page.read_text() == text, f"{page.name} (run: make generate)"


def test_the_readme_shows_a_real_run() -> None:
    first = next(block for block in RUN if block.page.name == "README.md")
    assert first.output is not None
    assert "make values" in first.commands[0]
    assert "next: helm install" in first.shown


# The extractor itself.


def page_of(text: str) -> list[Block]:
    return blocks(Path("page.md"), text)


def test_blocks_commands_and_markers_are_found() -> None:
    (first, second, third) = page_of(
        "# x\n\n```sh\n# a remark\nmake help\nllm-serving plan a \\\n  --profile b\n```\n"
        "text\n<!-- not run: needs a cluster -->\n<!-- exit: 3 -->\n```console\n$ helm test x\n$ helm ls\nshown\n```\n"
        "```yaml\n$ no: command\n```\n```console\n$ true\n```\n"
    )
    assert first.commands == ("make help", "llm-serving plan a \\\n  --profile b")
    assert (first.reason, first.exit_code, first.shown, first.line) == (None, 0, "", 3)
    assert second.commands == ("helm test x", "helm ls")
    assert (second.reason, second.exit_code, second.shown) == ("needs a cluster", 3, "shown")
    assert third.commands == ("true",)


@pytest.mark.parametrize(
    "marker",
    ["<!-- not run -->", "<!-- not run: -->", "<!-- dont run: needs a cluster -->", "<!-- output: 1 -->"],
)
def test_bad_markers_are_refused(marker: str) -> None:
    with pytest.raises(MarkerError, match=r"page\.md:2: "):
        page_of(f"{marker}\n```console\n$ true\n$ true\n```\n")


@pytest.mark.parametrize("reason", ["it is slow", "needs time", "needs", "a template:"])
def test_a_reason_that_says_nothing_is_none(reason: str) -> None:
    assert not NEEDS.match(reason)


def test_shown_lines_are_compared_in_order() -> None:
    printed = "a\nb\nc\nd\n"
    assert missing("a\nb\n...\nd", printed) is None
    assert missing("b\n...\na", printed) == "a"
    assert missing("a\nc", printed) == "a\nc"
    assert parts("...\na\n...\n\n...\nb") == ["a", "b"]


def test_lines_are_chosen_by_number() -> None:
    printed = "1\n2\n3\n4\n5\n"
    assert selected(printed, "") == "1\n2\n3\n4\n5"
    assert selected(printed, "1-2") == "1\n2\n..."
    assert selected(printed, "2,-1") == "...\n2\n...\n5"
    assert selected(printed, "4-9") == "...\n4\n5"


def test_a_command_sees_neither_cluster_nor_credentials(
    copied: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    monkeypatch.setenv("HF_TOKEN", "secret")
    done = scratch.run("echo $KUBECONFIG$HF_TOKEN; echo $HF_HUB_OFFLINE; exit 4", *copied)
    assert (done.code, done.printed) == (4, "\n1\n")
