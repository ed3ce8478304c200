"""docs/security.md and SECURITY.md: each promise names tests that are there, each party is spoken of."""

import re

import pytest
from support.helm import ROOT

pytestmark = pytest.mark.prose

PAGE = (ROOT / "docs" / "security.md").read_text()
POLICY = (ROOT / "SECURITY.md").read_text()
TESTS = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}


def test_each_promise_names_tests_that_are_there() -> None:
    table = PAGE.partition("| promise | test |")[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("|---")]
    assert len(rows) >= 15
    everything = "\n".join(TESTS.values())
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        files = re.findall(r"`(tests/[\w/.]+)`", row)
        assert named or files, row
        assert all(re.search(rf"^def {name}\(", everything, re.MULTILINE) for name in named), row
        assert all((ROOT / file).exists() for file in files), row


def test_each_party_is_spoken_of() -> None:
    for party in ("the hub", "the author of a model", "neighbour in the namespace", "author of a values file"):
        assert party in PAGE


def test_the_policy_has_an_address_versions_and_times() -> None:
    for part in ("## Reporting", "## Supported versions", "@", "working days", "90 days", "CVE"):
        assert part in POLICY
