"""TLS for SIP (RFC 3261 section 26.3.1, RFC 5922): our certificate, and whose certificates we believe."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from telephony.errors import LocalProtocolError
from telephony.settings import SipTlsSettings


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """What connections are made with; `server` is None where no certificate is set."""

    client: ssl.SSLContext
    server: ssl.SSLContext | None = None


def tls_contexts(settings: SipTlsSettings) -> TlsContexts:
    """Read the certificates that `[sip.tls]` names; raises `LocalProtocolError` when one cannot be read."""
    authorities = settings.authorities or None
    try:
        client = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authorities)
        client.minimum_version = ssl.TLSVersion.TLSv1_2
        if not settings.certificate:
            return TlsContexts(client)
        # RFC 5923 section 5 and many trunks ask for a client certificate: it is the same one.
        client.load_cert_chain(settings.certificate, settings.key or None)
        server = _server_context(settings.certificate, settings.key, settings)
        by_name = {
            name.lower(): _server_context(names.certificate, names.key, settings)
            for names in settings.names
            for name in names.server_names
        }
    except (OSError, ssl.SSLError) as error:
        raise LocalProtocolError(
            f"[sip.tls] a certificate, its key or the authorities cannot be read: {error}"
        ) from error
    if by_name:
        server.sni_callback = _chooser(by_name)
    return TlsContexts(client, server)


def _server_context(certificate: str, key: str, settings: SipTlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.authorities or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key or None)
    if settings.client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _chooser(by_name: Mapping[str, ssl.SSLContext]) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    """Choose by the name that the client calls us by (RFC 6066 section 3); a `*` stands for one label (RFC 6125)."""

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        called = (name or "").lower()
        found = by_name.get(called) or by_name.get(f"*.{called.partition('.')[2]}")
        if found is not None:
            connection.context = found

    return choose
