"""Which addresses belong to the public internet. Nothing here resolves a name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE: Final = IPv6Network("::/96")
_LOWEST: Final = 0xFFFFFFFF
_PROTOCOLS: Final = 0xC0000000
"""The first address of 192.0.0.0/24, which is reserved for protocols of the network."""


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet.

    An IPv6 address that stands for an IPv4 address (mapped, NAT64, 6to4, Teredo) is as public as that one.

    Args:
        address: In the notation of the operating system; an IPv6 address may have a zone.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        embedded = _embedded(ip)
        if embedded is not None:
            return _is_public(embedded)
        if ip in _LOCAL_NAT64:
            return False
    return _is_public(ip)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address) and int(ip) >> 8 == _PROTOCOLS >> 8:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for; None if it stands for none."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64 or ip in _COMPATIBLE:
        return IPv4Address(int(ip) & _LOWEST)
    return None
