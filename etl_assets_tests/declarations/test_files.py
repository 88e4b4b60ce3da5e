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


def json(*arguments: Any, **more: Any) -> Callable[[], object]:
    return lambda: E.Json(*arguments, **more)


def ndjson(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Ndjson(**arguments)


def parquet(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Parquet(**arguments)


def sqlite(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Sqlite(**arguments)


def dump(**arguments: Any) -> Callable[[], object]:
    return lambda: E.SqlDump(**{"table": "t", "dialect": "mysql"} | arguments)


def xml(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Xml(**{"record": "/list/item"} | arguments)


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
    "no delimiter": (csv(delimiter=""), "delimiter", "Write them, e.g. ';'"),
    "a delimiter of nine characters": (csv(delimiter="|" * 9), "delimiter", "Write them, e.g. ';'"),
    "a delimiter with a quote in it": (csv(delimiter='|"|'), "quote", "Write quote=None when nothing is quoted"),
    "a delimiter that is None": (csv(delimiter=None), "delimiter", "Write a text"),
    "a delimiter beyond ASCII": (csv(delimiter="¦"), "delimiter", "Write them, e.g. ';'"),
    "the quote as the delimiter": (csv(delimiter='"'), "quote", "Write quote=None when nothing is quoted"),
    "a newline as the delimiter": (csv(delimiter="\n"), "delimiter", "Write them, e.g. ';'"),
    "two quotes": (csv(quote="''"), "quote", "Write one, e.g."),
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
    "two escapes": (csv(escape="\\\\"), "escape", "Write one, e.g."),
    "no escape": (csv(escape=""), "escape", "or None"),
    "the quote as the escape": (csv(escape='"'), "escape", "a quote in quotes is always written twice"),
    "the delimiter as the escape": (csv(escape=","), "escape", "Write escape=None when nothing is escaped"),
    "an escape with comments": (csv(escape="\\", comment="#"), "comment", "Leave one of them out"),
    "a comment like a long delimiter": (
        csv(delimiter="||", comment="#|"),
        "comment",
        "Write only the characters before",
    ),
    "both characters as the line end": (csv(line_end="\r\n"), "line_end", "Write"),
    "a line end to guess": (csv(line_end=None), "line_end", "Write"),
    "a header that begins with nothing": (csv(header_begins=""), "header_begins", "Write how the line begins"),
    "a footer of two lines": (csv(footer_begins="Total\n"), "footer_begins", "Write how the line begins"),
    "a footer in another encoding": (
        csv(footer_begins="Сумма", encoding="latin-1"),
        "footer_begins",
        "Write how the line begins",
    ),
    "a header to find, and names": (csv(header=("a",), header_begins="a"), "header_begins", "leave out the names"),
    "a header to skip, and names": (
        csv(header=("a",), repeated_header="skip"),
        "repeated_header",
        "leave out the names",
    ),
    "an unknown treatment of headers": (csv(repeated_header="reject"), "repeated_header", "Write"),
    "an unknown treatment of long records": (csv(long_records="cut"), "long_records", "Write"),
    "short records by a number": (csv(short_records=1), "short_records", "Write True or False"),
    "a misspelt option": (csv(seperator=";"), "seperator", "Write one of delimiter"),
    "a null word of JSON without a tuple": (ndjson(null="NA"), "null", "Write ('NA',)"),
    "a batch of JSON of 0 bytes": (ndjson(batch_bytes=0), "batch_bytes", "Write 1 to"),
    "a batch of JSON of ten gigabytes": (ndjson(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "a dump without a table": (lambda: E.SqlDump(dialect="mysql"), "table", "Write table=…: a text"),
    "a table that is no name": (dump(table="a b"), "table", "Write one like 'album'"),
    "an empty table": (dump(table=""), "table", "Write one like 'album'"),
    "tables in a tuple": (dump(table=("a", "b")), "table", "Write a text"),
    "a dump without a dialect": (lambda: E.SqlDump("t"), "dialect", "Write dialect=…"),
    "an unknown dialect": (dump(dialect="oracle"), "dialect", "'postgres'"),
    "an encoding of a dump that does not exist": (dump(encoding="klingon"), "encoding", "Write one like 'utf-8'"),
    "a header of a dump with an empty name": (dump(header=("a", "")), "header", "Write the columns of the table"),
    "a header of a dump that names a column twice": (dump(header=("a", "a")), "header", "Give each a name"),
    "a header of a dump that is a text": (dump(header="abc"), "header", "Write ('abc',)"),
    "a null word of a dump without a tuple": (dump(null="NA"), "null", "Write ('NA',)"),
    "a batch of a dump of 0 bytes": (dump(batch_bytes=0), "batch_bytes", "Write 64 to"),
    "a batch of a dump of ten gigabytes": (dump(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "an object to flatten without a tuple": (ndjson(flatten="address"), "flatten", "Write"),
    "an object to flatten twice": (ndjson(flatten=("a", "a")), "flatten", "Name each object once"),
    "an object to flatten without its outer one": (ndjson(flatten=("a.b",)), "flatten", "Name the outer one too: 'a'"),
    "an array to flatten that is exploded": (ndjson(flatten=("a",), explode="a"), "flatten", "Leave it out"),
    "an array to explode without a name": (ndjson(explode=""), "explode", "Write the key of an array"),
    "several arrays to explode": (ndjson(explode=("a", "b")), "explode", "Write"),
    "a path without $": (json("items"), "records", "Write a path such as $, $.items"),
    "an empty path": (json(""), "records", "Write a path such as $, $.items"),
    "a path with an index": (json("$.items[0]"), "records", "Write a path such as $, $.items"),
    "a path with a filter": (json("$.items[?(@.x)]"), "records", "Write a path such as $, $.items"),
    "a path to anything below": (json("$..items"), "records", "Write a path such as $, $.items"),
    "a path that goes on after the members": (
        json("$.*.a", key_name="k"),
        "records",
        "Write a path such as $, $.items",
    ),
    "a path of too many steps": (json("$" + ".a" * 17), "records", "Write a path such as $, $.items"),
    "members without a name for their keys": (json("$.*"), "key_name", "Name the column of the keys"),
    "a name for the keys of no members": (json("$.a", key_name="k"), "key_name", "End records with .*"),
    "a name for keys that is taken": (json("$.*", key_name="_record_no"), "key_name", "Write another name"),
    "a batch of a document of 0 bytes": (json(batch_bytes=0), "batch_bytes", "Write 1 to"),
    "no path of the records": (E.Xml, "record", "Write record=…: a text"),
    "the records of any parent": (xml(record="//item"), "record", "Write all elements from the root to the record"),
    "a path without the root": (xml(record="item"), "record", "Write all elements from the root to the record"),
    "an attribute as the record": (xml(record="/list/@id"), "record", "Write all elements from the root to the record"),
    "a record with a condition": (xml(record="/list/item[1]"), "record", "Write all elements from the root to the"),
    "a prefix that is not declared": (xml(record="/a:list/item"), "namespaces", "Add it with its URI"),
    "a prefix of a repeated path": (xml(repeated=("a/b:c",)), "namespaces", "Add it with its URI"),
    "namespaces in a dictionary": (xml(namespaces={"a": "urn:a"}), "namespaces", "Write a tuple of"),
    "a namespace without a tuple": (xml(namespaces=("a", "urn:a")), "namespaces", "Write (a tuple,)"),
    "a namespace without a prefix": (xml(namespaces=(("", "urn:a"),)), "namespaces", "Write both"),
    "a namespace without a URI": (xml(namespaces=(("a", ""),)), "namespaces", "Write both"),
    "a prefix twice": (xml(namespaces=(("a", "u"), ("a", "v"))), "namespaces", "Give each URI one prefix"),
    "a URI twice": (xml(namespaces=(("a", "u"), ("b", "u"))), "namespaces", "Give each URI one prefix"),
    "a repeated path without a tuple": (xml(repeated="tag"), "repeated", "Write ('tag',)"),
    "a repeated path from the root": (xml(repeated=("/list/item/tag",)), "repeated", "Write one like 'address'"),
    "a repeated attribute": (xml(repeated=("@tag",)), "repeated", "Write one like 'address'"),
    "a null word of XML without a tuple": (xml(null="NA"), "null", "Write ('NA',)"),
    "an unknown encoding of XML": (xml(encoding="utf-9"), "encoding", "Write one like 'utf-8'"),
    "an encoding of XML that is none of files": (xml(encoding="idna"), "encoding", "Write one like 'utf-8'"),
    "a batch of XML of 0 bytes": (xml(batch_bytes=0), "batch_bytes", "Write 1 to"),
    "a batch of XML of ten gigabytes": (xml(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "the encoding of JSON": (ndjson(encoding="utf-8"), "encoding", "Write one of null, batch_bytes"),
    "a null word of Parquet without a tuple": (parquet(null="NA"), "null", "Write ('NA',)"),
    "another notation of bytes": (parquet(binary="base64"), "binary", "Write 'text' or 'hex'"),
    "a notation of bytes that is None": (parquet(binary=None), "binary", "Write 'text' or 'hex'"),
    "a batch of Parquet of 0 bytes": (parquet(batch_bytes=0), "batch_bytes", "Write 1 to"),
    "a batch of Parquet of ten gigabytes": (parquet(batch_bytes=10**10), "batch_bytes", "(1 GiB)"),
    "the columns of Parquet": (parquet(columns=("a",)), "columns", "Write one of null, binary, batch_bytes"),
    "neither a table nor a query": (sqlite(), "table", "Write one of them"),
    "a table and a query": (sqlite(table="t", query="SELECT 1"), "table", "Write one of them"),
    "a table without a name": (sqlite(table=" "), "table", "Write the name"),
    "a table with a NUL": (sqlite(table="t\0"), "table", "Write the name"),
    "a table in a tuple": (sqlite(table=("t",)), "table", "Write a text or None"),
    "an empty query": (sqlite(query=""), "query", "Write the name, or a SELECT statement"),
    "no seconds": (sqlite(table="t", seconds=0), "seconds", "Write seconds, more than 0"),
    "seconds without end": (sqlite(table="t", seconds=float("inf")), "seconds", "Write seconds, more than 0"),
    "seconds in a text": (sqlite(table="t", seconds="9"), "seconds", "Write a number"),
    "a null word of SQLite without a tuple": (sqlite(table="t", null="NA"), "null", "Write ('NA',)"),
    "a batch of SQLite of 0 bytes": (sqlite(table="t", batch_bytes=0), "batch_bytes", "Write 1 to"),
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
    E.Csv("~|~", None, escape="\\", line_end="\r", header_begins="a~|~", footer_begins="€", repeated_header="skip")
    E.Csv("\t|", comment="#", long_records="join", skip_lines=1)
    E.Ndjson(null=("",), batch_bytes=1)
    E.Parquet(null=("",), binary="hex", batch_bytes=1)
    E.Sqlite("orders", seconds=0.5, null=("",), batch_bytes=1)
    E.Sqlite(query="SELECT 1 AS x")
    E.Ndjson(null=("",), batch_bytes=1, flatten=("a", "a.b", "lines.c"), explode="lines")
    E.Json("$.a['b.c'][*].d[*]", null=("",), batch_bytes=1, flatten=True, explode="lines")
    E.Json("$['x'].*", key_name="code")
    E.Xml("/l:list/{urn:i}item", (("l", "urn:l"),), ("l:tag", "a/b.c-d", "xml:e"), ("NA",), "shift_jis", 1)
