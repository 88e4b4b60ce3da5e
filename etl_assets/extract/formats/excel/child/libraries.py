"""Imports the library that reads a type of workbook."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from etl_assets.extract.formats.excel.child.refusal import RefusalError


def library(name: str, extra: str) -> Any:
    """Return a module.

    Args:
        name: Its name.
        extra: The extra of the package that installs it.

    Raises:
        RefusalError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise RefusalError(
            f"it is of a type that needs the library {name}, which cannot be imported",
            f"Install it: pip install 'etl-assets[{extra}]'",
            "library",
        ) from error
