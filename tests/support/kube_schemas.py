"""Kubernetes' own schemas per minor version, strict, from the data of kubernetes-validate.

The package reads 1.5 MB of definitions for every object; here each is read once, so that all golden manifests can be
checked against every version.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FOLDER = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
NEWEST: str = kubernetes_validate.latest_version()


class NotServedError(Exception):
    """A version of Kubernetes does not have the API, or not any more."""


def folder(version: str) -> Path:
    """Where the schemas of a minor version are."""
    return FOLDER / f"v{version}.0-local-strict"


@cache
def _definitions(version: str) -> Registry[Any]:
    name = "_definitions.json"
    document = json.loads((folder(version) / name).read_text(encoding="utf-8"))
    empty: Registry[Any] = Registry()
    crawled: Registry[Any] = empty.with_resource(name, DRAFT202012.create_resource(document)).crawl()
    return crawled  # crawled once, not for each object


@cache
def _validator(version: str, kind: str, api: str) -> Draft202012Validator:
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)  # rbac.authorization.k8s.io/v1 is filed as rbac-v1
    file = folder(version) / f"{kind.lower()}-{short}.json"
    if not file.exists():
        raise NotServedError(f"Kubernetes {version} has no {kind} of {api}")
    schema = json.loads(file.read_text(encoding="utf-8"))
    return Draft202012Validator(schema, registry=_definitions(version))


def validate(document: dict[str, Any], version: str) -> None:
    """Raise NotServedError or jsonschema.ValidationError unless the version knows the object, field by field."""
    _validator(version, document["kind"], document["apiVersion"]).validate(document)
