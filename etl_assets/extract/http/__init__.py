"""Guarded HTTP: one transport for files and for APIs that answer in pages."""

from etl_assets.extract.http.session import HttpSession

__all__ = ["HttpSession"]
