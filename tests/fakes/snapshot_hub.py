"""A model hub on this machine, as `huggingface_hub` asks it for all files of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.fakes.hub import answering

REVISION = "a" * 40


@dataclass
class SnapshotHub:
    """Has one model, of these files."""

    files: Mapping[str, bytes]
    url: str = ""
    fetched: list[str] = field(default_factory=list[str])

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Serve one GET or HEAD."""
        headers = {"X-Repo-Commit": REVISION}
        if "/tree/" in request.path:
            body = json.dumps([self._entry(name) for name in self.files]).encode()
        elif "/revision/" in request.path:
            body = json.dumps({"id": "any/model", "sha": REVISION, "siblings": []}).encode()
        elif (name := request.path.rpartition("/")[2]) in self.files and "/resolve/" in request.path:
            body = self.files[name]
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
            if request.command == "GET":
                self.fetched.append(name)
        else:
            request.send_error(404)
            return
        request.send_response(200)
        for header, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(header, value)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def _entry(self, name: str) -> dict[str, object]:
        content = self.files[name]
        return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


@contextmanager
def snapshot_hub(files: Mapping[str, bytes]) -> Iterator[SnapshotHub]:
    """Run a hub on a free port."""
    hub = SnapshotHub(files)
    with answering(hub.answer) as hub.url:
        yield hub
