"""Carries out a scenario: real servers, a real landing store, and what became of it in plain words."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from etl_assets import Http, Json, OAuth2, Partition, RestExtractor, Secret
from etl_assets.errors import DeliveryError
from etl_assets.landing import LandingStore, batches, land
from etl_assets_tests.extract.rest.hostile.scenario import PATH, SECRETS, Site
from etl_assets_tests.hostile_server import HostileServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.delivery import Manifest
    from etl_assets_tests.extract.rest.hostile.scenario import Scenario
    from etl_assets_tests.hostile_server import Request

_HOME = "http://api.example"
"""The address of the interface where a proxy stands for all hosts."""


@dataclass
class Run:
    """What became of a scenario.

    Attributes:
        seconds: How long it took.
        error: What refused the delivery.
        kept: The files of the landing store.
        records: Their number.
        ids: Of the well-formed records.
        notes: Of the delivery.
        requests: To the server.
        leaked: The secrets that reached another address than that of the interface.
        names: What the addresses of the servers are called where the run is described.
    """

    seconds: float = 0.0
    error: DeliveryError | None = None
    kept: list[str] = field(default_factory=list)
    records: int = 0
    ids: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    requests: int = 0
    leaked: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def outcome(self, missing: int) -> str:
        """Return what happened, in plain words and the same in each run.

        Args:
            missing: How many of the publisher's records are not in the landed delivery.
        """
        if self.error is not None:
            return f"refused: {self._shown(re.split(r' Nothing was (?:sent|written)', str(self.error))[0])}"
        doubled, malformed = len(self.ids) - len(set(self.ids)), self.records - len(self.ids)
        if not self.ids:
            came = f"{malformed} malformed record" if malformed else "no record, as published"
        elif missing:
            came = f"all but {missing} record{'s' if missing > 1 else ''}"
        else:
            came = f"every record, {doubled} of them twice, as published" if doubled else "every record once"
            came += f", {malformed} of them malformed" if malformed else ""
        notes = " ".join(self._shown(note) for note in self.notes)
        return f"landed: {came}{f'; noted: “{notes}”' if notes else ''}"

    def _shown(self, text: str) -> str:
        """Return a text without the addresses of this run, as a cell of a table."""
        for address, name in self.names.items():
            text = re.sub(rf"{re.escape(address)}[^\s]*", name, text)
        return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


@contextmanager
def playing(scenario: Scenario) -> Iterator[tuple[RestExtractor, Run]]:
    """Start the servers of a scenario; return its extractor, and a run to be filled in. It ends with the block."""
    run = Run()
    with ExitStack() as opened:
        opened.enter_context(patch.dict(os.environ, SECRETS))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if scenario.tls else None
        if tls is not None:
            tls.load_cert_chain(_certificate())
        other, server = HostileServer(_gone), HostileServer(_gone, tls)
        opened.enter_context(other)
        opened.enter_context(server)
        site = Site(server.url(""), other.url(""), other.url("", "localhost"))
        server.answer = scenario.answers(site)
        other.answer = scenario.token(site) if scenario.token else _gone
        home = _HOME if scenario.is_proxy else site.url
        run.names = {home: "the API", site.other: "the server of tokens", site.private: "the other server"}
        begin = time.monotonic()
        try:
            yield _extractor(scenario, site, home), run
        except DeliveryError as error:
            run.error = error
        run.seconds = time.monotonic() - begin
        run.requests = len(server.requests)
        strangers = [*other.requests, *(request for request in server.requests if not _is_for(request, home))]
        run.leaked += [
            f"{name} in {request.line}"
            for request in strangers
            for name, value in SECRETS.items()
            if value in f"{request.line} {request.headers}"
        ]


@cache
def landed(scenario: Scenario) -> Run:
    """Fetch and freeze what the server of a scenario has, and read it back. A second call returns the same."""
    with tempfile.TemporaryDirectory() as folder:
        with playing(scenario) as (extractor, run):
            store = LandingStore(folder)
            _read(extractor, store, land(extractor, Partition(), store), run)
        run.kept = [path.name for path in Path(folder).rglob("*") if path.is_file()]
    return run


def polled(scenario: Scenario) -> Run:
    """Poll the server of a scenario."""
    with playing(scenario) as (extractor, run):
        extractor.poll(Partition())
    return run


def previewed(scenario: Scenario) -> Run:
    """Fetch the first pages of the server of a scenario."""
    with tempfile.TemporaryDirectory() as folder, playing(scenario) as (extractor, run):
        store, preview = LandingStore(folder), extractor.of_preview()
        _read(preview, store, land(preview, Partition(), store), run)
    return run


def _read(extractor: RestExtractor, store: LandingStore, manifest: Manifest, run: Run) -> None:
    run.notes = list(manifest.notes)
    run.records = manifest.records
    for batch in batches(extractor, store, manifest):
        if batch.span.records:
            run.ids += [int(text) for text in batch.frame.get_column("id")] if "id" in batch.names else []
    head = b"\n".join(line for line in _frozen(store, manifest).split(b"\n") if line.startswith(b'{"page":'))
    run.leaked += [f"{name} is frozen" for name, value in SECRETS.items() if value.encode() in head]


def _frozen(store: LandingStore, manifest: Manifest) -> bytes:
    """Return the frozen bytes of a delivery."""
    with store.open(manifest) as stream:
        return stream.read()


def _extractor(scenario: Scenario, site: Site, home: str) -> RestExtractor:
    quick = Http(private=True, wait=0.01, deadline=30, timeout=20, bearer=Secret("API_TOKEN"), key=Secret("API_KEY"))
    access = replace(quick, **scenario.access)
    if scenario.token is not None:
        access = replace(access, bearer=None, oauth2=OAuth2(f"{site.other}/token", "me", Secret("CLIENT_SECRET")))
    if scenario.tls:
        access = replace(access, ca_file=str(_certificate()))
    if scenario.is_proxy:
        access = replace(access, private=False, proxy=site.url)
    declared = {"format": Json("$.items"), "access": access, **scenario.declared}
    extractor = RestExtractor(url=f"{home}{PATH}", **declared)
    extractor.check("source 'hostile'")
    return extractor


def _is_for(request: Request, home: str) -> bool:
    """Whether a request is for the interface, and not for another host behind the proxy."""
    return home.partition("//")[2] == request.headers.get("host")


def _gone(request: Request) -> None:
    request.answer(status="404 Not Found", Connection="close")


@cache
def _certificate() -> Path:
    """Return the path of a key and a certificate for 127.0.0.1 that signs itself."""
    folder = Path(tempfile.mkdtemp(prefix="etl-assets-hostile-"))
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"]
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *names, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return both
