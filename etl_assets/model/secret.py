"""`Secret`: the name of a password, a key or a token, whose value is read when it is needed and is kept nowhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.settings import read_secret

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Secret(Declaration):
    """A secret, declared by its name alone: ``Secret("FEED_PASSWORD")``.

    Attributes:
        name: Of the environment variable ``NAME`` with the value; or of a file with it, whose path is in the variable
            ``NAME_FILE``, or which is in the folder ``ETL_ASSETS_SECRETS``.
    """

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            problem = "is no name of an environment variable"
            raise DeclarationError(
                "Secret", "name", problem, "Write the name and not the value: Secret('FEED_PASSWORD')"
            )

    def read(self) -> str:
        """Return the value.

        Raises:
            SettingsError: If there is none. The text has the name alone.
        """
        return read_secret(self.name)
