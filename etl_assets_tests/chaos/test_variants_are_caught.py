"""Trials catch every variant of the package that is wrong on purpose."""

from __future__ import annotations

import pytest

from etl_assets_tests.chaos.test_trials import command


@pytest.mark.database
@pytest.mark.slow
def test_every_wrong_variant_is_caught_within_a_few_seeds() -> None:
    done = command("--variants", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not caught" not in done.stdout
