"""Recognises the format of a file, by its contents and never by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.infer.delimited import recognise_delimited
from etl_assets.infer.recognised import Recognised

if TYPE_CHECKING:
    from etl_assets.infer.sample import File
    from etl_assets.model.secret import Secret


def recognise(file: File, part: str | None, password: Secret | None) -> Recognised:  # noqa: ARG001 -- not yet
    """Return the format of a file, with the settings to declare.

    Args:
        file: The file.
        part: The table, sheet or path of records to read, if the file has several; the first one by default.
        password: Of an encrypted workbook.

    Raises:
        DeliveryError: If no format is recognised.
    """
    head = file.head()
    if head.lstrip().startswith(b"{") and Ndjson().mismatch(head) is None:
        return Recognised(Ndjson())
    if (recognised := recognise_delimited(head)) is not None:
        return recognised
    raise DeliveryError(
        f"The format of {file.name} is not recognised. Nothing was inferred. "
        "Declare the source by hand, as docs/declaring-a-source.md says, and try it with `etl-assets preview FILE`."
    )
