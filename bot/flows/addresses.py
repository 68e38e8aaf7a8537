"""Which addresses are of the public internet."""

from __future__ import annotations

import ipaddress

# The only IPv6 addresses given out (RFC 4291, section 2.4). Outside lie IPv4 within IPv6 of older and of local kinds
# (RFC 4291 2.5.5.1, RFC 6145, RFC 8215) and site-local networks (RFC 3879), which Python counts as global.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Tell whether an address is public: not of this machine, its networks or a metadata service, however wrapped."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _embedded(ip) or ip
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _UNICAST:
        return False
    return ip.is_global and not ip.is_multicast


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Give the IPv4 address that an IPv6 one leads to: mapped, 6to4, Teredo or NAT64 (RFC 6052)."""
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
