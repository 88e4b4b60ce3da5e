"""Where requests may go, and what they may take along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets import Csv, FileExtractor, Partition, Secret
from etl_assets.errors import DeclarationError, DeliveryError, DeliveryUnreachableError
from etl_assets.extract.access.http import Http
from etl_assets.extract.http.addresses import is_public
from etl_assets.extract.http.session import MOST_REDIRECTS
from etl_assets_tests.hostile_server import HostileServer
from etl_assets_tests.ports import free_port

if TYPE_CHECKING:
    from etl_assets_tests.hostile_server import Request


def fetched(url: str, access: Http | None = None) -> bytes:
    with FileExtractor(location=url, format=Csv(), access=access).fetch(Partition()) as delivered:
        return delivered.stream.read()


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_PASSWORD", "hunter2")


PASSWORD = Secret("FEED_PASSWORD")
PRIVATE = Http(private=True, attempts=1, wait=0)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104 -- a table
        *("192.0.0.8", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "64:ff9b:1::a00:1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    ],
)
def test_an_address_outside_the_public_internet_is_none_of_it_in_any_notation(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822", "2002:5db8:d822::"]
)
def test_an_address_of_the_public_internet_is_one_in_any_notation(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:7f00:1]"])
def test_a_private_address_is_refused_before_anything_is_sent_unless_it_is_declared(host: str) -> None:
    with HostileServer(lambda request: request.answer(b"x")) as server:
        with pytest.raises(DeliveryError, match=r"none of the public internet.*Http\(private=True\)"):
            fetched(server.url(host=host))
        assert server.requests == []
        assert fetched(server.url(), PRIVATE) == b"x"


def test_a_redirect_to_a_private_address_is_refused() -> None:
    """The first host is reached by a proxy, which stands for the public internet here."""
    with (
        HostileServer(lambda request: request.answer(b"secret")) as inner,
        HostileServer(
            lambda request: request.answer(status="302 Found", Location=inner.url(host="localhost"))
        ) as outer,
    ):
        with pytest.raises(DeliveryError, match="none of the public internet"):
            fetched(outer.url(host="localhost"))
        assert inner.requests == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "http://["])
def test_a_redirect_to_another_scheme_or_to_no_address_is_refused(target: str) -> None:
    with (
        HostileServer(lambda request: request.answer(status="302 Found", Location=target)) as server,
        pytest.raises(DeliveryError, match="none of http or https"),
    ):
        fetched(server.url(), PRIVATE)


def test_a_redirect_with_a_login_is_refused() -> None:
    with (
        HostileServer(lambda request: request.answer(status="302 Found", Location="http://a:hunter2@x/")) as server,
        pytest.raises(DeliveryError, match="contains a login") as caught,
    ):
        fetched(server.url(), PRIVATE)
    assert "hunter2" not in str(caught.value)


def test_endless_redirects_end() -> None:
    with HostileServer(lambda request: request.answer(status="302 Found", Location="/again")) as server:
        with pytest.raises(DeliveryError, match=f"redirects more than {MOST_REDIRECTS} times"):
            fetched(server.url(), PRIVATE)
        assert len(server.requests) == MOST_REDIRECTS + 1


_LOGINS = [
    (Http(user="me", password=PASSWORD, private=True), "authorization", "Basic bWU6aHVudGVyMg=="),
    (Http(bearer=PASSWORD, private=True), "authorization", "Bearer hunter2"),
    (Http(key=PASSWORD, private=True), "x-api-key", "hunter2"),
    (Http(key=PASSWORD, key_header="Token", private=True), "token", "hunter2"),
]


@pytest.mark.parametrize(("access", "header", "value"), _LOGINS)
def test_a_login_goes_to_the_declared_host_and_is_left_out_when_it_redirects_to_another(
    access: Http, header: str, value: str
) -> None:
    def answer(request: Request) -> None:
        if request.path == "/a.csv":
            request.answer(status="302 Found", Location=other.url("/b"))
        else:
            request.answer(b"x")

    def answer_back(request: Request) -> None:
        if request.path == "/b":
            request.answer(status="302 Found", Location=server.url("/c"))

    with HostileServer(answer) as server, HostileServer(answer_back) as other:
        assert fetched(server.url(), access) == b"x"
        assert server.requests[0].headers[header] == value
        assert [header in request.headers for request in (other.requests[0], server.requests[1])] == [False, False]
        assert all("hunter2" not in str(request.headers) for request in other.requests)


def test_a_login_goes_along_a_redirect_within_the_host() -> None:
    def answer(request: Request) -> None:
        request.answer(b"x") if request.path == "/b" else request.answer(status="307 See", Location="/b")

    with HostileServer(answer) as server:
        assert fetched(server.url(), Http(bearer=PASSWORD, private=True)) == b"x"
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer hunter2"] * 2


def test_a_key_is_in_the_query_only_if_that_is_declared_and_never_shown() -> None:
    access = Http(key=PASSWORD, key_parameter="key", private=True)
    with HostileServer(lambda request: request.answer(status="403 No")) as server:
        with pytest.raises(DeliveryError, match="HTTP 403") as caught:
            fetched(server.url("/a.csv?x=1"), access)
        assert server.requests[0].path == "/a.csv?x=1&key=hunter2"
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(access)


def test_proxies_of_the_environment_are_not_used_and_a_declared_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(lambda request: request.answer(b"by proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        with HostileServer(lambda request: request.answer(b"direct")) as server:
            assert fetched(server.url(), PRIVATE) == b"direct"
        access = Http(proxy=proxy.url(""), proxy_user="me", proxy_password=PASSWORD)
        assert fetched("http://feeds.invalid/a.csv", access) == b"by proxy"
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6aHVudGVyMg=="


def test_an_error_names_the_proxy_of_the_environment_that_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    address = f"http://127.0.0.1:{free_port()}/a.csv"
    with pytest.raises(DeliveryUnreachableError) as without_one:
        fetched(address, PRIVATE)
    assert "proxy" not in str(without_one.value).lower()
    monkeypatch.setenv("HTTP_PROXY", "http://me:hunter2@proxy.example:3128")
    with pytest.raises(
        DeliveryUnreachableError, match=r"HTTP_PROXY is set, and is not used: .*Http\(proxy=…\)"
    ) as caught:
        fetched(address, PRIVATE)
    assert "declare access=Http(proxy=…)." in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_login_in_the_location_is_a_wrong_declaration() -> None:
    extractor = FileExtractor(location="https://me:hunter2@feeds.example/a.csv", format=Csv())
    with pytest.raises(DeclarationError, match="contains a login") as caught:
        extractor.check("source 'x'")
    assert "hunter2" not in str(caught.value)
