"""No page is heavy: what a reader loads for one page, apart from what all pages share, stays below a limit."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from browsing import HTML

LIMIT = 250_000  # bytes, the page and its own pictures, as a server that compresses sends them
PICTURE = re.compile(r'<(?:img|source|object|image)\b[^>]*?\b(?:src|data|href)="([^"#?]+)')


def weight(path: Path) -> int:
    """Return the bytes of a page and of the pictures in it, each picture once, all of them compressed by gzip."""
    text = path.read_text(encoding="utf-8")
    own = {path.parent / source for source in PICTURE.findall(text) if not source.startswith("data:")}
    return sum(len(gzip.compress(file.read_bytes())) for file in (path, *own))


def test_no_page_is_heavy(site: str) -> None:
    assert site
    pages = [page for page in HTML.rglob("*.html") if "_static" not in page.parts]
    assert len(pages) > 10
    assert {page.name: size for page in pages if (size := weight(page)) >= LIMIT} == {}


@pytest.mark.parametrize("tag", ["<p>no picture</p>", '<img alt="" src="noise.png?v=1"/><img src="noise.png">'])
def test_a_picture_counts_once(tmp_path: Path, tag: str) -> None:
    noise = bytes(k * k * 31 % 251 for k in range(5000))
    (tmp_path / "noise.png").write_bytes(noise)
    (tmp_path / "page.html").write_text(tag, encoding="utf-8")
    alone = len(gzip.compress(tag.encode()))
    assert weight(tmp_path / "page.html") == alone + ("noise" in tag) * len(gzip.compress(noise))
