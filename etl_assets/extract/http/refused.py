"""The error for an answer whose status says that there is no body to take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets.extract.http.pace import seconds_to_reset
from etl_assets.extract.http.waits import GONE, LATER, retry_after
from etl_assets.extract.location import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.access.http import Http

_LOGIN: Final = frozenset({401, 403})


def refused(url: str, status: int, http: Http, headers: Mapping[str, str]) -> DeliveryError:
    """Return the error for an answer that is none of success.

    Args:
        url: That was asked.
        status: Of the answer.
        http: How the publisher is reached.
        headers: Of the answer.
    """
    if status in GONE:
        return DeliveryMissingError(
            f"There is nothing at {without_secrets(url)} (HTTP {status}). Nothing was written. "
            "Correct the location, or wait until it is published."
        )
    problem = f"{without_secrets(url)} answered HTTP {status}. Nothing was written."
    asked = retry_after(headers) or seconds_to_reset(headers)
    if status in LATER or (status in _LOGIN and asked is not None):
        wait = "" if asked is None else f" It asks to wait {asked:.0f} seconds."
        return DeliveryUnreachableError(f"{problem}{wait} Try again later.")
    if status not in _LOGIN:
        return DeliveryError(f"{problem} Check the location, and what its server asks of a request.")
    if http.has_login:
        return DeliveryError(f"{problem} Check the declared login: the values of its secrets, and what it may read.")
    return DeliveryError(f"{problem} Declare the login that it needs: access=Http(…).")
