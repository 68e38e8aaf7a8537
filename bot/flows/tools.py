"""The HTTP client of flow tools. Whatever goes wrong becomes a status of the answer; nothing raises into the call.

Hosts are fixed by the flow file. A name is resolved once, every address is checked, and the connection goes to the
address that was checked, so that a name cannot be pointed elsewhere in between. Private addresses (RFC 1918,
loopback, link-local with the metadata services) are refused unless the settings name the host. Redirects are not
followed, cookies not kept, and answers not unpacked: a small one could unpack to gigabytes.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import urlsplit

import httpx
import structlog

from bot.flows.actions import CallTool, ToolAnswered
from bot.flows.addresses import is_public
from bot.flows.flow import Flow
from bot.flows.toolspec import HttpCall, Tool

_MOST_BYTES = 64 * 1024  # of an answer
_PAUSE_S = 0.2  # before the first retry; doubled for each further one
_STATUSES: Mapping[int, str] = {
    400: "invalid",
    401: "denied",
    403: "denied",
    404: "not_found",
    409: "conflict",
    422: "invalid",
    429: "busy",
    503: "busy",
}
_LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=10, keepalive_expiry=30)
_WORTH_RETRYING = frozenset({429, 500, 502, 503, 504})
_log = structlog.get_logger(__name__)

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
Pause: TypeAlias = Callable[[float], Awaitable[None]]


class _ToolError(Exception):
    """A call that must not be made, or an answer that cannot be used; never leaves this module."""


async def resolve(host: str, port: int) -> list[str]:
    """Look a host's addresses up."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class ToolClient:
    """Calls the tools of flows.

    `secrets_by_name` is what `auth: env:NAME` may name, usually `os.environ`; `private_hosts` are the hosts that may
    have private addresses, for all ports or, as `crm.local:8443`, for one; `stand_ins` are called in the place of
    others, both as `host:port`; `tls` trusts other certificates than those
    of certifi.
    """

    def __init__(
        self,
        *,
        secrets_by_name: Mapping[str, str],
        private_hosts: Collection[str] = (),
        stand_ins: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: Resolve = resolve,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._secrets = secrets_by_name
        self._private_hosts = frozenset(private_hosts)
        self._stand_ins = dict(stand_ins or {})
        self._resolver = resolver
        self._pause = pause
        # One for each host of the flow files: connections are pooled by address, and TLS was checked for one name.
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._tls = tls or httpx.create_ssl_context()  # here, once: it reads all root certificates

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def call(self, flow: Flow, request: CallTool) -> ToolAnswered:
        """Call a tool of the flow; the answer's status is a key of its `on` table."""
        tool = flow.tools[request.tool]
        key = secrets.token_hex(16)  # of all tries, so that a retry books nothing twice
        log = _log.bind(flow=flow.id, tool=request.tool)
        for attempt in range(tool.http.retries + 1):
            last = attempt == tool.http.retries
            try:
                async with asyncio.timeout(tool.http.timeout_s):
                    code, body = await self._send(tool, request.arguments, key)
            except (_ToolError, ValueError, httpx.InvalidURL) as error:
                log.warning("tool refused", reason=str(error))
                return ToolAnswered("error")
            except (TimeoutError, OSError, httpx.HTTPError, httpx.StreamError) as error:
                log.warning("tool failed", error=type(error).__name__, attempt=attempt)
            else:
                if last or code not in _WORTH_RETRYING:
                    return ToolAnswered(_status(code), body)
                log.warning("tool busy", status=code, attempt=attempt)
            if not last:
                await self._pause(_PAUSE_S * 2**attempt)
        return ToolAnswered("error")

    async def _send(self, tool: Tool, arguments: Mapping[str, str], key: str) -> tuple[int, Mapping[str, object]]:
        http = tool.http
        url = self._stood_in(httpx.URL(http.url))
        address = await self._checked_address(str(url))
        headers = {"Host": url.netloc.decode(), "Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {"Idempotency-Key": key, **self._authorization(http)}
        client = self._client(url.host)
        request = client.build_request(
            http.method,
            url.copy_with(host=address),
            headers=headers,
            json=dict(arguments) if http.has_body else None,
            params=None if http.has_body else url.params.merge(dict(arguments)),
            timeout=http.timeout_s,
            extensions={"sni_hostname": url.host},
        )
        response = await client.send(request, stream=True)
        try:
            return response.status_code, _parsed(response.status_code, await _limited(response))
        finally:
            await response.aclose()

    def _client(self, host: str) -> httpx.AsyncClient:
        if host not in self._clients:
            client = httpx.AsyncClient(follow_redirects=False, trust_env=False, limits=_LIMITS, verify=self._tls)
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._clients[host] = client
        return self._clients[host]

    def _stood_in(self, url: httpx.URL) -> httpx.URL:
        other = self._stand_ins.get(f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}")
        if other is None:
            return url
        host, _, port = other.rpartition(":")
        return url.copy_with(host=host, port=int(port))

    async def _checked_address(self, url: str) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await self._resolver(host, port)
        if not addresses:
            raise _ToolError(f"{host} has no address")
        if not {host, f"{host}:{port}"} & self._private_hosts:
            for address in addresses:
                if not is_public(address):
                    raise _ToolError(f"{host} is at the private address {address}: name it in [flow] private_hosts")
        return addresses[0]

    def _authorization(self, http: HttpCall) -> Mapping[str, str]:
        if http.auth is None:
            return {}
        name = http.auth.removeprefix("env:")
        token = self._secrets.get(name, "").strip()
        if not token:
            raise _ToolError(f"the environment has no {name}: set it before the start")
        return {"Authorization": f"Bearer {token}"}


async def _limited(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _ToolError("the answer is packed though it was asked for plain")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _ToolError(f"the answer is larger than {_MOST_BYTES} bytes")
    return bytes(body)


def _parsed(code: int, body: bytes) -> Mapping[str, object]:
    """Read the JSON object of an answer. A success that is none (the page of a proxy, say) is no success."""
    try:
        found = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if code < 300:
        raise _ToolError("the answer is no JSON object")
    return {}


def _status(code: int) -> str:
    return "ok" if 200 <= code < 300 else _STATUSES.get(code, "error")
