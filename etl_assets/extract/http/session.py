"""`HttpSession`: requests with a login, redirects, another attempt where one may help, and one deadline for all.

It is what extractors send requests through. It answers with a response whose body nobody has read; `body` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, urljoin, urlsplit

from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import make_headers

from etl_assets.errors import DeliveryError, DeliveryUnreachableError
from etl_assets.extract.http.connection import guarded_pools
from etl_assets.extract.http.deadline import Deadline
from etl_assets.extract.http.waits import IDEMPOTENT, LATER, LONGEST_WAIT, backoff, retry_after
from etl_assets.extract.location import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from urllib.parse import SplitResult

    from urllib3 import BaseHTTPResponse

    from etl_assets.extract.access.http import Http

MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = {"User-Agent": "etl_assets", "Accept-Encoding": "identity"}
_ANYWHERE: Final = frozenset({"range", "if-range", "accept"})
"""Headers of a request that are sent to any host: they contain no login."""


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
        self._host = _parts(url, url).hostname or ""
        self.deadline = Deadline(min(http.deadline, seconds or http.deadline), without_secrets(url))
        self.attempts = min(http.attempts, attempts or http.attempts)

    def __enter__(self) -> Self:
        self._pools = guarded_pools(self.http, self._host, self.deadline)
        self._login = _login(self.http)
        self.deadline.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.deadline.__exit__(kind, error, trace)
        self._pools.clear()

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> BaseHTTPResponse:
        """Send a request and return the response; its status may be that of an error.

        A GET or HEAD is sent again, after longer and longer waits, if there is no answer or one of `waits.LATER`. It
        follows redirects; the login and the headers of the request go to no other host.

        Args:
            method: Any but a GET or HEAD is sent once.
            url: Begins with ``http://`` or ``https://``.
            headers: Of this request.
            body: Of this request.

        Raises:
            DeliveryUnreachableError: If the last attempt had no answer, or the time is over.
            DeliveryError: If an address is refused, or the certificate of a server is not valid.
        """
        last = self.attempts if method in IDEMPOTENT else 1
        for attempt in range(1, last + 1):
            wait = backoff(self.http.wait, attempt)
            try:
                response = self._follow(method, url, headers or {}, body)
            except DeliveryUnreachableError:
                if attempt == last or not self.deadline.sleep(wait):
                    raise
                continue
            if attempt == last or response.status not in LATER:
                break
            wait = retry_after(response.headers) or wait
            if wait > LONGEST_WAIT or not self.deadline.sleep(wait):
                break
            response.close()
        return response

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        """Send a request, and again to where redirects lead."""
        first = _parts(url, url)
        at_home = True
        target = self._with_key(url)
        for _ in range(MOST_REDIRECTS + 1):
            own = {**self._login, **headers} if at_home else _harmless(headers)
            response = self._send(method, target, {**_PLAIN, **own}, body)
            location = response.headers.get("Location")
            if method not in IDEMPOTENT or response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            former, target = target, _joined(target, location)
            parts = _parts(target, url)
            if parts.scheme == "http" and former.startswith("https:"):
                raise _refused(url, "redirects from https to http, which anybody can read and change")
            at_home = at_home and _origin(parts) == _origin(first)
        raise _refused(url, f"redirects more than {MOST_REDIRECTS} times")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> BaseHTTPResponse:
        shown = without_secrets(url)
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
            raise DeliveryUnreachableError(
                f"{shown} cannot be reached ({type(error).__name__}). Nothing was written. "
                "Check the address and the network, then run again."
            ) from None
        except ValueError as error:
            raise _refused(url, f"is no address ({type(error).__name__})") from None
        return response

    def _with_key(self, url: str) -> str:
        """Return an address with the key in its query, if it is declared to be there."""
        if self.http.key is None or not self.http.key_parameter:
            return url
        address, mark, fragment = url.partition("#")
        joint = "&" if "?" in address else "?"
        return (
            f"{address}{joint}{quote(self.http.key_parameter)}={quote(self.http.key.read(), safe='')}{mark}{fragment}"
        )


def _login(http: Http) -> dict[str, str]:
    """Return the headers with the declared login.

    Raises:
        SettingsError: If a secret has no value.
    """
    headers: dict[str, str] = {}
    if http.password is not None:
        headers["Authorization"] = make_headers(basic_auth=f"{http.user}:{http.password.read()}")["authorization"]
    if http.bearer is not None:
        headers["Authorization"] = f"Bearer {http.bearer.read()}"
    if http.key is not None and not http.key_parameter:
        headers[http.key_header] = http.key.read()
    return headers


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


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _refused(url: str, problem: str) -> DeliveryError:
    return DeliveryError(f"{without_secrets(url)} {problem}. Nothing was written. Correct the location.")


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
