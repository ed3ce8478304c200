"""Markdown paragraphs."""

import textwrap


def prose(text: str) -> list[str]:
    """A paragraph in lines, and an empty one."""
    return [*textwrap.wrap(" ".join(text.split()), 118, break_on_hyphens=False, break_long_words=False), ""]
