"""`SourceList`: which addresses may talk to us at all; whoever is not named is not answered."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from telephony.errors import LocalProtocolError

LOOPBACK = ("127.0.0.0/8", "::1/128")
_REMEMBERED = 4096

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class SourceList:
    """Networks in CIDR notation, or single addresses. Raises `LocalProtocolError` for anything else."""

    def __init__(self, networks: Iterable[str]) -> None:
        try:
            self._networks: tuple[_Network, ...] = tuple(ipaddress.ip_network(text) for text in networks)
        except ValueError as error:
            raise LocalProtocolError(f"not a network: {error}; write 203.0.113.7 or 203.0.113.0/24") from error
        # Reading an address costs as much as ten look-ups.
        self._allows = lru_cache(_REMEMBERED)(self._look_up)

    @property
    def names_anybody(self) -> bool:
        """Whether there is anything on the list."""
        return bool(self._networks)

    def allows(self, host: str) -> bool:
        """Whether an address is on the list. An IPv4 address that is mapped into IPv6 counts as itself."""
        return self._allows(host)

    def _look_up(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
