"""Servers of files on this machine: S3, SFTP and FTP."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "hunter2"


@contextmanager
def s3_server() -> Iterator[str]:
    """Start a server of S3 and return its URL."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def sftp_server(folder: Path) -> Iterator[tuple[int, str]]:
    """Start an SFTP server of a folder, with one user ``me``; return its port and the fingerprint of its key."""
    import asyncssh

    connections = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            connections.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("me", PASSWORD)

    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_public_key(str(folder.parent / "host_key.pub"))
    root = str(folder).encode()

    async def start() -> Any:
        return await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root),
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result()

    async def stop() -> None:
        server.close()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()

    try:
        yield server.get_port(), key.get_fingerprint()
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def ftp_server(folder: Path, *, cut_after: int | None = None) -> Iterator[int]:
    """Start an FTP server of a folder, without TLS, and one user ``me``; return its port.

    Args:
        folder: What it serves.
        cut_after: It ends after about so many bytes of a file, as a process does that is killed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the module asyncore
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import DTPHandler, FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer

    class Cut(DTPHandler):  # type: ignore[misc]  # pyftpdlib has no types
        def send(self, data: bytes) -> int:
            if cut_after is not None and self.get_transmitted_bytes() >= cut_after:
                self.close()
                self.cmd_channel.close()
                return 0
            return int(super().send(data))

    users = DummyAuthorizer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the user may write
        users.add_user("me", PASSWORD, str(folder), perm="elradfmwMT")

    class Handler(FTPHandler):  # type: ignore[misc]  # as above
        authorizer = users
        dtp_handler = Cut
        use_sendfile = False
        auth_failed_timeout = 0

    server = FTPServer(("127.0.0.1", 0), Handler, ioloop=IOLoop())
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            server.ioloop.loop(timeout=0.02, blocking=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.address[1]
    finally:
        ending.set()
        thread.join()


@contextmanager
def ftps_server(body: bytes, certificate: Path) -> Iterator[int]:
    """Start an FTP server that demands TLS and has one file, ``a.csv``; return its port.

    Args:
        body: The contents of the file.
        certificate: Its key and certificate.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as control, socket.create_server(("127.0.0.1", 0)) as data:
        port = data.getsockname()[1]
        answers = {
            "AUTH": "234 go on",
            "USER": "331 password",
            "PASS": "230 welcome",
            "PBSZ": "200 ok",
            "PROT": "200 ok",
            "TYPE": "200 ok",
            "EPSV": f"229 enter (|||{port}|)",
            "PASV": f"227 (127,0,0,1,{port >> 8},{port & 255})",
        }
        contents = {"MLSD": f"type=file;size={len(body)};modify=20240103060000; a.csv\r\n".encode(), "RETR": body}

        def converse() -> None:
            connection, _ = control.accept()
            connection.sendall(b"220 hello\r\n")
            while line := _command(connection):
                if line in contents:
                    connection.sendall(b"150 here\r\n")
                    with tls.wrap_socket(data.accept()[0], server_side=True) as transfer:
                        transfer.sendall(contents[line])
                        with suppress(OSError):
                            transfer.unwrap()
                connection.sendall(answers.get(line, "226 done").encode() + b"\r\n")
                if line == "AUTH":
                    connection = tls.wrap_socket(connection, server_side=True)
            connection.close()

        def serve() -> None:
            with suppress(OSError):
                converse()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield control.getsockname()[1]
        finally:
            thread.join()


def _command(connection: socket.socket) -> str:
    """Return the next command, without its arguments; the empty text at the end."""
    line = b""
    while not line.endswith(b"\n") and (byte := connection.recv(1)):
        line += byte
    return line[:4].decode().strip()
