"""Errors of the user's function, of dlt and of the libraries behind it, as errors of this package.

Their texts are left out, since they may contain records, and addresses with secrets. Their class and line are shown.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import (
    DeliveryError,
    DeliveryUnreachableError,
    EtlAssetsError,
    SettingsError,
    raised_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNREACHABLE: Final = (ConnectionError, TimeoutError, EOFError, socket.gaierror)
_UNREACHABLE_NAMES: Final = frozenset(
    {
        *("ConnectionError", "Timeout", "ChunkedEncodingError"),  # requests
        *("ProtocolError", "TimeoutError", "MaxRetryError", "IncompleteRead"),  # urllib3
        *("TransportError", "ClientConnectionError", "ClientPayloadError"),  # httpx, aiohttp
        *("OperationalError", "InterfaceError", "ConnectionFailure"),  # drivers of databases, pymongo
        *("EndpointConnectionError", "HTTPClientError", "ServiceRequestError", "ServiceResponseError"),  # clouds
    }
)
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOGIN: Final = frozenset({401, 403})


@contextmanager
def resource_errors(origin: str, file: str) -> Iterator[None]:
    """Replace an error of others by one of this package.

    Args:
        origin: How the resource is named to people.
        file: Path of the file with the user's function.
    """
    try:
        yield
    except (EtlAssetsError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 -- a generator may raise anything; every error is raised again
        raise replaced(error, origin, file) from None


def replaced(error: Exception, origin: str, file: str) -> EtlAssetsError | MemoryError:
    """Return the error of this package for one of others; see `resource_errors`."""
    cause = _cause(error)
    if isinstance(cause, EtlAssetsError | MemoryError):
        return cause
    if fields := getattr(cause, "traces", None):
        return _missing_setting(fields, origin)
    name = type(cause).__name__
    place = raised_at(cause if cause.__traceback__ else error, file)
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in _LOGIN:
        return DeliveryError(
            f"{origin} refuses this login ({name} {status}, {place}). Nothing was written. Check the secrets that the "
            "function of the resource reads."
        )
    shown = f"{name} {status}" if isinstance(status, int) else name
    if status in _PASSING or (not isinstance(status, int) and _is_unreachable(cause)):
        return DeliveryUnreachableError(
            f"{origin} cannot be reached, or cannot answer now ({shown}, {place}). Nothing was written, and the next "
            "fetch begins where this one did. Check the address and the network, or run it again later."
        )
    return DeliveryError(
        f"{origin} raised {shown} ({place}). Nothing was written, and the next fetch begins where this one did. "
        "Correct the function of the resource, or its configuration; it can be called alone to see the whole error."
    )


def _cause(error: BaseException) -> Exception:
    """Return the error within those by which dlt shows where it came from."""
    visited: set[int] = set()
    current: Any = error
    while type(current).__module__.partition(".")[0] == "dlt" and id(current) not in visited:
        visited.add(id(current))
        inner = current.__cause__ or current.__context__
        if inner is None or type(current).__name__ == "ConfigFieldMissingException":
            break
        current = inner
    found: Exception = current
    return found


def _is_unreachable(error: Exception) -> bool:
    names = {class_.__name__ for class_ in type(error).__mro__}
    return isinstance(error, _UNREACHABLE) or bool(names & _UNREACHABLE_NAMES)


def _missing_setting(traces: Any, origin: str) -> SettingsError:
    """Return the error about values that dlt looked for and did not find: their names alone."""
    fields = sorted(map(str, traces))
    found = [trace for field in fields for trace in traces[field]]
    keys = [trace.key for trace in found if getattr(trace, "provider", "").startswith("Env")]
    variable = f"; dlt looked for the variable {keys[0]} first" if keys else ""
    return SettingsError(
        f"{origin} needs a value of {', '.join(fields)}, and there is none{variable}. Nothing was written. Let the "
        "function of the resource pass it, such as Secret('NAME').read(), or set it as dlt reads it."
    )
