"""Kubernetes' own schemas per minor version, strict, from the data of kubernetes-validate.

The package reads 1.5 MB of definitions for every object; here each is read once, so that all golden manifests can be
checked against every version.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FOLDER = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
NEWEST = kubernetes_validate.latest_version().rpartition(".")[0]


class NotServedError(Exception):
    """A version of Kubernetes does not have the API, or not any more."""


def folder(version: str) -> Path:
    """Where the schemas of a minor version are."""
    return FOLDER / f"v{version}.0-local-strict"


@cache
def _document(version: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder(version) / "_definitions.json").read_text(encoding="utf-8"))
    return document


@cache
def _definitions(version: str) -> Registry[Any]:
    empty: Registry[Any] = Registry()
    resource = DRAFT202012.create_resource(_document(version))
    crawled: Registry[Any] = empty.with_resource("_definitions.json", resource).crawl()
    return crawled  # crawled once, not for each object


@cache
def _schema(version: str, kind: str, api: str) -> dict[str, Any]:
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)  # rbac.authorization.k8s.io/v1 is filed as rbac-v1
    file = folder(version) / f"{kind.lower()}-{short}.json"
    if not file.exists():
        raise NotServedError(f"Kubernetes {version} has no {kind} of {api}")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


@cache
def _validator(version: str, kind: str, api: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(version, kind, api), registry=_definitions(version))


def _told(node: Any) -> Any:
    """A schema without its descriptions, which change from version to version and decide nothing."""
    if isinstance(node, dict):
        return {key: _told(child) for key, child in node.items() if key != "description" or not isinstance(child, str)}
    return [_told(child) for child in node] if isinstance(node, list) else node


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from _references(child)


@cache
def fingerprint(version: str, kind: str, api: str) -> str:
    """Equal for two versions that admit the same objects of a kind; NotServedError where a version has none."""
    schema = _told(_schema(version, kind, api))
    definitions, found = _document(version)["$defs"], {}
    todo = list(_references(schema))
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = _told(definitions[name])
            todo += _references(found[name])
    return json.dumps([schema, found], sort_keys=True)


def validate(document: dict[str, Any], version: str) -> None:
    """Raise NotServedError or jsonschema.ValidationError unless the version knows the object, field by field."""
    _validator(version, document["kind"], document["apiVersion"]).validate(document)
