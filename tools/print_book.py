"""Make a PDF of the whole book from the built pages: one document, which Chromium prints.

python tools/print_book.py _build/html        writes e-prop.pdf there, and a link to it into every page

The articles of the pages follow each other in the order of the contents. Links between pages become links inside the
document, what is folded is open, and where a page has sliders there is the frame that they start at. A page of contents
has page numbers, which nobody knows before the book is printed: so it is printed twice. Where there is no Chromium
there is no PDF, and no link to one.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import browser
import matplotlib as mpl
import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, TextStringObject

from eprop_nb import __version__

ROOT = Path(__file__).parent.parent
NAME = "e-prop.pdf"
SHEET = Path(__file__).with_suffix(".css")
LEFT_OUT = ".headerlink, script, noscript, button, .sd-summary-state-marker"
PLAIN = "pre .n, pre .nn, pre .o, pre .p, pre .w"  # as the words around it; a reader of the PDF would stop at each
TOGETHER = 24  # lines of code that may not be parted by the end of a page
REFERRING = ("aria-labelledby", "aria-describedby", "for")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
DATE = re.compile(rb"(/(?:Creation|Mod)Date \(D:)\d{14}(\+00'00'\))")
PLACE = re.compile(r"(<!-- pdf (.*?) -->).*?(<!-- /pdf -->)", re.DOTALL)
FONTS = {  # they come with matplotlib, so that the book looks the same on every machine
    ("Book Serif", "normal", 400): "STIXGeneral",
    ("Book Serif", "italic", 400): "STIXGeneralItalic",
    ("Book Serif", "normal", 700): "STIXGeneralBol",
    ("Book Serif", "italic", 700): "STIXGeneralBolIta",
    ("Book Sans", "normal", 400): "DejaVuSans",
    ("Book Sans", "italic", 400): "DejaVuSans-Oblique",
    ("Book Sans", "normal", 700): "DejaVuSans-Bold",
    ("Book Mono", "normal", 400): "DejaVuSansMono",
    ("Book Mono", "italic", 400): "DejaVuSansMono-Oblique",
    ("Book Mono", "normal", 700): "DejaVuSansMono-Bold",
}
ON_PAPER = """<p class="on-paper">On a screen this figure has sliders. Here it is as they stand at first, and the
results at all their positions follow.</p>"""
# MathJax draws each equation as a picture; its source is the text for those who cannot see it.
MATHJAX = """window.MathJax = {
  options: {processHtmlClass: "math", ignoreHtmlClass: "book", enableMenu: false, enableAssistiveMml: false},
};"""
TYPESET = """async () => {
  await MathJax.startup.promise;
  await document.fonts.ready;
  const failed = [];
  for (const item of MathJax.startup.document.math) {
    item.typesetRoot.querySelector("mjx-assistive-mml")?.remove();
    item.typesetRoot.setAttribute("role", "img");
    item.typesetRoot.setAttribute("aria-label", item.math.trim());
    if (item.typesetRoot.querySelector("[data-mml-node=merror]")) failed.push(item.math);
  }
  return failed;
}"""


class BookError(RuntimeError):
    """The pages are not what a book could be made of; the message says where."""


class Entry(NamedTuple):
    """A page in the order of the contents."""

    page: str
    """Its address below the root of the site."""
    part: str
    """The caption above it, if it is the first of a part."""


def contents(html: Path) -> list[Entry]:
    """Return the pages of the book in their order: the start page, then as the list at the side has them."""
    entrance = re.search(r'url=([^"]+)"', (html / "index.html").read_text(encoding="utf-8"))
    if entrance is None:
        raise BookError("index.html must lead to the first page, and does not")
    start = entrance[1]
    listed = BeautifulSoup((html / start).read_text(encoding="utf-8"), "html.parser")
    found, part = [Entry(start, "")], ""
    for item in listed.select(".bd-links .caption-text, .bd-links a.reference"):
        if item.name == "a":
            if not OUTSIDE.match(str(item["href"])):
                found.append(
                    Entry(posixpath.normpath(posixpath.join(posixpath.dirname(start), str(item["href"]))), part)
                )
                part = ""
        else:
            part = item.get_text(strip=True)
    return found


def anchor(page: str, place: str = "") -> str:
    """Return the name of a place of a page in the document, where no two pages may have one name for two places."""
    return re.sub(r"\W", "-", page.removesuffix(".html")) + (f"--{place}" if place else "")


def link(address: str, page: str, pages: Iterable[str], site: str) -> str:
    """Return what a link of a page is in the document; "" if it leads to what the document has not."""
    if OUTSIDE.match(address):
        return address
    path, _, place = address.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if target in pages:
        return "#" + anchor(target, place)
    return urljoin(site, target) if site else ""


def lay_open(found: Tag) -> None:
    """Make of what a page shows on a screen what it shows on paper: nothing folded, no buttons, TeX for MathJax."""
    for tag in found.select(LEFT_OUT):
        tag.decompose()
    for tag in found.select("math[data-tex]"):
        tag.replace_with(str(tag["data-tex"]))
    for tag in found.select(".ep-first"):
        tag.insert_before(BeautifulSoup(ON_PAPER, "html.parser"))
    for tag in found.select("details"):
        if "hide" in tag.get_attribute_list("class"):  # code: it needs no line that says so
            if tag.summary:
                tag.summary.decompose()
            tag.unwrap()
        else:
            tag["open"] = ""
    for tag in found.select("pre"):
        if tag.get_text().count("\n") > TOGETHER:
            tag["class"] = "long"
    for tag in found.select(PLAIN):
        tag.unwrap()


def move(found: Tag, page: str, pages: Iterable[str], site: str) -> None:
    """Let the names and addresses in an article hold in the document: those of one page are not those of another."""
    for tag in found.find_all(True):
        if "id" in tag.attrs:
            tag["id"] = anchor(page, str(tag["id"]))
        for name in REFERRING:
            if name in tag.attrs:
                tag[name] = " ".join(anchor(page, each) for each in str(tag[name]).split())
        for name in ("clip-path", "fill", "stroke", "style", "marker-end", "filter", "mask"):
            if "url(#" in str(tag.get(name, "")):
                tag[name] = str(tag[name]).replace("url(#", f"url(#{anchor(page)}--")
        if "src" in tag.attrs and not OUTSIDE.match(str(tag["src"])):
            tag["src"] = posixpath.normpath(posixpath.join(posixpath.dirname(page), str(tag["src"])))
        if "href" in tag.attrs:
            tag["href"] = link(str(tag["href"]), page, pages, site)
            if not tag["href"]:
                del tag["href"]


def article(html: str, page: str, pages: Iterable[str], site: str = "") -> Tag:
    """Return the article of a page as it stands in the document.

    Raises
    ------
    BookError
        If the page has none.
    """
    found = BeautifulSoup(html, "html.parser").find("article")
    if not isinstance(found, Tag):
        raise BookError(f"{page} must have an article, and has none")
    lay_open(found)
    move(found, page, pages, site)
    for level in range(5, 0, -1):  # a part stands above its chapters
        for tag in found.find_all(f"h{level}"):
            tag.name = f"h{level + 1}"
    found.name = "section"
    found["class"] = "chapter bd-article"
    found["id"] = anchor(page)
    return found


def text_of(tag: Tag) -> str:
    """Return the words of a heading, with simple spaces."""
    return " ".join(tag.get_text().split())


def headings(chapter: Tag) -> list[tuple[str, str]]:
    """Return where a chapter and its sections begin, and their titles."""
    titles = [(each["id"], each.find(re.compile("^h[23]$"), recursive=False)) for each in chapter.find_all("section")]
    found = [(str(place), text_of(title)) for place, title in titles if isinstance(title, Tag)]
    if not found:
        raise BookError(f"{chapter['id']} must have a title, and has none")
    return [(str(chapter["id"]), found[0][1]), *found[1:]]


def table_of_contents(chapters: Iterable[tuple[str, Tag]], numbers: Mapping[str, int]) -> str:
    """Return the page of contents: parts, chapters, sections, each with its page as far as it is known."""

    def line(place: str, title: str) -> str:
        number = numbers.get(place, 888)  # as wide as most, while it is not known
        return f'<a href="#{place}"><span>{escape(title)}</span><span class="number">{number}</span></a>'

    lines = []
    for part, chapter in chapters:
        whole, *sections = headings(chapter)
        inner = "".join(f"<li>{line(*each)}</li>" for each in sections)
        above = f'<p class="part">{escape(part)}</p>' if part else ""
        lines.append(f"<li>{above}{line(*whole)}{f'<ol>{inner}</ol>' if inner else ''}</li>")
    return f'<nav class="book-contents" aria-label="Contents"><h1>Contents</h1><ol>{"".join(lines)}</ol></nav>'


def running_heads(chapters: Iterable[tuple[str, Tag]]) -> str:
    """Return the rules that put the title of a chapter at the head of its pages."""
    rules = []
    for _, chapter in chapters:
        place, title = headings(chapter)[0]
        quoted = title.replace("\\", "\\\\").replace('"', '\\"')
        rules.append(f'@page {place} {{ @top-left {{ content: "{quoted}"; }} }}\n#{place} {{ page: {place}; }}\n')
    return "".join(rules)


def faces() -> str:
    """Return the fonts of the book, as files that are there."""
    folder = Path(mpl.get_data_path(), "fonts", "ttf")
    return "".join(
        f'@font-face {{ font-family: "{family}"; font-style: {style}; font-weight: {weight}; '
        f'src: url("{(folder / file).with_suffix(".ttf").as_uri()}"); }}\n'
        for (family, style, weight), file in FONTS.items()
    )


def edition(root: Path = ROOT) -> tuple[str, str]:
    """Return which edition of the book this is, in words, and its date; without git, only the version is known."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return ""

    commit, date = git("rev-parse", "--short=10", "HEAD"), git("log", "-1", "--format=%cs")
    changed = ", with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"Version {__version__}" + (f", commit {commit}{changed}" if commit else ""), date


