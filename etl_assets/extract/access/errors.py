"""Errors of file systems as errors of this package.

Each library has its own classes. Their texts are left out, since they may contain addresses with secrets.
"""

from __future__ import annotations

import errno
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError, EtlAssetsError
from etl_assets.extract.location import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNREACHABLE: Final = (ConnectionError, TimeoutError, EOFError, socket.gaierror)
_UNREACHABLE_NAMES: Final = frozenset(
    {
        *("ConnectionLost", "DisconnectError"),  # asyncssh
        *("ConnectionError", "HTTPClientError"),  # botocore
        *("error_temp", "FSTimeoutError", "ServiceRequestError", "ServiceResponseError", "ClientConnectionError"),
    }
)
_LASTING: Final = frozenset({errno.EINVAL, errno.EPERM, errno.EACCES})
"""Numbers of errors that a retry does not resolve."""
_LOGIN_NAMES: Final = frozenset({"NoCredentialsError", "ClientAuthenticationError", "RefreshError", "error_perm"})
_UNKNOWN_SERVERS: Final = frozenset({"HostKeyNotVerifiable", "SSLCertVerificationError"})


@contextmanager
def place_errors(location: str) -> Iterator[None]:
    """Replace an error of a file system by one of this package.

    Args:
        location: What is fetched, polled, listed or moved.
    """
    try:
        yield
    except EtlAssetsError:
        raise
    except Exception as error:  # noqa: BLE001 -- libraries share no base class; every error is raised again
        raise _error(error, without_secrets(location)) from None


def _error(error: Exception, shown: str) -> DeliveryError:
    names = {class_.__name__ for class_ in type(error).__mro__}
    if isinstance(error, FileNotFoundError):
        return DeliveryMissingError(
            f"There is nothing at {shown}. Nothing was written. Correct the location, or wait for it."
        )
    if names & _UNKNOWN_SERVERS:
        return DeliveryError(
            f"The server of {shown} does not prove that it is the declared one ({type(error).__name__}). Nothing was "
            "sent to it, and nothing was written. Ask its operator for its key or certificate; then correct "
            "known_hosts, host_key or ca_file of access=…."
        )
    if isinstance(error, PermissionError) or names & _LOGIN_NAMES:
        return DeliveryError(
            f"{shown} refuses this login, or the right to read ({type(error).__name__}). Nothing was written. Check "
            "the secrets of access=…, and the rights of its user."
        )
    kind = DeliveryUnreachableError if _is_passing(error, names) else DeliveryError
    return kind(
        f"{shown} cannot be opened ({type(error).__name__}). Nothing was written. Check the address, the network, "
        "and whether fsspec's package for the scheme is installed."
    )


def _is_passing(error: Exception, names: set[str]) -> bool:
    """Whether a retry may resolve an error."""
    if isinstance(error, _UNREACHABLE) or names & _UNREACHABLE_NAMES:
        return True
    return type(error) is OSError and error.errno not in _LASTING
