"""The first request of a fetch, before its pagination: the declaration with its placeholders filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etl_assets.errors import DeliveryError
from etl_assets.extract.location import without_secrets
from etl_assets.extract.rest.placeholders import fill, fill_json
from etl_assets.extract.rest.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.rest.extractor import RestExtractor


def request_of(extractor: RestExtractor, values: Mapping[str, Any]) -> Request:
    """Return the request for the first page, before its pagination.

    Args:
        extractor: The declaration.
        values: Of its placeholders.

    Raises:
        DeliveryError: If a placeholder of the address has no value.
    """
    url = fill(extractor.url, values, quoted=True)
    if url is None:
        raise DeliveryError(
            f"The url {without_secrets(extractor.url)} has a placeholder without a value. Nothing was written. Run a "
            "partition that has it."
        )
    params = {name: filled for name, text in extractor.params.items() if (filled := fill(text, values)) is not None}
    headers = {name: filled for name, text in extractor.headers.items() if (filled := fill(text, values)) is not None}
    return Request(url, params, extractor.method, fill_json(extractor.json, values), headers)


def home_of(extractor: RestExtractor) -> str:
    """Return the address of the host of an API."""
    return "/".join(extractor.url.split("/")[:3]) + "/"
