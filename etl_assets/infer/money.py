"""Recognises columns of money and of exchange rates by their names."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = frozenset({"price", "amount", "cost", "fee", "balance", "salary", "revenue", "tax", "vat", "fare"})
_CURRENCIES: Final = frozenset(
    re.findall(
        "[A-Z]+",
        """
        AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
        CLP CNH CNY COP CRC CUP CVE CYP CZK DJF DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD
        HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL
        LTL LVL LYD MAD MDL MGA MKD MMK MNT MOP MRU MTL MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK
        PHP PKR PLN PYG QAR ROL RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SIT SKK SLE SOS SRD SSP STN SVC SYP SZL THB
        TJS TMT TND TOP TRL TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XDR XOF XPF YER ZAR ZMW ZWL
        """,
    )
)
"""Currency codes of ISO 4217, and those of currencies that joined the euro."""
MINOR_DIGITS: Final = 2
"""Digits after the point of most currencies."""


def is_currency(name: str) -> bool:
    """Return whether a column is named by the code of a currency."""
    return name in _CURRENCIES


def is_money(name: str) -> bool:
    """Return whether a column has amounts of money, or prices of a currency."""
    return is_currency(name) or not _WORDS.isdisjoint(re.findall("[a-z]+", name.lower()))
