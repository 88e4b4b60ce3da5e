"""``python -m etl_assets_tests.extract.rest.hostile``: writes the document on hostile servers."""

from __future__ import annotations

from etl_assets_tests.extract.rest.hostile.document import DOCUMENT, text

DOCUMENT.write_text(text(), encoding="utf-8")
