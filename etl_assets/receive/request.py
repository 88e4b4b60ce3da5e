"""What the head of a request says: its source, its headers, and what they say about the body."""

from __future__ import annotations

import re
from email.message import Message
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from etl_assets.model.text import escape_control_characters
from etl_assets.receive.keeping import About
from etl_assets.receive.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.inbox import Inbox

_PATH: Final = re.compile(r"/receive/([a-z0-9_]{1,50})")
_SUFFIX: Final = re.compile(r"(?:\.[a-z0-9]{1,8}){1,2}$")
_SUFFIXES: Final[Mapping[str, str]] = {
    "application/json": ".json",
    "application/x-ndjson": ".ndjson",
    "application/xml": ".xml",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "text/csv": ".csv",
    "text/xml": ".xml",
}
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/")
_LONGEST_NAME: Final = 200
_LONGEST_ID: Final = 255


def source_of(path: str) -> str | None:
    """Return the name of the source that a path names; None if it is no path to send to."""
    match = _PATH.fullmatch(path)
    return match and match[1]


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers, with names in lower case; of those that come twice there is none."""
    headers: dict[str, str] = {}
    twice: set[str] = set()
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in headers:
            twice.add(key)
        headers[key] = value.decode("latin-1")
    return {key: value for key, value in headers.items() if key not in twice}


def about(headers: Mapping[str, str], inbox: Inbox) -> About:
    """Return what the headers say about the body.

    Raises:
        Refusal: If the body is a form, is encoded in a way that no reader knows, or its id is too long.
    """
    type_ = headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_.startswith(_FORMS):
        raise Refusal(
            415,
            f"A body of type {_FORMS[0]} or multipart is a form. Nothing was kept. Send the file as it is, with its "
            "own Content-Type or none: curl -T FILE, and not curl -d or -F.",
        )
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in (("identity",) if inbox.events else ("identity", "gzip")):
        known = "no Content-Encoding" if inbox.events else "Content-Encoding gzip or none"
        raise Refusal(415, f"The body is encoded. Nothing was kept. Send it with {known}.")
    name = _name(headers)
    suffix = _SUFFIX.search(name.lower())
    ending = suffix[0] if suffix else _SUFFIXES.get(type_, "")
    if encoding == "gzip" and not ending.endswith(".gz"):
        ending += ".gz"
    return About(name, _id(headers, inbox), ending)


def length_of(headers: Mapping[str, str]) -> int:
    """Return the announced number of bytes; 0 if there is none."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _id(headers: Mapping[str, str], inbox: Inbox) -> str:
    id_ = headers.get(inbox.id_header.lower(), "")
    if len(id_) > _LONGEST_ID:
        text = f"{inbox.id_header} is longer than {_LONGEST_ID} characters. Nothing was kept. Send a shorter one."
        raise Refusal(400, text)
    return sha256(f"request {id_}".encode()).hexdigest() if id_ else ""


def _name(headers: Mapping[str, str]) -> str:
    """Return the publisher's name of the file, without folders, as it may be shown; empty if there is none."""
    name = unquote(_utf8(headers.get("x-filename", "")))
    if not name and "content-disposition" in headers:
        message = Message()
        message["content-disposition"] = headers["content-disposition"]
        name = message.get_filename() or ""
    name = _utf8(name).replace("\\", "/").rpartition("/")[2].strip()
    return escape_control_characters(name)[:_LONGEST_NAME]


def _utf8(text: str) -> str:
    """Return a header that was sent as UTF-8 as such; every other unchanged."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
