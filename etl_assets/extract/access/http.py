"""`Http`: how files and APIs on the web are reached."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.access.base import Access, check_alternatives, check_together
from etl_assets.extract.access.oauth2 import OAuth2
from etl_assets.extract.http.waits import LONGEST_WAIT
from etl_assets.model.secret import Secret

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PROXY: Final = re.compile(r"https?://[^/@\s]+/?")
_MOST_ATTEMPTS: Final = 20
_LONGEST_FIRST_WAIT: Final = 60.0


@dataclass(frozen=True)
class Http(Access):
    """How files on the web are reached: ``http://`` and ``https://``.

    Certificates are always verified. The login goes to the host of the location alone, never to one that it redirects
    to. Proxies of the environment are not used.

    Attributes:
        user: For a login by user and password.
        password: Its password.
        bearer: For a login by a token: ``Authorization: Bearer …``.
        key: For a login by a key.
        key_header: The header that has the key.
        key_parameter: The parameter of the query that has the key, and not the header. Servers write queries to logs;
            use it only if the publisher knows no header.
        private: Whether the host of the location may have an address outside the public internet, as ``localhost`` has.
            A redirect may lead to no such address of another host.
        ca_file: Path of a file with certificates that are trusted, in the PEM form, instead of those of the system.
        proxy: ``http://host:port`` of a proxy. It resolves names, so that addresses are not checked here.
        proxy_user: The user of the proxy, if it needs a login.
        proxy_password: The password of this user.
        attempts: How often a request is sent at most, if the server does not answer, or answers that it cannot now;
            also how often in a row a download that broke is resumed.
        wait: The longest time in seconds before the second attempt. It doubles each time.
        oauth2: For a login by a token that is asked for first.
        requests_per_second: How many requests a second are sent at most; 0 for no limit. What the server itself says of
            its limits is kept too.
        longest_wait: The longest time in seconds that a server may ask to wait. One that asks for more is left to the
            next run.
        accept_without_length: Whether a file may come without its length. If such a file is cut short, only its format
            can notice it.
    """

    user: str = ""
    password: Secret | None = None
    bearer: Secret | None = None
    key: Secret | None = None
    key_header: str = field(default="X-Api-Key", kw_only=True)
    key_parameter: str = field(default="", kw_only=True)
    private: bool = field(default=False, kw_only=True)
    ca_file: str = field(default="", kw_only=True)
    proxy: str = field(default="", kw_only=True)
    proxy_user: str = field(default="", kw_only=True)
    proxy_password: Secret | None = field(default=None, kw_only=True)
    attempts: int = field(default=4, kw_only=True)
    wait: float = field(default=1.0, kw_only=True)
    oauth2: OAuth2 | None = field(default=None, kw_only=True)
    requests_per_second: float = field(default=0.0, kw_only=True)
    longest_wait: float = field(default=LONGEST_WAIT, kw_only=True)
    accept_without_length: bool = field(default=False, kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = ("http", "https")

    def __post_init__(self) -> None:
        where = "access Http"
        logins = {"password": self.password, "bearer": self.bearer, "oauth2": self.oauth2}
        check_alternatives(where, **{name: login is not None for name, login in logins.items()})
        check_together(where, user=bool(self.user), password=self.password is not None)
        check_together(where, proxy_user=bool(self.proxy_user), proxy_password=self.proxy_password is not None)
        if not _TOKEN.fullmatch(self.key_header):
            raise DeclarationError(where, "key_header", "is no name of a header", "Write one such as 'X-Api-Key'")
        if self.proxy and not _PROXY.fullmatch(self.proxy):
            problem = "is no address of a proxy"
            raise DeclarationError(where, "proxy", problem, "Write http://host:port; its login has its own arguments")
        if not 1 <= self.attempts <= _MOST_ATTEMPTS:
            raise DeclarationError(where, "attempts", f"is {self.attempts}", f"Write 1 to {_MOST_ATTEMPTS}")
        if not 0 <= self.wait <= _LONGEST_FIRST_WAIT:
            raise DeclarationError(where, "wait", f"is {self.wait}", f"Write seconds, 0 to {_LONGEST_FIRST_WAIT:g}")
        for name in ("requests_per_second", "longest_wait"):
            if not 0 <= getattr(self, name) < math.inf:
                raise DeclarationError(where, name, f"is {getattr(self, name)}", "Write a number, 0 or more")

    @property
    def has_login(self) -> bool:
        """Whether a login is declared."""
        return any(login is not None for login in (self.password, self.bearer, self.key, self.oauth2))

    @property
    def login_is_declared(self) -> bool:
        """True: a login is never a part of an address."""
        return True
