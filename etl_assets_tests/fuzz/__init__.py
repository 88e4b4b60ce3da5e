"""Fuzzing of the formats: bytes that no publisher wrote must give records or an error of the delivery, nothing else.

``python -m etl_assets_tests.fuzz NAME --seconds 60`` mutates the samples of a target, led by the coverage of our own
code where atheris is installed. An input that breaks an invariant is written to ``cases/NAME``, where the tests examine
it from then on.
"""
