"""Errors of databases as errors of this package.

What a database says is shown only where it speaks of names and of the statement, never of values or of logins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError, DeliveryMissingError, DeliveryUnreachableError
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from etl_assets.extract.database.address import Address

_SHOWN: Final = 200


@dataclass(frozen=True)
class Codes:
    """What the codes of a driver's errors mean.

    Attributes:
        login: The login is refused.
        not_allowed: The user lacks a right.
        missing: There is no such table, schema or database.
        too_slow: A statement took longer than it may.
        passing: A retry may help.
        statement: The statement is wrong, and what the database says of it has names alone.
    """

    login: Container[int]
    not_allowed: Container[int]
    missing: Container[int]
    too_slow: Container[int]
    passing: Container[int]
    statement: Container[int]

    def error(self, address: Address, code: int, words: str = "") -> DeliveryError:
        """Return what an error means.

        Args:
            address: Of the database.
            code: Of the error; 0 for none, as of a connection that broke.
            words: What the database says; shown where it has names alone.
        """
        by_number = f"error {code}" if code else ""
        meanings: tuple[tuple[Container[int], Callable[[], DeliveryError]], ...] = (
            (self.login, lambda: login_refused(address)),
            (self.not_allowed, lambda: not_allowed(address, words or by_number)),
            (self.missing, lambda: missing(address, f"such table, schema or database ({words or by_number})")),
            (self.too_slow, lambda: too_slow(address)),
            (self.passing, lambda: unreachable(address, by_number)),
            (self.statement, lambda: failed(address, words or by_number, statement=True)),
        )
        for codes, error in meanings:
            if code in codes:
                return error()
        return failed(address, by_number) if code else unreachable(address)


def unreachable(address: Address, why: str = "") -> DeliveryUnreachableError:
    """Return the error that a database does not answer, or not to the end."""
    return DeliveryUnreachableError(
        f"{address.url} does not answer, or broke off{_because(why)}. Nothing was written. Check the address and the "
        "network, and whether the server runs; a retry may help."
    )


def too_slow(address: Address) -> DeliveryUnreachableError:
    """Return the error that a statement took too long."""
    return DeliveryUnreachableError(
        f"{address.url} took longer than it may to answer. Nothing was written. Raise deadline or timeout of "
        "access=Database(…), or read less: fewer columns, an index on the incremental or partition column."
    )


def login_refused(address: Address) -> DeliveryError:
    """Return the error that a login is refused."""
    return DeliveryError(
        f"{address.url} refuses this login. Nothing was written. Check user, password and tls of "
        "access=Database(…), and the rights of the user."
    )


def not_allowed(address: Address, why: str = "") -> DeliveryError:
    """Return the error that the user lacks a right."""
    return DeliveryError(
        f"{address.url} does not let this user read what is declared{_because(why)}. Nothing was written. Have the "
        "right to select granted to the user, and no other right."
    )


def missing(address: Address, what: str) -> DeliveryMissingError:
    """Return the error that there is nothing of a name."""
    return DeliveryMissingError(
        f"There is no {what} in {address.url}, or this user cannot see it. Nothing was written. Correct the "
        "declaration, written as the catalogue has the name, or wait for it."
    )


def failed(address: Address, why: str, *, statement: bool = False) -> DeliveryError:
    """Return the error that a database cannot answer a statement.

    Args:
        address: Of the database.
        why: A code, or what it says of the statement.
        statement: Whether the statement is wrong, and not a value that it meets.
    """
    remedy = "Correct table, query or columns" if statement else "Check the query or the view, and the values it reads"
    return DeliveryError(f"{address.url} cannot answer{_because(why)}. Nothing was written. {remedy}.")


def first_line(text: str) -> str:
    """Return what a database says of a statement in one line: it contains names, and parts of the statement."""
    return escape_control_characters(text.strip().partition("\n")[0])[:_SHOWN]


def _because(why: str) -> str:
    return f" ({why})" if why else ""
