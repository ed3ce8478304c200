"""Colours for code, as classes of the one stylesheet."""

from functools import cache

from markupsafe import Markup, escape
from pygments import highlight as pygments_highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None


def highlight(text: str, language: str) -> Markup:
    """The inside of a <code> element; plain where nothing knows the language."""
    lexer = _lexer(language) if language else None
    if lexer is None:
        return escape(text)
    html = pygments_highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="hl-"))
    return Markup(html)
