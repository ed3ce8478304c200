"""Small numbers as words, for sentences that explain a figure."""

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def word(number: int) -> str:
    """`2` as two; figures from thirteen on."""
    return _WORDS[number] if number < len(_WORDS) else str(number)


def times(factor: int) -> str:
    """`2` as twice."""
    return {1: "once", 2: "twice"}.get(factor, f"{word(factor)} times")


def part(parts: int) -> str:
    """One of so many parts: `2` as half."""
    return {1: "all", 2: "half"}.get(parts, f"one part in {word(parts)}")


def counted(count: int, noun: str) -> str:
    """`2`, core as two cores."""
    return f"{word(count)} {noun}" if count == 1 else f"{word(count)} {noun}s"
