"""Conformance suites for stages of one's own, run by pytest: derive a test class from one and provide samples.

Nothing of the package imports this one. It needs pytest, which the package itself does not.
"""

import pytest

pytest.register_assert_rewrite(
    "etl_assets.testing.extractor_suite", "etl_assets.testing.format_suite", "etl_assets.testing.transformer_suite"
)

from etl_assets.testing.extractor_suite import ExtractorSuite  # noqa: E402 -- after its asserts are made to explain
from etl_assets.testing.format_suite import FormatSuite  # noqa: E402 -- as above
from etl_assets.testing.transformer_suite import TransformerSuite  # noqa: E402 -- as above

__all__ = ["ExtractorSuite", "FormatSuite", "TransformerSuite"]
