"""Errors of SQLAlchemy and of its drivers as errors of this package.

What a driver says is shown of PostgreSQL alone, and there only of a class of errors that speaks of names. Its words are
searched for what they mean, since few drivers have codes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exc

from etl_assets.errors import DeclarationError, EnvironmentFaultError
from etl_assets.extract.database import errors

if TYPE_CHECKING:
    from etl_assets.errors import DeliveryError, EtlAssetsError
    from etl_assets.extract.database.address import Address

_WHERE: Final = "extractor DatabaseExtractor"
_PACKAGES: Final = {
    "awsathena": "PyAthena[SQLAlchemy]",
    "bigquery": "sqlalchemy-bigquery",
    "clickhouse": "clickhouse-sqlalchemy",
    "clickhousedb": "clickhouse-connect",
    "cockroachdb": "sqlalchemy-cockroachdb",
    "databricks": "databricks-sqlalchemy",
    "db2": "ibm_db_sa",
    "dremio": "sqlalchemy-dremio",
    "druid": "pydruid[sqlalchemy]",
    "exa": "sqlalchemy-exasol",
    "firebird": "sqlalchemy-firebird",
    "hana": "sqlalchemy-hana",
    "hive": "PyHive[hive]",
    "redshift": "sqlalchemy-redshift",
    "snowflake": "snowflake-sqlalchemy",
    "teradatasql": "teradatasqlalchemy",
    "trino": "trino[sqlalchemy]",
    "vertica": "sqlalchemy-vertica-python",
}
"""The packages that bring dialects, by the names of these."""
_LOGIN: Final = re.compile(
    r"authentication failed|access denied|login failed|no password supplied|incorrect username|invalid password|"
    r"invalid authorization|unauthorized|role \S+ does not exist|not permitted to log in|credentials",
    re.IGNORECASE,
)
_NO_DATABASE: Final = re.compile(r"database .*(?:does not exist|not found)|unknown database", re.IGNORECASE)
_MISSING: Final = re.compile(
    r"no such table|unknown table|invalid object name|undefined name|table .*(?:does not|doesn't) exist|"
    r"(?:object|relation|schema|view) .*does not exist|tablenotfound",
    re.IGNORECASE | re.DOTALL,
)
_STATEMENT: Final = re.compile(r"no such column|unknown column|syntax error|error in your sql syntax", re.IGNORECASE)
_NOT_ALLOWED: Final = re.compile(r"permission denied|command denied|insufficient privilege", re.IGNORECASE)
_TOO_SLOW: Final = re.compile(r"timed? ?out|timeout", re.IGNORECASE)
_PASSING: Final = ("08", "40", "53", "57")
"""Classes of SQLSTATE, their first two characters, after which a retry may help."""
_OF_STATEMENT: Final = "42"
_SHOWN_OF: Final = "postgresql"
_STATES: Final = {"42P01": "missing", "3F000": "missing", "3D000": "missing", "42S02": "missing", "42501": "denied"}


def no_dialect(name: str) -> EnvironmentFaultError:
    """Return the error that SQLAlchemy has no dialect of a name."""
    known = _PACKAGES.get(name.partition("+")[0].partition(".")[0])
    remedy = f"pip install '{known}'" if known else "the documentation of the database names it"
    return EnvironmentFaultError(
        f"SQLAlchemy has no dialect {name!r}. Nothing was fetched, and nothing was written. Install the package that "
        f"brings it ({remedy}), or correct the url."
    )


def no_driver(name: str, missing: str) -> EnvironmentFaultError:
    """Return the error that the driver of a dialect is not installed."""
    return EnvironmentFaultError(
        f"The package {missing} is not installed, which {name}:// needs. Nothing was fetched, and nothing was "
        "written. Install the driver, or name another one in the url: dialect+driver://…."
    )


def not_opened(error: Exception, address: Address, name: str) -> EtlAssetsError | None:
    """Return what an error means that came before or while a connection was opened; None if nothing is known of it."""
    if isinstance(error, exc.NoSuchModuleError):
        return no_dialect(name)
    if isinstance(error, ImportError):
        return no_driver(name, error.name or "of the driver")
    if isinstance(error, exc.ArgumentError | TypeError | ValueError):  # the arguments of a driver are keywords
        problem = f"is not what the dialect {name!r} takes ({type(error).__name__})"
        return DeclarationError(_WHERE, "url", problem, "Write it as the documentation of the dialect has it")
    return _refused(error, address) if isinstance(error, exc.SQLAlchemyError | OSError) else None


def _refused(error: Exception, address: Address) -> DeliveryError:
    """Return what an error of a driver means before there is a connection."""
    words = _words_of(error)
    if _LOGIN.search(words):
        return errors.login_refused(address)
    if _NO_DATABASE.search(words):
        return errors.missing(address, "such database")
    if isinstance(error, OSError | exc.OperationalError | exc.InterfaceError):
        return errors.unreachable(address, _code_of(error))
    return errors.failed(address, _shown(error))


def of_statement(error: Exception, address: Address, name: str) -> DeliveryError | None:
    """Return what an error of a statement means; None if it is none of SQLAlchemy's or the driver's."""
    if isinstance(error, OSError):
        return errors.unreachable(address)
    if isinstance(error, exc.NoSuchTableError):
        return errors.missing(address, "such table")
    if not isinstance(error, exc.SQLAlchemyError):
        return None
    return _by_state(error, address, name) or _by_words(error, address)


def _by_state(error: exc.SQLAlchemyError, address: Address, name: str) -> DeliveryError | None:
    """Return what the SQLSTATE of an error means; None if it has none, or one that says little."""
    state = _state_of(error)
    words = errors.first_line(_words_of(error)) if name == _SHOWN_OF and state.startswith(_OF_STATEMENT) else ""
    shown = words or f"SQLSTATE {state}"
    if _STATES.get(state) == "missing":
        return errors.missing(address, f"such table, schema or database ({shown})")
    if _STATES.get(state) == "denied":
        return errors.not_allowed(address, shown)
    if state == "57014":
        return errors.too_slow(address)
    if state.startswith(_PASSING):
        return errors.unreachable(address, shown)
    if state.startswith(_OF_STATEMENT):
        return errors.failed(address, shown, statement=True)
    return None


def _by_words(error: exc.SQLAlchemyError, address: Address) -> DeliveryError:
    """Return what an error means by its words, which are not shown, or else by its class."""
    words, shown = _words_of(error), _shown(error)
    may_pass = isinstance(error, exc.OperationalError | exc.InterfaceError)
    if getattr(error, "connection_invalidated", False):
        return errors.unreachable(address, _code_of(error))
    if _MISSING.search(words):
        return errors.missing(address, f"such table, schema or database ({shown})")
    if _NOT_ALLOWED.search(words):
        return errors.not_allowed(address, shown)
    if _STATEMENT.search(words):
        return errors.failed(address, shown, statement=True)
    if may_pass:
        is_slow = _TOO_SLOW.search(words)
        return errors.too_slow(address) if is_slow else errors.unreachable(address, _code_of(error))
    return errors.failed(address, shown, statement=isinstance(error, exc.ProgrammingError))


def _words_of(error: Exception) -> str:
    """Return what the driver says, without the statement that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error)


def _state_of(error: Exception) -> str:
    """Return the SQLSTATE of an error; empty if it has none."""
    orig: Any = getattr(error, "orig", None)
    state = getattr(orig, "sqlstate", None) or getattr(orig, "pgcode", None)
    return state if isinstance(state, str) and re.fullmatch(r"[0-9A-Z]{5}", state) else ""


def _code_of(error: Exception) -> str:
    """Return the number of an error, where the driver has one."""
    orig: Any = getattr(error, "orig", None)
    arguments = getattr(orig, "args", ())
    code = getattr(orig, "errno", None) or (arguments[0] if arguments else None)
    state = _state_of(error)
    if state:
        return f"SQLSTATE {state}"
    return f"error {code}" if isinstance(code, int) and not isinstance(code, bool) else ""


def _shown(error: Exception) -> str:
    return " ".join(filter(None, (type(error).__name__, _code_of(error))))
