"""The pages know where they will lie if the build is told, and say nothing about it if it is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import site_address
from browsing import HTML
from bs4 import BeautifulSoup, Tag
from sphinx.errors import ConfigError

TOOLS = Path(__file__).parents[2] / "tools"
ADDRESS = "https://someone.example/a/fork"
PAGES = {
    "book/index": "# A book\n\nIt is about spikes.\n\n```{toctree}\nchapter\n```\n",
    "book/chapter": "# A chapter\n\nIt is about one spike.\n",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "book" / "_static").mkdir(parents=True)
    (folder / "book" / "_static" / "mark.png").write_bytes(
        (TOOLS.parent / "book" / "_static" / "mark.png").read_bytes()
    )
    for name, text in PAGES.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(TOOLS)!r})\nroot_doc = 'book/index'\nhtml_title = 'A book'\n"
        "extensions = ['myst_parser', 'site_address', 'sphinx.ext.githubpages', 'sphinxext.opengraph']\n"
        "ogp_enable_meta_description = True\n",
        encoding="utf-8",
    )
    return folder


def built(source: Path, target: Path, **variables: str) -> dict[str, str]:
    """Build the pages, strictly, and return them."""
    environment = {name: value for name, value in os.environ.items() if name != site_address.VARIABLE} | variables
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(source), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return {str(p.relative_to(target).as_posix()): p.read_text(encoding="utf-8") for p in target.rglob("*.html")}


def test_with_an_address_there_are_absolute_ones(source: Path, tmp_path: Path) -> None:
    pages = built(source, tmp_path, BOOK_URL=ADDRESS)
    chapter = pages["book/chapter.html"]
    assert f'<link rel="canonical" href="{ADDRESS}/book/chapter.html"' in chapter
    assert f'<meta property="og:url" content="{ADDRESS}/book/chapter.html"' in chapter
    assert '<meta name="description" content="It is about one spike."' in chapter
    card = re.search(rf'og:image" content="{ADDRESS}/([^"]+\.png)"', chapter)
    assert card
    assert (tmp_path / card[1]).read_bytes().startswith(b"\x89PNG")
    places = re.findall(r"<loc>(.*?)</loc>", (tmp_path / "sitemap.xml").read_text(encoding="utf-8"))
    assert sorted(places) == [f"{ADDRESS}/book/chapter.html", f"{ADDRESS}/book/index.html"]
    assert (tmp_path / ".nojekyll").exists()


def test_the_page_for_what_is_not_there_works_at_any_depth(source: Path, tmp_path: Path) -> None:
    missing = built(source, tmp_path, BOOK_URL=ADDRESS)["404.html"]
    assert "There is no page at this address" in missing
    links = re.findall(r'(?:href|src)="([^"#]+)"', missing)
    assert links
    assert [link for link in links if not link.startswith(("/a/fork/", "http"))] == []


def test_without_an_address_nothing_is_made_up(source: Path, tmp_path: Path) -> None:
    pages = built(source, tmp_path)
    assert "404.html" not in pages
    assert not (tmp_path / "sitemap.xml").exists()
    for page in pages.values():
        assert "canonical" not in page
        assert "og:" not in page
        assert "twitter:" not in page
    assert '<meta name="description" content="It is about one spike."' in pages["book/chapter.html"]


def test_the_entrance_leads_to_the_first_page_and_has_its_name(source: Path, tmp_path: Path) -> None:
    entrance = built(source, tmp_path, BOOK_URL=ADDRESS)["index.html"]
    assert '<meta http-equiv="refresh" content="0; url=book/index.html">' in entrance
    assert "<title>A book</title>" in entrance
    assert '<a href="book/index.html">A book</a>' in entrance
    assert f'href="{ADDRESS}/book/index.html"' in entrance


def test_the_title_of_the_book_is_said_once(source: Path, tmp_path: Path) -> None:
    pages = built(source, tmp_path)
    assert "<title>A book</title>" in pages["book/index.html"]
    assert "<title>A chapter — A book</title>" in pages["book/chapter.html"].replace("&#8212;", "—")


@pytest.mark.parametrize("value", ["someone.example", "ftp://someone.example", "https:///x", "https://x.example/?a=1"])
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="BOOK_URL must be the address of the pages"):
        site_address.address(value)


def test_an_address_ends_with_one_slash() -> None:
    assert site_address.address(" https://x.example/b// ") == site_address.address("https://x.example/b")


def test_every_page_of_the_book_says_what_it_is_about() -> None:
    if not HTML.exists():
        pytest.skip("the pages are not built: make book")
    for path in sorted((HTML / "book").glob("*.html")):
        page = path.read_text(encoding="utf-8")
        description = BeautifulSoup(page, "html.parser").find("meta", {"name": "description"})
        assert isinstance(description, Tag), path.name
        assert len(str(description["content"])) > 30, path.name
    first = (HTML / "book" / "index.html").read_text(encoding="utf-8")
    assert first.count("e-prop, proved numerically</title>") == 1
    assert "&#8212; e-prop" not in first.partition("</title>")[0]
