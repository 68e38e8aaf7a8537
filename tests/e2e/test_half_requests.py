"""Requests that never come whole, to each HTTP server of the service."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from tests.e2e.service import RunningService
from tests.waiting import HUNG_S

OFFER = b"POST /api/offer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
UPLOAD = (
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\n"
    b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 9\r\n\r\n--b"
)
SPEECH = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"


def url_of(server: str, service: RunningService) -> str:
    if server == "page":
        return service.page
    found = re.search(rf"{server} .*?(http://127\.0\.0\.1:\d+)", service.log.read_text(errors="replace"))
    assert found is not None
    return found[1]


async def given_up(url: str, request: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), HUNG_S)
    finally:
        writer.close()


async def test_half_a_request_holds_no_server_of_the_service(service: RunningService) -> None:
    servers = {"page": OFFER, "recogniser listens": UPLOAD, "speech server ready": SPEECH}
    asked = [
        (server, url_of(server, service), request)
        for server, body in servers.items()
        for request in (b"", body[:20], body)
    ]

    answers = await asyncio.gather(*(given_up(url, request) for _, url, request in asked))

    answered = {server for (server, _, _), answer in zip(asked, answers, strict=True) if answer}
    assert answered <= {"speech server ready"}  # which says 408 to half a body
