"""Guards over the chart's own files: one contract, no drift, readable templates."""

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from support.helm import CHART, ROOT

TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SOURCE = yaml.safe_load((ROOT / "schema" / "values.schema.yaml").read_text())


def resolve(node: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    if "$ref" in node:
        return {**schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], **node}
    return node


def schema_paths(node: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, child in node.get("properties", {}).items():
        inner = resolve(child)
        if inner.get("deprecated"):
            continue  # a removed key, there to be refused by the chart
        yield f"{path}{key}"
        yield from schema_paths(inner, f"{path}{key}.")


def value_paths(node: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, child in node.items():
        yield f"{path}{key}"
        if isinstance(child, dict):
            yield from value_paths(child, f"{path}{key}.")


def test_values_and_schema_know_the_same_keys() -> None:
    assert set(value_paths(VALUES)) == set(schema_paths(SCHEMA))


def test_every_key_is_used_by_a_template() -> None:
    text = "".join(path.read_text() for path in TEMPLATES)
    used_as_whole = ("image", "hfToken", "apiKey", "startup", "plan", "gpu.product")
    for path in value_paths(VALUES):
        last = path.rsplit(".", 1)[-1]
        if path in used_as_whole or isinstance(_get(path), dict):
            continue
        # a field of a section, one of several that are picked, or of a table of keys
        assert re.search(rf"(\.|\"){last}\b", text), f"no template uses {path}"


def test_templates_use_only_declared_keys() -> None:
    known = set(value_paths(VALUES))
    free = ("plan.",)
    for path in TEMPLATES:
        for used in re.findall(r"\.Values\.([A-Za-z.]+)", path.read_text()):
            assert used in known or used.startswith(free), f"{path.name} uses .Values.{used}"


def _get(path: str) -> Any:
    node: Any = VALUES
    for part in path.split("."):
        node = node[part]
    return node


def test_every_value_has_a_comment_line() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        key = re.match(r"\s*([A-Za-z]+):( .+)", line)
        if key:
            assert lines[number - 1].strip().startswith("# --"), f"no comment above line {number + 1}: {line}"


def test_every_property_of_the_schema_is_described() -> None:
    def check(node: dict[str, Any], path: str) -> None:
        for key, child in node.get("properties", {}).items():
            inner = resolve(child, SOURCE)
            assert inner.get("description"), f"{path}{key} has no description"
            check(inner, f"{path}{key}.")

    check(SOURCE, "")


def test_the_schema_is_strict_and_self_contained() -> None:
    free = {"plan", "global", "affinity"}

    def check(node: Any, path: str) -> None:
        if isinstance(node, dict):
            if "properties" in node and path.rsplit("/", 1)[-1] not in free and "items" not in path:
                assert node.get("additionalProperties") is False, f"{path} lets unknown keys through"
            reference = node.get("$ref")
            assert reference is None or reference.startswith("#/"), f"{path} refers outside"
            for key, child in node.items():
                check(child, f"{path}/{key}")

    check(SCHEMA, "")
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_namespace_is_a_fact() -> None:
    uses = [path.name for path in TEMPLATES if ".Release.Namespace" in path.read_text()]
    assert uses == ["_facts.tpl"]


def test_output_is_a_function_of_values() -> None:
    for path in TEMPLATES:
        assert not re.search(r"\b(lookup|randAlpha\w*|now|uuidv4|genCA)\b", path.read_text()), path.name


def test_ci_files_are_seen_by_chart_testing() -> None:
    files = [path.name for path in (CHART / "ci").iterdir()]
    assert "default-values.yaml" in files
    assert all(name.endswith("-values.yaml") for name in files)


def test_the_package_contains_the_schema(tmp_path: Path) -> None:
    from helm_python import package

    package(str(CHART), destination=str(tmp_path))
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as package_file:
        names = package_file.getnames()
    assert "llm-serving/values.schema.json" in names
    programs = {f"llm-serving/files/{path.name}" for path in (ROOT / "generator" / "supervisor").glob("[!_]*.py")}
    assert len(programs) > 8
    assert programs | {"llm-serving/files/fmaas.py"} <= set(names)


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == VALUES["engine"]["version"]
    facts = json.loads((ROOT / "generator" / "llm_serving_planner" / "data" / "engines.json").read_text())
    assert facts["default"] == chart["appVersion"]
    assert chart["appVersion"] in chart["annotations"]["artifacthub.io/images"]
