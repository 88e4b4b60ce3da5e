"""`Door`: who may send to a source. Tokens are compared before the body is read, signatures after it."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets.errors import SettingsError
from etl_assets.receive.refusal import unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.inbox import Inbox, Signature
    from etl_assets.model.secret import Secret

SHORTEST: Final = 16
"""The smallest number of characters of a token or of the secret of a signature."""
TOLERANCE: Final = 300.0
"""How many seconds the time of a signature may be off."""
_TIMESTAMPED: Final = re.compile(r"t=(\d{1,12})((?:,[a-z0-9_]+=[^,\s]{1,200})+)")


@dataclass
class Signed:
    """A signature that is compared when the body is complete.

    Attributes:
        mac: Is updated with the body.
        given: The digests, of which one must be right.
    """

    mac: hmac.HMAC
    given: tuple[bytes, ...]

    def check(self) -> None:
        """Raise a `Refusal` unless the signature is that of the body."""
        right = self.mac.digest()
        if not any(hmac.compare_digest(right, given) for given in self.given):
            raise unauthorized()


class Door:
    """The secrets of a source. A door without an inbox stands for every unknown source, and admits nobody.

    Attributes:
        inbox: The inbox behind it.
    """

    def __init__(self, inbox: Inbox | None) -> None:
        """Read the secrets.

        Raises:
            SettingsError: If one is missing or too short.
        """
        self.inbox = inbox
        self._token: bytes | None = None
        self._secret = b""
        self.read_secrets()

    def read_secrets(self) -> None:
        """Read the secrets again; a file with a secret may have changed."""
        if self.inbox is None:
            self._token = sha256(secrets.token_bytes()).digest()
            return
        if self.inbox.token is not None:
            self._token = sha256(_long(self.inbox.token)).digest()
        if self.inbox.signature is not None:
            self._secret = _long(self.inbox.signature.secret)

    def admit(self, headers: Mapping[str, str]) -> tuple[Inbox, Signed | None]:
        """Return the inbox for a request, and the signature to be compared later; None if none is declared.

        Args:
            headers: Names in lower case; of those that come twice there is none.

        Raises:
            Refusal: If the token is wrong, or there is no signature.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else ""
        is_right = hmac.compare_digest(sha256(token.encode("latin-1")).digest(), self._token or b"")
        if self.inbox is None or (self._token is not None and not is_right):
            raise unauthorized()
        if self.inbox.signature is None:
            return self.inbox, None
        return self.inbox, self._signed(self.inbox.signature, headers)

    def _signed(self, signature: Signature, headers: Mapping[str, str]) -> Signed:
        text = headers.get(signature.header.lower(), "").strip()
        mac = hmac.new(self._secret, digestmod=sha256)
        if not signature.timestamped:
            given = [text.removeprefix("sha256=")]
        else:
            match = _TIMESTAMPED.fullmatch(text)
            if match is None or abs(time.time() - int(match[1])) > TOLERANCE:
                raise unauthorized()
            mac.update(f"{match[1]}.".encode())
            given = [part[3:] for part in match[2].split(",") if part.startswith("v1=")]
        digests = tuple(digest for part in given if (digest := _digest(part)) is not None)
        if not digests:
            raise unauthorized()
        return Signed(mac, digests)


def _digest(text: str) -> bytes | None:
    """Return the 32 bytes of a digest in hex or base64; None if it is none."""
    try:
        digest = bytes.fromhex(text) if len(text) == 2 * sha256().digest_size else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest if len(digest) == sha256().digest_size else None


def _long(secret: Secret) -> bytes:
    value = secret.read()
    if len(value) < SHORTEST:
        raise SettingsError(
            f"The secret {secret.name} is shorter than {SHORTEST} characters. It is not used. Give it a longer "
            "value, such as the output of: openssl rand -hex 32"
        )
    return value.encode()
