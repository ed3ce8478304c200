"""Compute capability of a GPU, as numbers that compare."""

Capability = tuple[int, int]


def capability(text: str) -> Capability:
    """`8.6` as (8, 6): compared as text, 10.0 would sort before 9.0."""
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


def dotted(value: Capability) -> str:
    """(8, 6) as `8.6`."""
    return f"{value[0]}.{value[1]}"
