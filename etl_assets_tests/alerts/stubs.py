"""Local servers that take notifications as Slack, Teams, PagerDuty, a webhook or a mail server would.

Apprise itself posts to them; no part of it or of the package is replaced. Services with a fixed host are reached
through an HTTPS proxy. It answers in their place, with a certificate of an authority that the test creates.
"""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Posted:
    """One request that a stub received.

    Attributes:
        host: The host that it was addressed to.
        path: Path with query.
        body: Body as received.
    """

    host: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stub:
    """A server that keeps the requests it receives.

    Attributes:
        port: On 127.0.0.1.
        posted: All requests, refused ones included.
        refusals: How many further requests to answer with 503.
        refusal: Body of a refusal.
        taken: Requests that were not refused.
        hold: Cleared to keep senders waiting for an answer.
        logins: What the proxy was logged in with, for each connection.
        answers: What the next requests are answered with, as JSON; without any, as the service does that is addressed.
    """

    port: int = 0
    posted: list[Posted] = field(default_factory=list)
    refusals: int = 0
    refusal: bytes = b"busy"
    taken: list[Posted] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    logins: list[str | None] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def answer(self, posted: Posted) -> tuple[int, bytes]:
        self.posted.append(posted)
        self.hold.wait(30)
        if self.refusals > 0:
            self.refusals -= 1
            return 503, self.refusal
        self.taken.append(posted)
        if self.answers:
            return 200, json.dumps(self.answers.pop(0)).encode()
        return (202, b"{}") if "pagerduty" in posted.host else (200, b"ok")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub
    host = "127.0.0.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, answer = self.stub.answer(Posted(self.host, self.path, body))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        pass


class _ConnectHandler(_Handler):
    """A proxy that answers for the host it is asked to connect to."""

    certificates: dict[str, ssl.SSLContext]

    def do_CONNECT(self) -> None:
        host = self.path.rpartition(":")[0]
        self.stub.logins.append(self.headers.get("Proxy-Authorization"))
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        secured = self.certificates[host].wrap_socket(self.connection, server_side=True)
        self.connection = secured
        self.rfile = secured.makefile("rb", -1)
        self.wfile = secured.makefile("wb")
        self.host = host
        self.handle_one_request()
        secured.close()


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _http(handler: type[_Handler], stub: Stub, **more: Any) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"stub": stub, **more}))
    server.daemon_threads = True
    stub.port = server.server_port
    stub.hold.set()
    return server


@contextmanager
def http_stub() -> Iterator[Stub]:
    """Serve a webhook."""
    stub = Stub()
    with _serving(_http(_Handler, stub)):
        yield stub


@contextmanager
def https_stub(folder: Path, host: str) -> Iterator[Stub]:
    """Serve a webhook behind TLS; the certificate of its authority is ``authority.pem`` in the folder."""
    stub = Stub()
    server = _http(_Handler, stub)
    server.socket = certificates(folder, host)[host].wrap_socket(server.socket, server_side=True)
    with _serving(server):
        yield stub


@contextmanager
def proxy_stub(folder: Path, *hosts: str) -> Iterator[Stub]:
    """Serve a proxy that takes notifications in the place of some hosts."""
    stub = Stub()
    with _serving(_http(_ConnectHandler, stub, certificates=certificates(folder, *hosts))):
        yield stub


def certificates(folder: Path, *hosts: str) -> dict[str, ssl.SSLContext]:
    """Create certificates for some hosts, and write that of their authority to ``authority.pem``."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("authority of the tests", authority_key, None, authority_key)
    (folder / "authority.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    contexts = {}
    for host in hosts:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(host, key, authority, authority_key)
        file = folder / f"{host}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[host].load_cert_chain(file)
    return contexts


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    if authority is None:
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    else:
        known: x509.GeneralName = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        builder = builder.add_extension(x509.SubjectAlternativeName([known]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = builder.add_extension(issuer, critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


@dataclass
class MailStub:
    """A mail server that keeps the mails it receives.

    Attributes:
        port: On 127.0.0.1.
        taken: Mails as received.
        recipients: Their recipients.
        refused: Recipients that it refuses.
        logins: Logins as received.
        accepts_logins: Whether it accepts them.
    """

    port: int = 0
    taken: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    logins: list[str] = field(default_factory=list)
    accepts_logins: bool = True


class _Mail(socketserver.StreamRequestHandler):
    stub: MailStub

    def handle(self) -> None:
        self._reply("220 stub")
        for line in self.rfile:
            command = line.decode().strip()
            if command.upper().startswith("RCPT TO:"):
                recipient = command[8:].strip("<> ")
                if recipient in self.stub.refused:
                    self._reply("550 unknown")
                    continue
                self.stub.recipients.append(recipient)
            if command.upper().startswith("AUTH PLAIN "):
                self.stub.logins.append(b64decode(command[11:]).decode())
                self._reply("235 ok" if self.stub.accepts_logins else "535 no")
                continue
            if command.upper() == "DATA":
                self._reply("354 go on")
                self.stub.taken.append(self._message())
            elif command.upper() == "QUIT":
                self._reply("221 bye")
                return
            self._reply("250 ok")

    def _message(self) -> str:
        lines = []
        for line in self.rfile:
            if line.rstrip(b"\r\n") == b".":
                break
            lines.append(line.decode())
        return "".join(lines)

    def _reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_stub() -> Iterator[MailStub]:
    """Serve a mail server."""
    stub = MailStub()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Bound", (_Mail,), {"stub": stub}))
    server.daemon_threads = True
    stub.port = server.server_address[1]
    with _serving(server):
        yield stub
