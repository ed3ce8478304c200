"""Quantities as Kubernetes writes them, and files that are written whole."""

from pathlib import Path
from typing import Any

import pytest
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.units import GIB, MIB, quantity
from llm_serving_planner.base.writing import write_bytes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", 0.1), ("24581684Ki", 24581684 * 1024), ("2Gi", 2 * GIB), ("4", 4), (4, 4), (0.5, 0.5), ("1e3", 1000),
        ("1E3", 1000), ("1E", 1e18), ("2Ei", 2**61), ("1Pi", 2**50), ("3Ti", 3 * 2**40), ("512Mi", 512 * MIB),
        ("5k", 5000), ("5M", 5e6), ("5G", 5e9), ("5T", 5e12), ("5P", 5e15), ("250u", 250e-6), ("3n", 3e-9),
        ("1.5Gi", 1.5 * GIB),
        (".5", 0.5), ("5.", 5), ("+2", 2), ("-2Mi", -2 * MIB), ("12e-1", 1.2), (1e-05, 1e-05), ("0", 0),
    ],
)  # fmt: skip
def test_a_quantity(text: Any, number: float) -> None:
    assert quantity(text) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", " ", "Gi", "1GB", "1gi", "1 Gi", "1e", "1e3Gi", "1mi", "1K", "nan", "inf", "1_0", None, "٣"]
)
def test_what_is_no_quantity_is_named(text: Any) -> None:
    with pytest.raises(InputError, match="is no Kubernetes quantity"):
        quantity(text)


def test_bytes_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.png"
    write_bytes(path, b"\x89PNG\r\n")
    assert path.read_bytes() == b"\x89PNG\r\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.png"]
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(path / "below", b"x")
