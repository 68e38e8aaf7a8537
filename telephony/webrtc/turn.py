"""STUN and TURN servers with time-limited credentials, for the page and for our own side. Sans I/O.

The credentials are those of coturn's `use-auth-secret` (the TURN REST API that RFC 7635 grew out of): the user name is
the time at which they end and a name, the password is its HMAC-SHA1 under a secret that only we and the server know.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from telephony.settings import WebRtcSettings


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of `iceServers` (W3C WebRTC); without a user name for STUN."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, object]:
        """Write it as `RTCIceServer` of the browser."""
        secret = {} if self.username is None else {"username": self.username, "credential": self.credential}
        return {"urls": list(self.urls), **secret}


def ice_servers(settings: WebRtcSettings, *, name: str, now_unix_s: float) -> tuple[IceServer, ...]:
    """Give the servers of the settings, with credentials that end after `turn_ttl_s`; `name` stands in TURN's logs."""
    servers = [IceServer(settings.stun_urls)] if settings.stun_urls else []
    if settings.turn_urls:
        username = f"{int(now_unix_s) + settings.turn_ttl_s}:{name}"
        secret = settings.turn_secret.get_secret_value().encode()
        digest = hmac.new(secret, username.encode(), hashlib.sha1).digest()
        servers.append(IceServer(settings.turn_urls, username, base64.b64encode(digest).decode()))
    return tuple(servers)
