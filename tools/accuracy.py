"""docs/accuracy.md: predicted against measured memory."""


def accuracy_page() -> str:
    """Text of the page."""
    return "# Accuracy\n"
