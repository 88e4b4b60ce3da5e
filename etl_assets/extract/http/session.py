"""`HttpSession`: requests with a login, redirects, another attempt where one may help, and one deadline for all.

It is what extractors send requests through. It answers with a response whose body nobody has read; `body` reads it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urljoin, urlsplit

from urllib3.exceptions import HTTPError, SSLError

from etl_assets.errors import DeliveryError, DeliveryUnreachableError
from etl_assets.extract.http.causes import cause_of, unused_proxy
from etl_assets.extract.http.connection import guarded_pools
from etl_assets.extract.http.deadline import Deadline
from etl_assets.extract.http.login import login_headers, with_key
from etl_assets.extract.http.pace import Pace, seconds_to_reset
from etl_assets.extract.http.token import Token
from etl_assets.extract.http.waits import IDEMPOTENT, LATER, backoff, retry_after
from etl_assets.extract.location import without_secrets
from etl_assets.extract.progress import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from urllib.parse import SplitResult

    from urllib3 import BaseHTTPResponse

    from etl_assets.extract.access.http import Http

MOST_REDIRECTS: Final = 10
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_SAID_SECONDS: Final = 1.0
"""A shorter wait is not worth a word."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = {"User-Agent": "etl_assets", "Accept-Encoding": "identity"}
_ANYWHERE: Final = frozenset({"range", "if-range", "accept"})
"""Headers of a request that are sent to any host: they contain no login."""


class _PacedError(Exception):
    """The server allows no request for longer than may be waited, so that another attempt would not be sent either."""


