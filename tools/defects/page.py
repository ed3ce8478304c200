"""docs/defects.md: two sections, each rewritten by the command that makes it."""

import re
from pathlib import Path

from documents.tables import cell, table
from llm_serving_planner.base.writing import write_text

from defects.plant import Defect, Outcome

PAGE = Path("docs") / "defects.md"


def code(text: str) -> str:
    """Text as code of one line within a table."""
    flat = cell(text)
    return f"`` {flat} ``" if "`" in flat else f"`{flat}`"


def short(test: str) -> str:
    """A node of pytest without its parameters: they stand in the data."""
    return test.partition("[")[0].removeprefix("tests/")


def planted_rows(outcomes: list[Outcome]) -> str:
    """The table of planted defects."""
    rows = [
        (
            f"`{outcome.defect.file}`",
            cell(outcome.defect.what),
            f"`{short(outcome.defect.test)}`",
            code(outcome.reading),
        )
        for outcome in outcomes
    ]
    return table(("where", "defect", "caught by", "the failure reads"), rows)


def row_start(defect: Defect) -> str:
    """How the row of a defect begins, whatever its failure reads."""
    return f"| `{defect.file}` | {cell(defect.what)} | `{short(defect.test)}` | "


def replace_section(root: Path, name: str, text: str) -> None:
    """Write the part of the page between the marks of a section."""
    page = root / PAGE
    before = page.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    pattern = re.escape(start) + r".*?" + re.escape(end)
    after, count = re.subn(pattern, lambda _: f"{start}\n{text}\n{end}", before, flags=re.DOTALL)
    if count != 1:
        raise AssertionError(f"{PAGE} has {count} sections named {name}")
    write_text(page, after)