def compose(html: Path, site: str = "", numbers: Mapping[str, int] | None = None) -> str:
    """Return the whole book as one page.

    Parameters
    ----------
    html
        The folder of the built pages; the one page works from there.
    site
        The address of the pages on the web, if it is known.
    numbers
        The page of the paper on which each place of the table of contents stands, if they are known.
    """
    entries = contents(html)
    pages = [entry.page for entry in entries]
    texts = {page: (html / page).read_text(encoding="utf-8") for page in pages}
    chapters = [(entry.part, article(texts[entry.page], entry.page, pages, site)) for entry in entries]
    for part, chapter in chapters:
        if part:
            chapter.insert(0, BeautifulSoup(f'<h1 class="part">{escape(part)}</h1>', "html.parser"))
    first = BeautifulSoup(texts[pages[0]], "html.parser")
    styles = [str(tag["href"]).partition("?")[0] for tag in first.select("head link[rel=stylesheet]")]
    styles_of_frames = {
        str(tag) for text in texts.values() for tag in BeautifulSoup(text, "html.parser").select("head > style")
    }
    sheets = [posixpath.normpath(posixpath.join(posixpath.dirname(pages[0]), sheet)) for sheet in styles]
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    title, author = escape(settings["title"]), escape(settings["author"])
    words, date = edition()
    lines = [words, *([date] if date else []), *([f'<a href="{escape(site)}">{escape(site)}</a>'] if site else [])]
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">',
            f'<title>{title}</title><meta name="author" content="{author}">',
            *(f'<link rel="stylesheet" href="{escape(sheet)}">' for sheet in sheets),
            *sorted(styles_of_frames),
            f"<style>{faces()}{SHEET.read_text(encoding='utf-8')}{running_heads(chapters)}</style>",
            f'<script>{MATHJAX}</script><script defer src="mathjax/tex-svg.js"></script></head>',
            '<body class="book"><main class="bd-content bd-main"><header class="front">',
            f'<p class="book-title">{title}</p>',
            '<p class="book-subtitle">An executable book on eligibility propagation</p>',
            f'<p class="book-author">{author}</p><p class="book-edition">{"<br>".join(lines)}</p></header>',
            table_of_contents(chapters, numbers or {}),
            *(str(chapter) for _, chapter in chapters),
            "</main></body></html>",
        ]
    )


