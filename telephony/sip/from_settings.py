"""From the `[sip]` section to the parts that it describes."""

from __future__ import annotations

import secrets

from telephony.errors import LocalProtocolError
from telephony.local_address import reachable_address
from telephony.media import MediaAbilities
from telephony.settings import SipSettings
from telephony.sip.call_limits import CallLimits
from telephony.sip.identity import Identity
from telephony.sip.offer_answer import ANYTHING
from telephony.sip.resolution import Resolver
from telephony.sip.user_agent_config import UserAgentConfig
from telephony.source_list import SourceList


def new_token() -> str:
    """Draw 32 hex digits that nobody can guess."""
    return secrets.token_hex(16)


def user_agent_config(
    settings: SipSettings, *, port: int, tls_port: int = 0, abilities: MediaAbilities = ANYTHING
) -> UserAgentConfig:
    """Turn the `[sip]` section and the ports that were bound into the user agent's configuration.

    A host that is all addresses, without a domain, is named by the address that the default route leaves from;
    raises `LocalProtocolError` when there is none.
    """
    try:
        host = reachable_address(settings.domain or settings.host)
    except OSError as error:
        raise LocalProtocolError(
            f"[sip] host is {settings.host} and there is no default route: set [sip] domain to what callers can reach"
        ) from error
    return UserAgentConfig(
        Identity(host, port, settings.user, tls_port=tls_port),
        address_type="IP6" if ":" in settings.host else "IP4",
        realm=host,
        passwords=settings.digest_users,
        limits=CallLimits(
            settings.session_expires_s, settings.session_min_s, settings.transfer_timeout_s, settings.failover_s
        ),
        trusted=SourceList(settings.trusted_peers),
        accepts_replaces=settings.accept_replaces,
        heeds_refer=settings.accept_refer,
        digest_qualities=("auth-int",) if settings.digest_integrity else ("auth",),
        abilities=abilities,
    )


def resolver_of(settings: SipSettings) -> Resolver:
    """Make what finds the servers of names; raises `LocalProtocolError` for a DNS server that is none."""
    return Resolver(servers=settings.dns_servers, services=settings.dns_services)