class HttpSession:
    """The requests of one fetch. Use it as a context manager, whose block may take as long as the deadline.

    Attributes:
        http: How the publisher is reached.
        deadline: Of everything that is sent and received.
    """

    def __init__(self, http: Http, url: str, *, seconds: float | None = None, attempts: int | None = None) -> None:
        """Prepare a session; nothing is sent yet.

        Args:
            http: How the publisher is reached.
            url: What is fetched. Its host is the only one that may be outside the public internet, if declared.
            seconds: Shortens the declared deadline.
            attempts: Lowers the declared number of attempts.
        """
        self.http = http
        home = _parts(url, url)
        self._host = home.hostname or ""
        self._home = origin(home)
        self.deadline = Deadline(min(http.deadline, seconds or http.deadline), without_secrets(url))
        self.attempts = min(http.attempts, attempts or http.attempts)

    @property
    def requests(self) -> int:
        """Number of requests that were sent, with repeated and redirected ones."""
        return self._pace.taken

    def __enter__(self) -> Self:
        self._pools = guarded_pools(self.http, self._host, self.deadline)
        self._pace = Pace(self.http.requests_per_second)
        self._token = None if self.http.oauth2 is None else Token(self.http.oauth2, self._post)
        self.deadline.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.deadline.__exit__(kind, error, trace)
        self._pools.clear()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        repeatable: bool = False,
    ) -> BaseHTTPResponse:
        """Send a request and return the response; its status may be that of an error.

        A GET or HEAD is sent again, after longer and longer waits, if there is no answer or one of `waits.LATER`, or
        if all requests that are allowed in a time were sent. It follows redirects; the login and the headers of the
        request go to no other host than that of the session.

        Args:
            method: Any but a GET or HEAD is sent once, unless it is repeatable.
            url: Begins with ``http://`` or ``https://``.
            headers: Of this request.
            body: Of this request.
            repeatable: Whether a request of another method may be sent again, too.

        Raises:
            DeliveryUnreachableError: If the last attempt had no answer, or the time is over.
            DeliveryError: If an address is refused, or the certificate of a server is not valid.
        """
        last = self.attempts if repeatable or method in IDEMPOTENT else 1
        for attempt in range(1, last + 1):
            wait = backoff(self.http.wait, attempt)
            try:
                response = self._follow(method, url, headers or {}, body)
            except _PacedError as error:
                raise DeliveryUnreachableError(str(error)) from None
            except DeliveryUnreachableError:
                if attempt == last or not self._sleep(wait, url):
                    raise
                continue
            reset = seconds_to_reset(response.headers)
            limited = response.status == _FORBIDDEN and reset is not None
            if attempt == last or (response.status not in LATER and not limited):
                break
            wait = retry_after(response.headers) or reset or wait
            if wait > self.http.longest_wait or not self._sleep(wait, url):
                break
            response.close()
        return response

    def _sleep(self, seconds: float, url: str) -> bool:
        """Wait, and say so; return False at once if the deadline would be over before."""
        if seconds >= _SAID_SECONDS:
            say(f"{without_secrets(url)} is asked again in {seconds:.0f} s.")
        return self.deadline.sleep(seconds)

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        """Send a request, and again to where redirects lead."""
        at_home = origin(_parts(url, url)) == self._home
        target = with_key(self.http, url) if at_home else url
        for _ in range(MOST_REDIRECTS + 1):
            response = (
                self._send_with_login(method, target, headers, body)
                if at_home
                else self._send(method, target, {**_PLAIN, **_harmless(headers)}, body)
            )
            location = response.headers.get("Location")
            if method not in IDEMPOTENT or response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            former, target = target, _joined(target, location)
            parts = _parts(target, url)
            if parts.scheme == "http" and urlsplit(former).scheme == "https":
                raise _refused(url, "redirects from https to http, which anybody can read and change")
            at_home = at_home and origin(parts) == self._home
        raise _refused(url, f"redirects more than {MOST_REDIRECTS} times")

    def _send_with_login(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> BaseHTTPResponse:
        """Send a request with the login; if its token is not accepted, ask for another and send it once more."""
        token = None if self._token is None else self._token.value()
        login = login_headers(self.http, token)
        response = self._send(method, url, {**_PLAIN, **login, **headers}, body)
        if response.status != _UNAUTHORIZED or self._token is None:
            return response
        response.close()
        login = login_headers(self.http, self._token.value(refused=token))
        return self._send(method, url, {**_PLAIN, **login, **headers}, body)

    def _post(self, url: str, headers: dict[str, str], body: bytes, most: int) -> tuple[int, bytes]:
        """Send a POST without the login, to any host; return the status and the first bytes of the answer."""
        without = replace(self.http, user="", password=None, bearer=None, key=None, oauth2=None)
        self.deadline.check()
        with HttpSession(without, url, seconds=min(self.http.timeout, self.deadline.left)) as session:
            response = session.send("POST", url, headers, body)
            try:
                answer = response.read(most, decode_content=False)
            except (HTTPError, OSError):
                session.deadline.check()
                raise _unreachable(without_secrets(url), "cut short") from None
            finally:
                response.close()
            session.deadline.check()
            return response.status, answer

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        shown = without_secrets(url)
        self.deadline.check()
        wait = self._pace.wait()
        if wait > self.http.longest_wait or (wait and not self._sleep(wait, url)):
            raise _PacedError(
                f"{shown} allows no more requests for {wait:.0f} seconds. Nothing was written. Run again after that, "
                "or declare a longer longest_wait=… and deadline=… of its access."
            )
        try:
            response = self._pools.urlopen(
                method,
                url,
                headers=headers,
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except SSLError as error:
            self.deadline.check()
            raise _no_tls(shown, error) from None
        except (HTTPError, OSError) as error:
            self.deadline.check()
            proxy = "" if self.http.proxy else unused_proxy(urlsplit(url).scheme)
            raise _unreachable(shown, cause_of(error), proxy) from None
        except ValueError as error:
            raise _refused(url, f"is no address ({type(error).__name__})") from None
        self._pace.learn(response.headers)
        return response


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _ANYWHERE}


def _joined(url: str, location: str) -> str:
    """Return where a redirect leads; the empty text if that is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _parts(target: str, url: str) -> SplitResult:
    """Return the parts of an address that may be opened.

    Raises:
        DeliveryError: If it has another scheme, no host, or a login.
    """
    try:
        parts = urlsplit(target)
        valid = parts.scheme in _PORTS and parts.hostname is not None and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise _refused(url, "leads to an address that is none of http or https")
    if "@" in parts.netloc:
        raise _refused(url, "contains a login; declare access=Http(user=…, password=Secret(…)) instead")
    return parts


def origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of an address, which decide whether a login may be sent there.

    Raises:
        ValueError: If the port is no number.
    """
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _refused(url: str, problem: str) -> DeliveryError:
    return DeliveryError(f"{without_secrets(url)} {problem}. Nothing was written. Correct the address.")


def _unreachable(shown: str, cause: str, proxy: str = "") -> DeliveryUnreachableError:
    return DeliveryUnreachableError(
        f"{shown} cannot be reached ({cause}). Nothing was written. Check the address and the network, then run again."
        f"{proxy}"
    )


def _no_tls(shown: str, error: SSLError) -> DeliveryError:
    from ssl import SSLCertVerificationError  # noqa: PLC0415 -- takes a while, and files on disk need none

    if not any(isinstance(cause, SSLCertVerificationError) for cause in error.args):
        return DeliveryUnreachableError(
            f"{shown} cannot be reached by TLS. Nothing was written. Check the address, then run again."
        )
    return DeliveryError(
        f"The certificate of {shown} is not valid for it, or signed by nobody whom this machine trusts. Nothing was "
        "written. Check the address; if the publisher signs itself, declare access=Http(ca_file=…)."
    )
