"""What `make serve` says where there is nothing to serve, or nowhere to serve it from."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path

import pytest
import serve


def test_without_a_book_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="`make book` builds them"):
        serve.server(tmp_path, 0)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("a page", encoding="utf-8")
    with serve.server(tmp_path, 0) as first:
        port = first.server_port
        with pytest.raises(SystemExit, match=rf"port {port} cannot be had .* name another one"):
            serve.server(tmp_path, port)
        threading.Thread(target=first.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.read() == b"a page"
        first.shutdown()


def test_what_is_no_port_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    with pytest.raises(SystemExit, match="port 70000 cannot be had"):
        serve.server(tmp_path, 70_000)
