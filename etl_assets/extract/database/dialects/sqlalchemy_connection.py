"""Engines of SQLAlchemy, and the settings with which their drivers change no value."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.pool import NullPool
from sqlalchemy.util import get_cls_kwargs

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl_assets.extract.access.database import Database
    from etl_assets.extract.database.address import Address

_WHERE: Final = "extractor DatabaseExtractor"
_OIDS: Final = {"date": 1082, "timestamp": 1114, "timestamptz": 1184, "time": 1083, "timetz": 1266, "interval": 1186}
"""Types of PostgreSQL with values that Python's types lack: infinity, the year 20000, 24:00, a month."""
_ARRAYS: Final = (1182, 1115, 1185, 1183, 1270, 1187)
_JSON: Final = "json_deserializer"


def engine_of(address: Address, access: Database) -> Engine:
    """Return the engine of an address, which keeps no connection and shows no value.

    Raises:
        ArgumentError: If SQLAlchemy cannot read the URL.
        NoSuchModuleError: If it has no dialect of the name.
        ImportError: If the driver is not installed.
        DeclarationError: If the driver is an asynchronous one.
    """
    url = make_url(address.url)
    class_ = url.get_dialect()
    if class_.is_async:
        remedy = f"Name another driver: {url.get_backend_name()}+driver://…"
        raise DeclarationError(_WHERE, "url", f"names {class_.driver!r}, which is an asynchronous driver", remedy)
    if access.user:
        url = url.set(username=access.user, password=access.read_password() or None)
    options: dict[str, Any] = {_JSON: _as_it_is} if _JSON in get_cls_kwargs(class_) else {}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, **options)
    if (keep := _KEPT.get(engine.dialect.driver)) is not None and engine.dialect.name == "postgresql":
        event.listen(engine, "connect", lambda connection, _: keep(connection))
    return engine


def _as_it_is(json: str | bytes) -> str:
    """Return JSON as the text that the database wrote; as objects, its numbers would be rounded."""
    return json.decode() if isinstance(json, bytes) else json


def _keep_texts_of_psycopg2(connection: Any) -> None:
    extensions = importlib.import_module("psycopg2.extensions")
    kept = extensions.new_type(tuple(_OIDS.values()), "ETL_ASSETS_TEXT", lambda text, _: _with_zone(text))
    for type_ in (kept, extensions.new_array_type(_ARRAYS, "ETL_ASSETS_TEXTS", kept)):
        extensions.register_type(type_, connection)


def _keep_texts_of_psycopg(connection: Any) -> None:
    base: Any = importlib.import_module("psycopg.adapt").Loader

    class Loader(base):  # type: ignore[misc]
        def load(self, data: Any) -> str | None:
            return _with_zone(bytes(data).decode())

    for oid in _OIDS.values():
        connection.adapters.register_loader(oid, Loader)


def _with_zone(text: str | None) -> str | None:
    """Return an instant of a session in UTC with the whole offset, and any other text as it is."""
    return f"{text}:00" if text is not None and text.endswith("+00") and "-" in text else text


_KEPT: Final = {"psycopg2": _keep_texts_of_psycopg2, "psycopg": _keep_texts_of_psycopg}
"""Drivers of PostgreSQL which would make infinity the year 9999, and a month thirty days."""