def printed(page: Page, document: str, html: Path) -> bytes:
    """Return a document, which stands among the built pages, as a PDF."""
    path = html / ".print.html"
    try:
        path.write_text(document, encoding="utf-8")
        page.goto(path.resolve().as_uri())
        failed = page.evaluate(TYPESET)
        if failed:
            raise BookError(f"these equations cannot be set: {failed}")
        return page.pdf(prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
    finally:
        path.unlink()


def page_numbers(pdf: bytes) -> dict[str, int]:
    """Return on which page each place that a link leads to stands."""
    reader = PdfReader(io.BytesIO(pdf))
    found = {name: reader.get_destination_page_number(place) for name, place in reader.named_destinations.items()}
    return {name.lstrip("/"): number + 1 for name, number in found.items() if number is not None}


def dated(pdf: bytes, date: str) -> bytes:
    """Return the PDF as of this date, YYYY-MM-DD, in place of the moment at which it was printed."""
    moment = date.replace("-", "").encode() + b"000000"
    return DATE.sub(lambda found: found[1] + moment + found[2], pdf) if date else pdf


def said_twice(document: str) -> dict[str, str]:
    """Return the titles of a document by what Chromium makes of one that stands at the top of a page: it is doubled."""
    found: dict[str, str] = {}
    for tag in BeautifulSoup(document, "html.parser").find_all(re.compile("^h[1-6]$")):
        words = text_of(tag)
        number = tag.select_one(".section-number")
        first = f"{text_of(number)} " if number else ""
        rest = words.removeprefix(first)
        found |= {words + words: words, first + first + rest + rest: words}
    return found


def with_titles_once(pdf: bytes, doubled: Mapping[str, str]) -> bytes:
    """Return the PDF with each title of its outline said once."""
    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    waiting = [writer.root_object["/Outlines"]]
    while waiting:
        entry: Any = waiting.pop().get_object()
        words = " ".join(str(entry.get("/Title", "")).split())
        if words in doubled:
            entry[NameObject("/Title")] = TextStringObject(doubled[words])
        waiting += [entry[key] for key in ("/First", "/Next") if key in entry]
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def offer(page: str, words: str) -> str:
    """Return a page with a link to the PDF, in the place that is there for it."""
    link_to_it = '<p class="ep-pdf"><a href="{}">The whole book as a PDF</a> {}</p>'
    return PLACE.sub(lambda found: found[1] + link_to_it.format(escape(found[2]), words) + found[3], page)


def main(html: Path) -> None:
    """Print the book, and offer it in the pages; without a browser, say that there is none."""
    path = browser.executable()
    if path is None:
        print(f"no PDF: none of {', '.join(browser.NAMES)} is installed")
        return
    site = os.environ.get("BOOK_URL", "").strip()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser.FLAGS, timeout=browser.PATIENCE)
        page = chromium.new_page()
        page.set_default_timeout(browser.PATIENCE)
        numbers = page_numbers(printed(page, compose(html, site), html))
        document = compose(html, site, numbers)
        pdf = printed(page, document, html)
        chromium.close()
    if page_numbers(pdf) != numbers:
        raise BookError("the numbers in the table of contents have moved the pages")
    pdf = with_titles_once(pdf, said_twice(document))
    (html / NAME).write_bytes(dated(pdf, edition()[1]))
    words = f"({len(PdfReader(html / NAME).pages)} pages, {len(pdf) / 1e6:.0f} MB)"
    for each in html.rglob("*.html"):
        before = each.read_text(encoding="utf-8")
        after = offer(before, words)
        if after != before:
            each.write_text(after, encoding="utf-8")
    print(f"{html / NAME} {words}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
