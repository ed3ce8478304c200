"""Visits to the site that notice everything which a visitor must not meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Route

Scheme = Literal["light", "dark"]
PLANNED = "['Planned.', 'It does not run so.'].includes(document.getElementById('state').textContent)"
START_SECONDS = 240  # of the planner, on a machine that many others use; 4 s on an idle one


@dataclass
class Visit:
    """A page with what went wrong on it: requests to anywhere else, console messages, exceptions."""

    page: Page
    base: str
    strangers: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page of the site."""
        self.page.goto(f"{self.base}/{path}")
        return self.page

    def guard(self, route: Route) -> None:
        """Let the site's own files through, nothing else."""
        url = route.request.url
        if url.startswith((self.base, "blob:", "data:")):
            self.loaded.append(url)
            route.continue_()
        else:
            self.strangers.append(url)
            route.abort()

    def planned(self) -> dict[str, Any]:
        """Wait for an answer of the planner; what it shows."""
        self.page.wait_for_function(PLANNED, timeout=START_SECONDS * 1000)
        return {
            "state": self.page.text_content("#state"),
            "verdict": " ".join((self.page.text_content("#result .verdict") or "").split()),
            "values": self.page.text_content("#values .tall code"),
            "command": self.page.locator(".answer .code code").last.text_content(),
        }


@contextmanager
def visit(browser: Browser, base: str, *, width: int = 1280, scheme: Scheme = "light", **more: Any) -> Iterator[Visit]:
    """A visit in a context of its own; fails at its end where something was asked of the network or complained."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    try:
        page = context.new_page()
        found = Visit(page, base)
        context.route("**/*", found.guard)
        page.on("console", lambda message: found.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: found.messages.append(f"exception: {error}"))
        yield found
        assert found.strangers == []
        assert found.messages == []
    finally:
        context.close()
