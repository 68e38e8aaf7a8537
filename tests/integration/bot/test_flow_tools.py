"""The tool client against a server that does everything wrong, and against the demo service."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.flows.actions import CallTool, ToolAnswered
from bot.flows.demo_service import create_app
from bot.flows.flow import Flow
from bot.flows.tools import Pause, Resolve, ToolClient, resolve

_Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _Server:
    """Answers each connection with the next reply; remembers the requests."""

    def __init__(self, *replies: _Reply | bytes) -> None:
        self._replies = list(replies)
        self.requests: list[bytes] = []
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.create_task(self._handle(reader, writer)))

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            await reader.read()
        else:
            await reply(reader, writer)


@asynccontextmanager
async def _serving(*replies: _Reply | bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[_Server]:
    hostile = _Server(*replies)
    server = await asyncio.start_server(hostile.accept, "127.0.0.1", 0, ssl=tls)
    hostile.port = server.sockets[0].getsockname()[1]
    async with server:
        yield hostile
        for task in hostile.tasks:
            task.cancel()
        await asyncio.gather(*hostile.tasks, return_exceptions=True)


def _http(code: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _flow(url: str, **http: object) -> Flow:
    return Flow.model_validate(
        {
            "version": 1,
            "id": "test",
            "start": "end",
            "states": {"end": {"hangup": "normal"}},
            "tools": {
                "t": {
                    "http": {"method": "POST", "url": url, "timeout_s": 20, "retries": 0, **http},
                    "on": {"ok": "end", "error": "end"},
                }
            },
        }
    )


async def _no_pause(_: float) -> None:
    return


def _client(
    *,
    private_hosts: Sequence[str] = ("127.0.0.1",),
    tls: ssl.SSLContext | None = None,
    resolver: Resolve = resolve,
    pause: Pause = _no_pause,
) -> ToolClient:
    known = {"TOKEN": "s3cret"}
    return ToolClient(secrets_by_name=known, private_hosts=private_hosts, tls=tls, resolver=resolver, pause=pause)


async def _call(server: _Server, path: str = "/x", **http: object) -> ToolAnswered:
    async with _client() as client:
        return await client.call(_flow(f"http://127.0.0.1:{server.port}{path}", **http), CallTool(1, "t", {"a": "1"}))


_OK = _http(200, b'{"id": "A17"}')


async def test_a_tool_sends_its_arguments_as_json_with_a_key_and_the_secret() -> None:
    async with _serving(_OK) as server:
        answer = await _call(server, auth="env:TOKEN")
    assert answer == ToolAnswered("ok", {"id": "A17"})
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert json.loads(body) == {"a": "1"}
    assert b"authorization: bearer s3cret" in head.lower()
    assert b"idempotency-key: " in head.lower()
    assert f"host: 127.0.0.1:{server.port}".encode() in head.lower()


async def test_a_get_sends_its_arguments_in_the_query_encoded() -> None:
    async with _serving(_OK) as server, _client() as client:
        flow = _flow(f"http://127.0.0.1:{server.port}/x?fixed=1&tag=a&tag=b", method="GET")
        await client.call(flow, CallTool(1, "t", {"a": "b&c=d\r\nX: y"}))
    assert server.requests[0].startswith(b"GET /x?fixed=1&tag=a&tag=b&a=b%26c%3Dd%0D%0AX%3A+y HTTP/1.1")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (201, "ok"),
        (400, "invalid"),
        (401, "denied"),
        (404, "not_found"),
        (409, "conflict"),
        (422, "invalid"),
        (418, "error"),
    ],
)
async def test_http_codes_become_statuses(code: int, status: str) -> None:
    async with _serving(_http(code, b'{"free_time": "15:00"}')) as server:
        assert await _call(server) == ToolAnswered(status, {"free_time": "15:00"})


async def test_no_content_is_ok_and_an_error_page_is_its_code() -> None:
    async with _serving(_http(204)) as server:
        assert await _call(server) == ToolAnswered("ok")
    async with _serving(_http(404, b"<html>")) as server:
        assert await _call(server) == ToolAnswered("not_found")


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
    await writer.drain()
    await reader.read()


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    "reply",
    [
        _endless,
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
        _http(200, b"<html>you are not signed in</html>"),
        _http(200, b"[1, 2]"),
        _http(200, b"[" * 40_000),
        _http(200, b"\xff\xfe"),
        _http(200, gzip.compress(b"{}"), "Content-Encoding: gzip"),
        _http(200, b"{" + b" " * 70_000 + b"}"),
        _http(302, b"", "Location: http://127.0.0.1:1/"),
        _http(500),
    ],
    ids="endless empty nonsense cut page list deep bytes packed large moved 500".split(),  # noqa: SIM905 (one line)
)
async def test_a_hostile_answer_is_an_error_and_never_an_exception(reply: _Reply | bytes) -> None:
    async with _serving(reply) as server:
        assert await _call(server) == ToolAnswered("error")
        assert len(server.requests) == 1


async def test_a_redirect_is_not_followed_even_to_the_same_host() -> None:
    async with _serving(_http(302, b"", "Location: /elsewhere"), _OK) as server:
        assert await _call(server) == ToolAnswered("error")
        assert len(server.requests) == 1


@pytest.mark.parametrize(("allowed", "status"), [("{host}", "ok"), ("{host}:{port}", "ok"), ("{host}:1", "error")])
async def test_a_private_host_is_allowed_by_name_for_all_ports_or_for_one(allowed: str, status: str) -> None:
    async with _serving(_OK) as server:
        names = [allowed.format(host="127.0.0.1", port=server.port)]
        async with _client(private_hosts=names) as client:
            answer = await client.call(_flow(f"http://127.0.0.1:{server.port}/"), CallTool(1, "t", {}))
        assert (answer.status, len(server.requests)) == (status, int(status == "ok"))


async def test_a_stand_in_is_called_in_the_place_of_another() -> None:
    async with _serving(_OK) as server:
        stand_ins = {"127.0.0.1:1": f"127.0.0.1:{server.port}"}
        async with ToolClient(secrets_by_name={}, private_hosts=["127.0.0.1"], stand_ins=stand_ins) as client:
            answer = await client.call(_flow("http://127.0.0.1:1/x?y=1"), CallTool(1, "t", {}))
    assert answer.status == "ok"
    assert server.requests[0].startswith(b"POST /x")
    assert f"Host: 127.0.0.1:{server.port}".encode() in server.requests[0]


async def test_a_name_that_is_pointed_elsewhere_between_two_tries_is_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1" if len(asked) == 1 else "169.254.169.254"]

    # loopback stands for the public internet here, which no test may call
    monkeypatch.setattr("bot.flows.tools.is_public", lambda address: address == "127.0.0.1")
    async with _serving(_http(503), _OK) as server, _client(private_hosts=(), resolver=resolver) as client:
        flow = _flow(f"http://booking.example:{server.port}/", retries=1)
        assert await client.call(flow, CallTool(1, "t", {})) == ToolAnswered("error")
        assert (len(asked), len(server.requests)) == (2, 1)


@pytest.mark.parametrize("reply", [_hang, _drip])
async def test_a_server_that_does_not_come_to_an_end_is_an_error_in_time(reply: _Reply) -> None:
    async with _serving(reply) as server:
        assert await _call(server, timeout_s=0.2) == ToolAnswered("error")


async def test_a_busy_server_is_tried_again_with_the_same_key() -> None:
    async with _serving(_http(503), _http(500), _OK) as server:
        assert await _call(server, retries=2) == ToolAnswered("ok", {"id": "A17"})
    keys = {line for request in server.requests for line in request.lower().split(b"\r\n") if b"idempotency" in line}
    assert (len(server.requests), len(keys)) == (3, 1)


async def test_retries_end_and_pause_longer_each_time() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with _serving(_http(503)) as server, _client(pause=pause) as client:
        flow = _flow(f"http://127.0.0.1:{server.port}/", retries=2)
        assert await client.call(flow, CallTool(1, "t", {})) == ToolAnswered("busy")
    assert pauses == [0.2, 0.4]


async def test_without_retries_left_a_busy_server_stays_busy_and_one_host_keeps_its_connections() -> None:
    async with _serving(_http(429)) as server, _client() as client:
        flow = _flow(f"http://127.0.0.1:{server.port}/")
        assert await client.call(flow, CallTool(1, "t", {})) == ToolAnswered("busy")
        assert await client.call(flow, CallTool(2, "t", {})) == ToolAnswered("busy")


async def test_nobody_listening_is_an_error() -> None:
    async with _serving(_OK) as server:
        pass
    assert await _call(server, retries=1) == ToolAnswered("error")


async def test_a_conflict_is_an_answer_and_not_tried_again() -> None:
    async with _serving(_http(409)) as server:
        assert await _call(server, retries=3) == ToolAnswered("conflict")
        assert len(server.requests) == 1


async def test_cookies_of_one_call_are_not_those_of_the_next() -> None:
    reply = _http(200, b"{}", "Set-Cookie: caller=1")
    async with _serving(reply) as server, _client() as client:
        flow = _flow(f"http://127.0.0.1:{server.port}/")
        await client.call(flow, CallTool(1, "t", {}))
        await client.call(flow, CallTool(2, "t", {}))
        assert all(b"cookie" not in request.lower() for request in server.requests)


async def test_a_missing_secret_is_an_error_before_anything_is_sent() -> None:
    async with _serving(_OK) as server:
        assert await _call(server, auth="env:MISSING") == ToolAnswered("error")
        assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "172.16.5.5",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
        ),
        *(
            "::1",
            "fe80::1%eth0",
            "fc00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
        ),
    ],
)
async def test_a_private_address_is_refused_whatever_name_leads_to_it(address: str) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["93.184.215.14", address]

    async with _client(resolver=resolver) as client:
        answer = await client.call(_flow("https://booking.example/"), CallTool(1, "t", {}))
    assert answer == ToolAnswered("error")


async def test_a_name_is_resolved_once_and_the_connection_goes_to_the_checked_address() -> None:
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with _serving(_OK) as server, _client(resolver=resolver, private_hosts=["booking.example"]) as client:
        flow = _flow(f"http://booking.example:{server.port}/")
        assert (await client.call(flow, CallTool(1, "t", {}))).status == "ok"
    assert asked == ["booking.example"]
    assert f"host: booking.example:{server.port}".encode() in server.requests[0].lower()


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, today, today + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "key.pem", folder / "cert.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(key.private_bytes(*plain))
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_file, key_file


@pytest.mark.parametrize(("host", "status"), [("booking.example", "ok"), ("other.example", "error")])
async def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(
    host: str, status: str, tmp_path: Path
) -> None:
    certificate, key = _certificate(tmp_path, "booking.example")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)

    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    trusting = ssl.create_default_context(cafile=str(certificate))
    async with (
        _serving(_OK, tls=served) as server,
        _client(tls=trusting, resolver=resolver, private_hosts=["booking.example", "other.example"]) as client,
    ):
        answer = await client.call(_flow(f"https://{host}:{server.port}/"), CallTool(1, "t", {}))
    assert answer.status == status


async def test_a_host_without_an_address_is_an_error() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return []

    async with _client(resolver=nowhere) as client:
        assert await client.call(_flow("https://booking.example/"), CallTool(1, "t", {})) == ToolAnswered("error")


async def test_an_address_is_its_own_name() -> None:
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]


async def test_a_visit_is_booked_at_the_demo_service() -> None:
    config = uvicorn.Config(create_app(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    visit = {"day": "2026-11-24", "time": "14:00", "phone": "+994501234567"}
    async with _client() as client:
        flow = _flow(f"http://127.0.0.1:{port}/v1/bookings")
        booked = await client.call(flow, CallTool(1, "t", visit))
        taken = await client.call(flow, CallTool(2, "t", visit))
        wrong = await client.call(flow, CallTool(3, "t", {"day": "sabah"}))
    server.should_exit = True
    await serving
    assert (booked.status, booked.body["id"]) == ("ok", "A17")
    assert taken == ToolAnswered("conflict", {"detail": "taken", "free_time": "14:30"})
    assert wrong.status == "invalid"
