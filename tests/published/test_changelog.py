"""CHANGELOG.md keeps its form, and Chart.yaml says the same to Artifact Hub."""

import re

import pytest
import yaml
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.version import __version__
from llm_serving_planner.output import home
from publishing import archive, changelog, metadata
from support.helm import CHART, ROOT, in_process

TEXT = (ROOT / "CHANGELOG.md").read_text()
ANNOTATIONS = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
GOOD = """# Changelog

## [Unreleased]

### Fixed

- one
  goes on

## [0.2.0] - 2026-01-02

### Added

- two

## [0.2.0-rc.1] - 2026-01-01
"""


def annotation(name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load(ANNOTATIONS[f"artifacthub.io/{name}"])
    return found


def test_the_changelog_keeps_its_form() -> None:
    assert changelog.parse(TEXT)[0].version == "Unreleased"


def test_sections_kinds_and_entries_are_read() -> None:
    first, second, third = changelog.parse(GOOD)
    assert (first.version, first.date, first.entries) == ("Unreleased", None, {"Fixed": ["one goes on"]})
    assert (second.version, second.date, second.entries) == ("0.2.0", "2026-01-02", {"Added": ["two"]})
    assert third.version == "0.2.0-rc.1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("## [Unreleased]\n", "", "stands under|first section must be|must be one of"),
        (
            "### Fixed",
            "### Bugs",
            r"line 5: 'Bugs' must be one of Added, Changed, Deprecated, Removed, Fixed, Security",
        ),
        ("[0.2.0] - 2026-01-02", "[0.2.0]", r"line 10: '## \[0\.2\.0\]' must be"),
        ("[0.2.0] - 2026-01-02", "0.2.0 - 2026-01-02", "line 10: "),
        ("[0.2.0] - ", "[0.1.0] - ", r"0\.2\.0-rc\.1 must be older than 0\.1\.0"),
        ("- two", "two", "entries begin with"),
        ("### Added\n\n", "", "stands under no kind"),
        ("## [0.2.0] - 2026-01-02", "## [Unreleased]", "must stand first, once"),
        ("### Added", "### Added\n\n- x\n\n### Added", "once per version"),
    ],
)
def test_a_broken_changelog_is_refused_with_its_line(old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        changelog.parse(GOOD.replace(old, new, 1))


def test_a_release_turns_unreleased_into_the_version() -> None:
    after = changelog.parse(changelog.release(GOOD, "0.3.0", "2026-02-03"))
    assert [(section.version, section.date) for section in after][:2] == [("Unreleased", None), ("0.3.0", "2026-02-03")]
    assert after[0].entries == {}
    assert after[1].entries == {"Fixed": ["one goes on"]}
    with pytest.raises(InputError, match="there is nothing to release"):
        changelog.release(changelog.release(GOOD, "0.3.0", "2026-02-03"), "0.4.0", "2026-02-04")
    with pytest.raises(InputError, match=r"0\.2\.0 is not newer than 0\.2\.0"):
        changelog.release(GOOD, "0.2.0", "2026-02-03")


def test_versions_are_ordered_as_semver_says() -> None:
    """The example of SemVer 2.0.0, section 11."""
    names = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
             "1.0.0-rc.1", "1.0.0", "1.0.1", "1.10.0", "2.0.0"]  # fmt: skip
    assert sorted(set(names), key=changelog.order) == names
    for bad in ("v1.0.0", "1.0", "01.0.0", "1.0.0+build", "latest", ""):
        with pytest.raises(InputError, match=r"is not x\.y\.z"):
            changelog.order(bad)


def test_one_version_for_chart_and_generator() -> None:
    assert archive.chart_version(ROOT) == __version__


def test_changes_are_those_of_the_current_version_only() -> None:
    changes = annotation("changes")
    section = changelog.current(changelog.parse(TEXT), __version__)
    assert [(change["kind"], change["description"]) for change in changes] == [
        (kind.lower(), text) for kind in changelog.KINDS for text in section.entries.get(kind, [])
    ]
    assert {change["kind"] for change in changes} <= {"added", "changed", "deprecated", "removed", "fixed", "security"}


def test_images_are_all_that_the_chart_can_run() -> None:
    listed = {image["image"] for image in annotation("images")}
    rendered = set()
    for path in [*(CHART / "ci").glob("*.yaml"), *archive.values_files(ROOT)]:
        text = yaml.safe_dump_all(in_process(yaml.safe_load(path.read_text())))
        rendered |= set(re.findall(r"^ +(?:- )?image: ['\"]?([^\s'\"]+)", text, re.MULTILINE))
    assert {image for image in rendered if not image.startswith(metadata.PLACEHOLDER)} == listed
    assert all(re.search(r":[^/]+$|@sha256:", image) and not image.endswith(":latest") for image in listed)
    assert all(image["name"] for image in annotation("images"))


def test_links_recommendations_and_license() -> None:
    assert ANNOTATIONS["artifacthub.io/license"] == "Apache-2.0"
    for link in annotation("links"):
        assert set(link) == {"name", "url"}
        assert link["url"].startswith(home.SOURCE)
        page = link["url"].removeprefix(f"{home.SOURCE}/blob/main/")
        assert "://" in page or (ROOT / page).exists()
    for recommended in annotation("recommendations"):
        assert re.fullmatch(r"https://artifacthub\.io/packages/helm/[\w-]+/[\w-]+", recommended["url"])


def test_a_signing_key_is_told_once_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("artifacthub.io/signKey" in ANNOTATIONS) is bool(home.SIGN_KEY)
    key = {"fingerprint": "C0FFEE" * 6 + "C0FF", "url": "https://example.com/key.asc"}
    monkeypatch.setattr(home, "SIGN_KEY", key)
    made = yaml.safe_load(metadata.chart_yaml(ROOT))
    assert yaml.safe_load(made["annotations"]["artifacthub.io/signKey"]) == key
