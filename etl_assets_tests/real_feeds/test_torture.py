"""The table of files that break readers, in the document, is what they are read as."""

from __future__ import annotations

import pytest

from etl_assets_tests.real_feeds import torture
from etl_assets_tests.real_feeds.taking import with_real_feeds

pytestmark = [with_real_feeds, pytest.mark.slow]


def test_the_documented_table_is_what_becomes_of_the_files() -> None:
    assert torture.documented() == torture.table()
