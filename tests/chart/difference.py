"""What one rendering has that another has not, as a short document that a person can review, and the way back.

    removed: [Kind/name]                    objects that are gone
    added: [...]                            objects that came, whole
    changed:
      Kind/name:
        spec.replicas: {was: 1, is: 2}      a path and its two values; only one of them where a key came or went
        spec.containers[engine].image: ...  an entry of a list whose entries have names
        spec.containers: {order: [a, b]}    where the names stand in another order than the old ones with the new after

A key that holds a dot or a bracket stands in quotes.
"""

import re
from collections.abc import Iterator
from typing import Any

from support.helm import Manifest

Difference = dict[str, Any]
Path = tuple[str | tuple[str], ...]  # keys; an entry of a list as a tuple with its name
_PART = re.compile(r'"([^"]+)"|\[([^\]]+)\]|([^.\["]+)')


def place(manifest: Manifest) -> str:
    """Kind and name, which no two objects of a namespace share."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def difference(old: list[Manifest], new: list[Manifest]) -> Difference:
    """What leads from one rendering to another; parts that would be empty are left out."""
    before, after = ({place(manifest): manifest for manifest in manifests} for manifests in (old, new))
    assert (len(before), len(after)) == (len(old), len(new)), "two objects of one kind and name"
    changed = {name: dict(_changes(before[name], after[name], ())) for name in before if name in after}
    found = {
        "removed": [name for name in before if name not in after],
        "added": [manifest for name, manifest in after.items() if name not in before],
        "changed": {name: paths for name, paths in changed.items() if paths},
    }
    return {part: content for part, content in found.items() if content}


def applied(old: list[Manifest], steps: Difference) -> list[Manifest]:
    """The rendering to which a difference leads; objects that came stand last."""
    gone = set(steps.get("removed", ()))
    kept = [manifest for manifest in old if place(manifest) not in gone]
    for number, manifest in enumerate(kept):
        for text, change in steps.get("changed", {}).get(place(manifest), {}).items():
            kept[number] = _set(kept[number], _parts(text), change)
    return kept + list(steps.get("added", ()))


def _text(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, tuple):
            text += f"[{part[0]}]"
        else:
            text += ("." if text else "") + (f'"{part}"' if re.search(r"[.\[\]]", part) else part)
    return text


def _parts(text: str) -> Path:
    return tuple((entry,) if entry else quoted or word for quoted, entry, word in _PART.findall(text))


def _names(node: Any) -> list[str] | None:
    """Names of a list's entries, where each has one of its own."""
    if not isinstance(node, list) or not all(isinstance(entry, dict) and "name" in entry for entry in node):
        return None
    names = [str(entry["name"]) for entry in node]
    return names if len(set(names)) == len(names) else None


def _changes(old: Any, new: Any, path: Path) -> Iterator[tuple[str, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _members(
            old, new, path, [(key, (*path, key)) for key in (*old, *(key for key in new if key not in old))]
        )
        return
    before, after = _names(old), _names(new)
    if before and after:
        entries = [(name, (*path, (name,))) for name in (*before, *(name for name in after if name not in before))]
        yield from _members(dict(zip(before, old, strict=True)), dict(zip(after, new, strict=True)), path, entries)
        if [name for name, _ in entries if name in after] != after:
            yield _text(path), {"order": after}
        return
    if type(old) is not type(new) or old != new:
        yield _text(path), {"was": old, "is": new}


def _members(old: Manifest, new: Manifest, path: Path, keys: list[tuple[str, Path]]) -> Iterator[tuple[str, Any]]:
    for key, inner in keys:
        if key in old and key in new:
            yield from _changes(old[key], new[key], inner)
        elif key in old:
            yield _text(inner), {"was": old[key]}
        else:
            yield _text(inner), {"is": new[key]}


def _set(node: Any, path: Path, change: dict[str, Any]) -> Any:
    """A copy of a node with one change in it."""
    if not path:
        if "order" in change:
            return sorted(node, key=lambda entry: change["order"].index(str(entry["name"])))
        return change["is"]
    first, rest = path[0], path[1:]
    gone = not rest and "is" not in change and "order" not in change
    if isinstance(first, str):
        if gone:
            return {key: value for key, value in node.items() if key != first}
        return {**node, first: _set(node.get(first), rest, change)}
    names = [str(entry["name"]) for entry in node]
    if gone:
        return [entry for name, entry in zip(names, node, strict=True) if name != first[0]]
    if first[0] not in names:
        return [*node, _set(None, rest, change)]
    return [_set(entry, rest, change) if name == first[0] else entry for name, entry in zip(names, node, strict=True)]
