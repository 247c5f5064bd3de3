"""What is asked of whom when outside addresses are checked; a server on this machine plays the outside."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import outside_links
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://doi.org/10.1000/182", "https://doi.org/api/handles/10.1000/182"),
        ("https://doi.org/api/handles/10.1000/182", None),
        ("https://example.org/doi.org/", None),
    ],
)
def test_a_doi_is_asked_of_the_doi_system(address: str, asked: str | None) -> None:
    assert outside_links.record(None, address) == asked  # type: ignore[arg-type]  # it does not look at it


class Outside(BaseHTTPRequestHandler):
    """Knows the record of one DOI, and as a publisher refuses everything else."""

    def do_HEAD(self) -> None:
        """Answer by a code alone."""
        self.send_response({"/api/handles/good": 200, "/api/handles/bad": 404}.get(self.path, 403))
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815  # the name that http.server asks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.filterwarnings("ignore:The default value for 'linkcheck")  # Sphinx 7 announces Sphinx 8
def test_a_doi_that_exists_is_good_and_one_that_does_not_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Outside)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(outside_links, "DOI", here)
    monkeypatch.setattr(outside_links, "RECORD", f"{here}api/handles/")
    (tmp_path / "index.rst").write_text(f"Title\n=====\n\n`a <{here}good>`_, `b <{here}bad>`_\n", encoding="utf-8")
    settings = {"extensions": ["outside_links"], "linkcheck_retries": 1}
    with docutils_namespace():
        app = Sphinx(tmp_path, None, tmp_path / "out", tmp_path / "trees", "linkcheck", settings, status=None)
        app.build()
    server.shutdown()
    server.server_close()
    found = (tmp_path / "out" / "output.txt").read_text(encoding="utf-8").splitlines()
    assert len(found) == 1
    assert "[broken]" in found[0]
    assert f"{here}api/handles/bad" in found[0]
