"""Asks by one request whether an API has something that was not fetched yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets.extract.http.session import HttpSession
from etl_assets.extract.rest.client import Client
from etl_assets.extract.rest.first_request import home_of, request_of
from etl_assets.extract.rest.pagination import SinglePage
from etl_assets.extract.rest.placeholders import values_of
from etl_assets.extract.rest.seen import has_new, validators_of
from etl_assets.extract.validators import CHECKSUM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.rest.extractor import RestExtractor
    from etl_assets.model.partitions import Partition

_SECONDS: Final = 10.0


def poll_pages(extractor: RestExtractor, partition: Partition, state: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Ask for the first page, and compare it with what is known.

    Args:
        extractor: The declaration.
        partition: The partition.
        state: Where the fetch before ended; empty for none.

    Returns:
        The validators that the fetch returned, if there is nothing new; others, if there is; None if one page does not
        show it.

    Raises:
        DeliveryError: As the fetch of a page.
    """
    if extractor.parent is not None:
        return None
    incremental = extractor.incremental
    pagination = extractor.pagination or SinglePage()
    request = request_of(extractor, values_of(partition, incremental and incremental.since(state)))
    with HttpSession(extractor.access, home_of(extractor), seconds=_SECONDS, attempts=1) as session:
        answer = Client(extractor, session).ask(pagination.first(request))
    is_only = pagination.following(answer) is None
    if incremental is None or not state:
        return {CHECKSUM: answer.digest} if is_only or extractor.newest_first else None
    is_new = has_new(answer, state)
    if is_new is None:
        return None
    if not is_new and (is_only or extractor.newest_first):
        return validators_of(state)
    return {CHECKSUM: answer.digest}
