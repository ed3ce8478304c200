"""An HTTP server on a thread of its own: what the stand-ins for the hub and for an engine stand on."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        """A client that hangs up in the middle is what tests want, and no word on their stderr."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*arguments)


class LocalServer:
    """Serves from its construction until `close`; its handler finds it as `owner`.

    Attributes:
        closing: set when it ends; a handler that is told to hang waits for it.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1", port: int = 0) -> None:
        self.closing = threading.Event()
        self.server = _Server((host, port), type("Handler", (handler,), {"owner": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
