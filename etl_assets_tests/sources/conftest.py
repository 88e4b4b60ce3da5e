"""The bundled feeds, loaded once for the tests of this folder."""

from etl_assets_tests.bundled import demo

__all__ = ["demo"]
