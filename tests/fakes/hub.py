"""A model hub on this machine: ranges, redirects as the real one, and connections that break off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalHub:
    """Serves `files` by path; the first `breaks` downloads end after half of the bytes."""

    def __init__(self, files: Mapping[str, bytes], *, breaks: int = 0) -> None:
        self.files = files
        self.breaks = breaks
        self.asked: list[tuple[str, str, str]] = []  # method, path, range
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Serve one GET or HEAD."""
        wanted = request.headers.get("Range", "")
        self.asked.append((request.command, request.path, wanted))
        if not request.path.startswith("/cdn"):
            request.send_response(302)
            request.send_header("Location", f"/cdn{request.path}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = self.files.get(request.path.removeprefix("/cdn"))
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        if request.command == "GET":
            self._send(request, content[start:])

    def _send(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        if self.breaks:
            self.breaks -= 1
            request.wfile.write(content[: len(content) // 2])
            request.close_connection = True
        else:
            request.wfile.write(content)


@contextmanager
def local_hub(files: Mapping[str, bytes], *, breaks: int = 0) -> Iterator[LocalHub]:
    """Run a hub on a free port."""
    hub = LocalHub(files, breaks=breaks)
    with answering(hub.answer) as hub.url:
        yield hub


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Have every GET and HEAD on a free port answered; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def do_HEAD(self) -> None:
            answer(self)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
