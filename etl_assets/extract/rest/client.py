"""Asks for one page: sends the request, takes the whole body within bounds, and reads its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from etl_assets.errors import (
    DeliveryError,
    DeliveryIncompleteError,
    DeliveryMissingError,
    DeliveryUnreachableError,
)
from etl_assets.extract.formats.json import Json
from etl_assets.extract.http.body import Body, has_end
from etl_assets.extract.http.decoding import decoded
from etl_assets.extract.http.refused import refused
from etl_assets.extract.http.waits import backoff
from etl_assets.extract.progress import Progress
from etl_assets.extract.rest.answer import Answer

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from etl_assets.extract.http.session import HttpSession
    from etl_assets.extract.rest.extractor import RestExtractor
    from etl_assets.extract.rest.request import Request

_OK: Final = 200
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304
_ASKED: Final = {"Accept-Encoding": "gzip"}
_CONDITIONS: Final = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


class Client:
    """Asks for the pages of one fetch, from any number of threads.

    Attributes:
        progress: Counts what came.
    """

    def __init__(self, extractor: RestExtractor, session: HttpSession) -> None:
        """Begin.

        Args:
            extractor: The declaration.
            session: Sends the requests.
        """
        self._extractor = extractor
        self._session = session
        self._shown = extractor.shown
        self.progress = Progress(self._shown)

    def begin_again(self) -> None:
        """Count from zero, for another reading of all pages."""
        self.progress = Progress(self._shown)

    def ask(self, request: Request, number: int = 1, earlier: int = 0) -> Answer:
        """Ask for a page and return it, with its records read.

        Args:
            request: For the page.
            number: Of the page, from the first request on.
            earlier: Number of records of the pages before.

        Raises:
            DeliveryMissingError: If there is nothing at the address.
            DeliveryUnreachableError: If there is no answer, or none now.
            DeliveryIncompleteError: If the body is cut short each time.
            DeliveryError: If the answer cannot be taken for another reason.
        """
        attempt = 1
        while True:
            try:
                return self._ask_once(request, number, earlier)
            except DeliveryMissingError:
                if number == 1:
                    raise
                raise DeliveryIncompleteError(
                    f"Page {number} of {self._shown} is not there, although page {number - 1} leads to it. Nothing was "
                    "written. Run again; if the server answers so after its last page, declare how that shows that it "
                    "is the last: total=, total_pages= or has_more= of its pagination."
                ) from None
            except DeliveryIncompleteError:
                wait = backoff(self._session.http.wait, attempt)
                if not self._may_repeat or attempt >= self._session.attempts or not self._session.deadline.sleep(wait):
                    raise
                attempt += 1

    def has_changed(self, answer: Answer) -> bool | None:
        """Ask whether a page still has the same records.

        Returns:
            None if that is not known: the server names no version of the page, or does not answer now.
        """
        conditions = {
            condition: answer.headers[name] for name, condition in _CONDITIONS.items() if answer.headers.get(name)
        }
        if not conditions or answer.request.method != "GET":
            return None
        headers = {**_ASKED, **answer.request.headers, **conditions}
        try:
            response = self._session.send("GET", answer.request.target, headers)
            if response.status == _NOT_MODIFIED:
                response.close()
                return False
            again = self._answer(answer.request, response, answer.label, answer.number, answer.earlier)
        except DeliveryMissingError:
            return True
        except (DeliveryUnreachableError, DeliveryIncompleteError):
            return None
        return again.digest != answer.digest

    @property
    def _may_repeat(self) -> bool:
        return self._extractor.method == "GET" or self._extractor.repeatable

    def _ask_once(self, request: Request, number: int, earlier: int) -> Answer:
        label = f"Page {number} of {self._shown}"
        headers = {**_ASKED, **request.headers}
        if request.body is not None:
            headers.setdefault("Content-Type", "application/json")
        repeatable = self._extractor.repeatable
        response = self._session.send(request.method, request.target, headers, request.body, repeatable=repeatable)
        answer = self._answer(request, response, label, number, earlier)
        self.progress.advance(pages=1, records=answer.records, size=len(answer.body))
        if self.progress.size > self._session.http.max_bytes:
            raise DeliveryError(
                f"{self._shown} has more than {self._session.http.max_bytes} bytes. Nothing was written. If it may be "
                "that large, declare max_bytes=… of its access."
            )
        return answer

    def _answer(self, request: Request, response: BaseHTTPResponse, label: str, number: int, earlier: int) -> Answer:
        body = self._body(request, response)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(request, response.status, headers, body, label, number, earlier)
        try:
            answer.read(self._extractor.format, self._session.deadline.check)
        except DeliveryError as error:
            if not self._is_whole(response):
                raise DeliveryIncompleteError(
                    f"{label} was cut short, or is not written as declared; its server did not announce its length. "
                    f"Nothing was written. Run again. ({error})"
                ) from None
            if _is_markup(answer) and isinstance(self._extractor.format, Json):
                raise DeliveryUnreachableError(
                    f"{label} is a page for browsers, with status {answer.status}, and no JSON. Nothing was written. "
                    "Check the url, and whether the API asks for a login or is under maintenance; then run again."
                ) from None
            raise
        self._check_null(answer)
        return answer

    def _check_null(self, answer: Answer) -> None:
        """Refuse a page that has null where its records are, as answers about errors do."""
        format_ = self._extractor.format
        if isinstance(format_, Json) and not format_.explode and answer.records == 1 and list(answer.raws) == [b"null"]:
            raise DeliveryError(
                f"{answer.label} has null at {format_.records}, where its records are declared. Nothing was written. "
                "Check what the API says beside it; if it means that there are none, declare missing_ok=True."
            )

    def _body(self, request: Request, response: BaseHTTPResponse) -> bytes:
        """Return the whole body of an answer.

        Raises:
            DeliveryError: If its status is none of success, or it is too large or not whole.
        """
        resumes = request.method == "GET" and not request.headers and not response.headers.get("Content-Encoding")
        with Body(self._session, request.target, response, resumes=resumes) as body:
            if response.status == _NO_CONTENT:
                return b""
            if response.status != _OK:
                raise self._refused(request, response)
            most = self._extractor.max_page_bytes
            coding = response.headers.get("Content-Encoding", "")
            stream = cast("Any", decoded(body, coding, request.target, most + _CHUNK))
            if not self._is_whole(response) and not self._accepts_without_length:
                raise DeliveryError(
                    f"{self._shown} is sent without its length, so that a page which was cut short would look whole. "
                    "Nothing was written. If its server cannot do better, declare "
                    "access=Http(accept_without_length=True)."
                )
            parts, size = [], 0
            while chunk := stream.read(_CHUNK):
                parts.append(chunk)
                size += len(chunk)
                if size > most:
                    raise DeliveryError(
                        f"A page of {self._shown} has more than {most} bytes. Nothing was written. Ask for fewer "
                        "records a page, or declare max_page_bytes=…."
                    )
            return b"".join(parts)

    def _refused(self, request: Request, response: BaseHTTPResponse) -> DeliveryError:
        """Return the error for a status that is none of success; the names of the parameters, not their values."""
        error = refused(request.target, response.status, self._session.http, response.headers)
        names = request.names
        if not names or isinstance(error, DeliveryUnreachableError):
            return error
        return type(error)(f"{error} It was asked with the parameters {', '.join(names)}.")

    @property
    def _accepts_without_length(self) -> bool:
        """Whether a page may come without its length: one of JSON shows itself whether it is whole."""
        return isinstance(self._extractor.format, Json) or self._session.http.accept_without_length

    def _is_whole(self, response: BaseHTTPResponse) -> bool:
        """Whether the transfer shows that a body is whole."""
        return has_end(response.headers) or bool(response.headers.get("Content-Encoding"))


_CHUNK: Final = 256 * 1024


def _is_markup(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "") or answer.body.lstrip()[:1] == b"<"
