"""Mistakes in the arguments of extractors and formats."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeclarationError
from etl_assets_tests.declarations.mistakes import E, assert_refused, located, source, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake

DAYS: Any = E.Daily(date(2024, 1, 1))


def extractor(**changes: Any) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with other arguments of its extractor."""
    return lambda: source(extractor=E.FileExtractor(**{"location": "x.csv", "format": E.Csv()} | changes))


def csv(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Csv(**arguments)


def ndjson(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Ndjson(**arguments)


EXTRACTORS: dict[str, Mistake] = {
    "no location": (extractor(location=" "), "location", "Write a path, a URL or package:NAME/path"),
    "a path that is no text": (extractor(location=Path("x.csv")), "location", "Write a text"),
    "a package without a path": (extractor(location="package:demo"), "location", "Write package:NAME/path"),
    "an unknown placeholder": (lambda: located("{day}.csv", partitions=DAYS), "location", "Use {key}"),
    "a placeholder without a name": (lambda: located("{}.csv", partitions=DAYS), "location", "Use {key}"),
    "an attribute of a placeholder": (
        lambda: located("{key.__class__.__mro__}.csv", partitions=DAYS),
        "location",
        "Use {key}",
    ),
    "an item of a placeholder": (lambda: located("{key[0]}.csv", partitions=DAYS), "location", "Use {key}"),
    "a placeholder in a placeholder": (lambda: located("{start:{key}}.csv", partitions=DAYS), "location", "Use {key}"),
    "a date's format for a text": (lambda: located("{key:%Y}.csv", partitions=DAYS), "location", "Use {key}"),
    "a single brace": (lambda: located("{.csv"), "location", "write a brace itself twice"),
    "a key without partitions": (lambda: located("{key}.csv"), "location", "Declare partitions"),
    "a window without partitions": (lambda: located("{start:%Y}.csv"), "location", "Declare partitions"),
    "the window of a name": (
        lambda: located("{start:%Y}.csv", partitions=E.Static(("a",))),
        "location",
        "Use {key}, or declare Daily",
    ),
    "the key of a file": (
        lambda: located("{key}/*.csv", partitions=E.Files()),
        "location",
        "Write a glob without placeholders",
    ),
    "files without a glob": (lambda: located("x.csv", partitions=E.Files()), "location", "Write one: feeds/*.csv"),
    "no format": (extractor(format=None), "format", "Write a Format"),
    "the name of a format": (extractor(format="csv"), "format", "Write a Format"),
    "the class of a format": (extractor(format=E.Csv), "format", "Write an instance of it"),
    "a format that is missing": (lambda: E.FileExtractor(location="x.csv"), "format", "Write format=…: a Format"),
    "no members": (extractor(member=""), "member", "Write a glob for the members"),
    "members in a tuple": (extractor(member=("*.csv",)), "member", "Write a text"),
    "a wait below 0": (extractor(settle_seconds=-1), "settle_seconds", "Write seconds, or 0"),
    "a wait without end": (extractor(settle_seconds=float("inf")), "settle_seconds", "Write seconds, or 0"),
    "a wait that is NaN": (extractor(settle_seconds=float("nan")), "settle_seconds", "Write a number"),
    "a wait that is a text": (extractor(settle_seconds="2s"), "settle_seconds", "Write a number"),
}
PASSWORD: Any = E.Secret("FEED_PASSWORD")
DONE = "feeds/done/"


def inbox(location: str, move_to: Any, **more: Any) -> Callable[[], object]:
    """Return a function that declares a source of the files of an inbox."""
    return lambda: source(
        extractor=E.FileExtractor(location=location, format=E.Csv(), move_to=move_to, **more), partitions=E.Files()
    )


def reached(location: str, access: Callable[[], object]) -> Callable[[], object]:
    """Return a function that declares a source with an access."""
    return lambda: source(extractor=E.FileExtractor(location=location, format=E.Csv(), access=access()))


ACCESSES: dict[str, Mistake] = {
    "an access of another kind of place": (
        reached("https://x/a.csv", E.S3),
        "access",
        "Declare the access of its kind",
    ),
    "an access for a file of this machine": (reached("a.csv", E.Http), "access", "Declare the access of its kind"),
    "the class of an access": (reached("s3://x/a.csv", lambda: E.S3), "access", "Write an instance of it"),
    "a password as the access": (reached("s3://x/a.csv", lambda: "hunter2"), "access", "Write an Access or None"),
    "a login in an address": (lambda: located("https://me:hunter2@x/a.csv"), "location", "declare it by access="),
    "a login in an address and an access": (
        reached("sftp://me:hunter2@x/a.csv", lambda: E.Sftp("me", PASSWORD)),
        "location",
        "declare it by access=",
    ),
    "the password itself": (lambda: E.Http("me", "hunter2"), "password", "Write a Secret or None"),
    "the password as the name of its secret": (
        lambda: E.Secret("hunter 2"),
        "name",
        "Write the name and not the value",
    ),
    "a user without a password": (lambda: E.Http("me"), "password", "Declare both, or neither"),
    "a password without a user": (lambda: E.Http(password=PASSWORD), "user", "Declare both, or neither"),
    "a password and a token": (lambda: E.Http("me", PASSWORD, bearer=PASSWORD), "bearer", "Declare one of them"),
    "a header that is none": (lambda: E.Http(key=PASSWORD, key_header="X: y\r\n"), "key_header", "Write one such as"),
    "a proxy with its login": (lambda: E.Http(proxy="http://me:pw@x:1"), "proxy", "its login has its own arguments"),
    "a proxy without a scheme": (lambda: E.Http(proxy="x:8080"), "proxy", "Write http://host:port"),
    "a proxy's user without a password": (
        lambda: E.Http(proxy="http://x:1", proxy_user="me"),
        "proxy_password",
        "Declare both",
    ),
    "no attempt": (lambda: E.Http(attempts=0), "attempts", "Write 1 to 20"),
    "attempts without end": (lambda: E.Http(attempts=1000), "attempts", "Write 1 to 20"),
    "a wait below 0 between attempts": (lambda: E.Http(wait=-1), "wait", "Write seconds, 0 to 60"),
    "a deadline of 0": (
        reached("https://x/a.csv", lambda: E.Http(deadline=0)),
        "deadline",
        "Write seconds, more than 0",
    ),
    "a timeout without end": (
        reached("s3://x/a.csv", lambda: E.S3(timeout=float("inf"))),
        "timeout",
        "Write seconds, more than 0",
    ),
    "a file of no bytes": (reached("s3://x/a.csv", lambda: E.S3(max_bytes=0)), "max_bytes", "Write a number of bytes"),
    "a key without its secret": (lambda: E.S3(PASSWORD), "secret", "Declare both, or neither"),
    "a key and none": (lambda: E.S3(PASSWORD, PASSWORD, anonymous=True), "anonymous", "Declare one of them"),
    "a password and a private key": (
        lambda: E.Sftp("me", PASSWORD, private_key=PASSWORD),
        "private_key",
        "Declare one of them",
    ),
    "a password without a user of SFTP": (lambda: E.Sftp(password=PASSWORD), "user", "Write the user of the password"),
    "a host key instead of its fingerprint": (lambda: E.Sftp(host_key="ssh-ed25519 AAAA"), "host_key", "Write SHA256:"),
    "a password without a user of FTP": (lambda: E.Ftp(password=PASSWORD), "user", "Write the user of the password"),
    "a service account and none": (
        lambda: E.Gcs(PASSWORD, anonymous=True),
        "anonymous",
        "Declare one of them",
    ),
    "no account": (E.Azure, "account", "Write account=…: a text"),
    "two keys of an account": (lambda: E.Azure("x", PASSWORD, sas=PASSWORD), "sas", "Declare one of them"),
    "a folder for files that are no partitions": (
        extractor(location="feeds/a.csv", move_to=DONE),
        "move_to",
        "Declare partitions=Files()",
    ),
    "the folder of the files themselves": (inbox("feeds/*.csv", "feeds"), "move_to", "Write another folder"),
    "a folder that a recursive glob matches": (inbox("feeds/**/*.csv", DONE), "move_to", "Write another folder"),
    "a folder on another place": (inbox("feeds/*.csv", "s3://bucket/done/"), "move_to", "of the same place"),
    "a folder on another server": (inbox("sftp://a/*.csv", "sftp://b/done/"), "move_to", "of the same place"),
    "a glob as the folder": (inbox("feeds/*.csv", "done/*"), "move_to", "Write another folder"),
    "a folder with a placeholder": (inbox("feeds/*.csv", "done/{key}"), "move_to", "Write another folder"),
}
FORMATS: dict[str, Mistake] = {
    "two delimiters": (csv(delimiter="||"), "delimiter", "Write one, e.g. ';'"),
    "no delimiter": (csv(delimiter=""), "delimiter", "Write one, e.g. ';'"),
    "a delimiter that is None": (csv(delimiter=None), "delimiter", "Write a text"),
    "a delimiter beyond ASCII": (csv(delimiter="¦"), "delimiter", "Write one, e.g. ';'"),
    "the quote as the delimiter": (csv(delimiter='"'), "quote", "Write quote=None when nothing is quoted"),
    "a newline as the delimiter": (csv(delimiter="\n"), "delimiter", "Write one, e.g. ';'"),
    "two quotes": (csv(quote="''"), "quote", "Write one, e.g. ';'"),
    "False as the quote": (csv(quote=False), "quote", "Write a text or None"),
    "an encoding that does not exist": (csv(encoding="klingon"), "encoding", "Write one like 'utf-8'"),
    "an encoding with a NUL": (csv(encoding="utf\0"), "encoding", "Write one like 'utf-8'"),
    "an encoding of texts as texts": (csv(encoding="rot13"), "encoding", "Write one like 'utf-8'"),
    "an encoding of bytes": (csv(encoding="base64"), "encoding", "Write one like 'utf-8'"),
    "an encoding of host names": (csv(encoding="idna"), "encoding", "Write one like 'utf-8'"),
    "an encoding of mail": (csv(encoding="utf-7"), "encoding", "Write one like 'utf-8'"),
    "an encoding of Python literals": (csv(encoding="unicode_escape"), "encoding", "Write one like 'utf-8'"),
    "an encoding that always fails": (csv(encoding="undefined"), "encoding", "Write one like 'utf-8'"),
    "an encoding to guess": (csv(encoding=None), "encoding", "Write a text"),
    "a header that names a column twice": (csv(header=("a", "a")), "header", "Give each a name of its own"),
    "a header without names": (csv(header=()), "header", "Write all column names"),
    "a header with an empty name": (csv(header=("a", "")), "header", "Write all column names"),
    "a header that is a text": (csv(header="abc"), "header", "Write ('abc',)"),
    "a header in a list": (csv(header=["a", "b"]), "header", "Write a tuple, in round brackets"),
    "no header": (csv(header=False), "header", "Write True or a tuple of texts"),
    "a header of numbers": (csv(header=(1, 2)), "header", "Write True or a tuple of texts"),
    "lines to skip below 0": (csv(skip_lines=-1), "skip_lines", "Write how many lines come before the header"),
    "True lines to skip": (csv(skip_lines=True), "skip_lines", "Write an integer"),
    "a null word without a tuple": (csv(null="NA"), "null", "Write ('NA',)"),
    "no null word": (csv(null=None), "null", "Write a tuple of texts"),
    "an empty comment": (csv(comment=""), "comment", "Write ASCII characters, e.g. '#'"),
    "a comment of two lines": (csv(comment="#\r"), "comment", "Write ASCII characters, e.g. '#'"),
    "a comment like a record": (csv(comment=","), "comment", "Begin it with neither quote nor delimiter"),
    "a batch of 0 bytes": (csv(batch_bytes=0), "batch_bytes", "Write 64 to"),
    "a batch of ten gigabytes": (csv(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "a batch in mebibytes": (csv(batch_bytes="12M"), "batch_bytes", "Write an integer"),
    "a batch of a float": (csv(batch_bytes=1e6), "batch_bytes", "Write an integer"),
    "a semicolon before the fraction": (csv(decimal=";"), "decimal", "Write '.' or ','"),
    "short records by a number": (csv(short_records=1), "short_records", "Write True or False"),
    "a misspelt option": (csv(seperator=";"), "seperator", "Write one of delimiter"),
    "a null word of JSON without a tuple": (ndjson(null="NA"), "null", "Write ('NA',)"),
    "a batch of JSON of 0 bytes": (ndjson(batch_bytes=0), "batch_bytes", "Write 1 to"),
    "a batch of JSON of ten gigabytes": (ndjson(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "the encoding of JSON": (ndjson(encoding="utf-8"), "encoding", "Write one of null, batch_bytes"),
}


@tabled(EXTRACTORS)
def test_a_mistake_in_an_extractor_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


@tabled(ACCESSES)
def test_a_mistake_in_an_access_or_an_inbox_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


def test_a_password_that_is_written_where_its_name_belongs_is_not_shown() -> None:
    with pytest.raises(DeclarationError, match="is a text, which may be the value") as caught:
        E.Http("me", "hunter2")
    assert "hunter2" not in str(caught.value)


@tabled(FORMATS)
def test_a_mistake_in_a_format_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


def test_extractors_and_formats_with_every_argument_are_accepted() -> None:
    located("s3://bucket/{key}/{start:%Y-%m}/{end:%d}.csv?v={{1}}", partitions=DAYS)
    located("feeds/**/*.csv", partitions=E.Files())
    located("feeds/{key}.csv", partitions=E.Static(("a", "b")))
    located("package:demo/data/x.csv")
    extractor(member="*.csv", settle_seconds=0)()
    inbox("feeds/*.csv", DONE)()
    inbox(
        "s3://a/*.csv", "s3://b/done", access=E.S3(PASSWORD, PASSWORD, token=PASSWORD, region="x", endpoint="http://x")
    )()
    reached("http://x/a.csv", lambda: E.Http(key=PASSWORD, key_parameter="key", proxy="http://x:1", ca_file="x.pem"))()
    reached("sftp://me@x/a.csv", E.Sftp)()
    E.Csv("\t", None, "utf_16", ("a", "b"), 2, ("NA", ""), "#", ",", short_records=True, batch_bytes=2**30)
    E.Csv(quote="'", encoding="latin-1", header=True, comment=None)
    E.Ndjson(null=("",), batch_bytes=1)
