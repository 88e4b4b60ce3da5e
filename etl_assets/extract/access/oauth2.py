"""`OAuth2`: a login by client credentials (RFC 6749, section 4.4): a token that is asked for, and asked for again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.secret import Secret


@dataclass(frozen=True)
class OAuth2(Declaration):
    """Where a token is asked for, and with which client.

    Attributes:
        token_url: Where. Its host gets the client's id and secret, and no other host does.
        client_id: The id of the client.
        client_secret: Its secret.
        scope: What the token is asked for, if the server needs to know.
        audience: For whom, if the server needs to know.
        client_in: Where the request has id and secret: in the header ``Authorization`` or in the ``body``.
    """

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str = field(default="", kw_only=True)
    audience: str = field(default="", kw_only=True)
    client_in: Literal["header", "body"] = field(default="header", kw_only=True)

    def __post_init__(self) -> None:
        where = "access OAuth2"
        if not self.token_url.startswith(("https://", "http://")) or "@" in self.token_url:
            remedy = "Write https://…, without a login"
            raise DeclarationError(where, "token_url", "is no address of the web", remedy)
        if not self.client_id:
            raise DeclarationError(where, "client_id", "is empty", "Write the id that the publisher gave")
