"""Connections of urllib3 that refuse addresses outside the public internet, and that a deadline shuts."""

from __future__ import annotations

import socket
import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout, connection, make_headers

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.http.addresses import is_public

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.extract.access.http import Http
    from etl_assets.extract.http.deadline import Deadline

_CONNECT: float = 10.0
"""The longest time in seconds for a connection to one address."""
_MOST_KEPT: int = 32
"""Connections that are kept open for each host: as many as requests are sent at the same time."""


@dataclass(frozen=True)
class Guard:
    """What every new connection of a session passes through.

    Attributes:
        deadline: Shuts it when the time is over.
        trusted: The host that may have an address outside the public internet; None for every host, because a proxy
            resolves names.
    """

    deadline: Deadline
    trusted: str | None

    def connect(self, host: str, port: int, timeout: Any, options: Any) -> tuple[socket.socket, Callable[[], None]]:
        """Resolve a name once, check each of its addresses, and connect to the first that answers.

        Returns:
            The connection, and what ends that the deadline shuts it.

        Raises:
            DeliveryError: If one of the addresses is refused. Nothing was sent to any.
            OSError: If none answers.
        """
        found = [info[4][0] for info in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)]
        addresses = list(dict.fromkeys(map(str, found)))
        private = [address for address in addresses if not is_public(address)]
        if private and self.trusted not in {None, host.strip("[]").lower()}:
            raise DeliveryError(
                f"{host} has the address {private[0]}, which is none of the public internet. Nothing was sent, and "
                "nothing was written. If the location is meant to have it, declare access=Http(private=True); no "
                "redirect may lead there."
            )
        for address in addresses:
            try:
                opened = connection.create_connection((address, port), timeout, socket_options=options)
            except OSError:
                if address == addresses[-1]:
                    raise
            else:
                return opened, self.deadline.watch(opened)
        raise OSError


class _Guarded(HTTPConnection):
    """A connection that is shut by the deadline until nobody reads from it any more."""

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._forget: Callable[[], None] = lambda: None

    def _new_conn(self) -> socket.socket:
        opened, self._forget = self._guard.connect(self._dns_host, self.port, self.timeout, self.socket_options)
        return opened

    def connect(self) -> None:
        """Connect. The socket lives as long as the connection, and as the body that is read from it."""
        try:
            super().connect()
        except BaseException:
            self._forget()
            raise
        weakref.finalize(self.sock, self._forget).atexit = False


class _SecureConnection(_Guarded, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def guarded_pools(http: Http, host: str, deadline: Deadline) -> PoolManager:
    """Return the connection pools of a session.

    Only a declared proxy is used. It resolves names itself, so that their addresses cannot be checked here.

    Args:
        http: How the publisher is reached.
        host: The host of the location.
        deadline: Of all connections.

    Raises:
        DeclarationError: If there is no such file of certificates.
    """
    guard = Guard(deadline, None if http.proxy else host * http.private)
    options: dict[str, Any] = {
        "maxsize": _MOST_KEPT,
        "timeout": Timeout(connect=min(_CONNECT, http.timeout), read=http.timeout),
        "cert_reqs": "CERT_REQUIRED",
        "ca_certs": _certificates(http),
    }
    if http.proxy:
        login = f"{http.proxy_user}:{http.proxy_password.read()}" if http.proxy_password is not None else None
        pools: PoolManager = ProxyManager(http.proxy, proxy_headers=make_headers(proxy_basic_auth=login), **options)
    else:
        pools = PoolManager(**options)
    classes: dict[str, Callable[..., HTTPConnectionPool]] = {
        "http": partial(_Pool, guard=guard),
        "https": partial(_SecurePool, guard=guard),
    }
    pools.pool_classes_by_scheme = classes  # type: ignore[assignment]  # they are only called
    return pools


def _certificates(http: Http) -> str | None:
    """Return the path of the declared file of certificates; None for those of the system."""
    if http.ca_file and not Path(http.ca_file).expanduser().is_file():
        remedy = "Name a file of certificates in the PEM form"
        raise DeclarationError("access Http", "ca_file", f"{http.ca_file!r} is no file", remedy)
    return str(Path(http.ca_file).expanduser()) if http.ca_file else None
