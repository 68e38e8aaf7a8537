"""TLS for SIP (RFC 3261 section 26.3.1, RFC 5922): our certificate, and whose certificates we believe."""

from __future__ import annotations

import ssl
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
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
        server.minimum_version = ssl.TLSVersion.TLSv1_2
        server.load_cert_chain(settings.certificate, settings.key or None)
        if settings.client_certificates:
            server.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise LocalProtocolError(
            f"[sip.tls] a certificate, its key or the authorities cannot be read: {error}"
        ) from error
    return TlsContexts(client, server)
