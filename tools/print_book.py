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
from collections.abc import Container, Iterable, Mapping
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
LEFT_OUT = (
    ".headerlink, script, noscript, button, .sd-summary-state-marker, details.hide > summary, a:has(> .viewcode-link)"
)
CONTENTS = "Contents"
TITLE = re.compile("^h[23]$")
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
ON_PAPER = (
    '<p class="on-paper">On a screen this figure has sliders. Here it is as they stand at first; the results at all '
    "positions follow.</p>"
)
# MathJax draws each equation as a picture; its source is the text for those who cannot see it.
MATHJAX = """window.MathJax = {
  options: {processHtmlClass: "math", ignoreHtmlClass: "book", enableMenu: false, enableAssistiveMml: false},
};"""
COLUMN = 627  # pixels: 166 mm, what print_book.css leaves of a page for its text
# Returns what cannot be printed as it is, in words: equations that are no TeX, and what is wider than the column.
TYPESET = """async () => {
  await MathJax.startup.promise;
  await document.fonts.ready;
  const wrong = [];
  for (const item of MathJax.startup.document.math) {
    item.typesetRoot.querySelector("mjx-assistive-mml")?.remove();
    const picture = item.typesetRoot.querySelector("svg");
    picture.removeAttribute("aria-hidden");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", item.math.trim());
    if (item.typesetRoot.querySelector("[data-mml-node=merror]")) wrong.push(`not to be read: ${item.math}`);
  }
  for (const each of document.querySelectorAll("main :is(p, pre, table, img, dt, dd, li, h1, h2, h3, h4, svg)")) {
    const tooWide = each.getBoundingClientRect().right > innerWidth + 1 || each.scrollWidth > each.clientWidth + 1;
    if (tooWide && !each.parentElement.closest("svg") && each.clientWidth)
      wrong.push(`too wide: ${each.textContent.trim().slice(0, 60)} in ${each.closest("[id]")?.id}`);
  }
  return wrong;
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
                found.append(Entry(start if item["href"] == "#" else beside(str(item["href"]), start), part))
                part = ""
        else:
            part = item.get_text(strip=True)
    return found


def anchor(page: str, place: str = "") -> str:
    """Return the name of a place of a page in the document, where no two pages may have one name for two places."""
    return re.sub(r"\W", "-", page.removesuffix(".html")) + (f"--{place}" if place else "")


def beside(address: str, page: str) -> str:
    """Return where a relative address in a page leads, from the root of the site."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), address.partition("?")[0]))


def link(address: str, page: str, pages: Container[str], site: str) -> str:
    """Return what a link of a page is in the document; "" if it leads to what the document has not."""
    if OUTSIDE.match(address):
        return address
    path, _, place = address.partition("#")
    target = beside(path, page) if path else page
    if target in pages:
        return "#" + anchor(target, place)
    return urljoin(site, target) if site else ""


def lay_open(chapter: Tag) -> None:
    """Leave out what only a screen can use, and show all that is folded; equations become what MathJax reads."""
    for tag in chapter.select(LEFT_OUT):
        tag.decompose()
    for tag in chapter.select("math[data-tex]"):
        tag.replace_with(str(tag["data-tex"]))
    for tag in chapter.select(".ep-first"):
        tag.insert_before(BeautifulSoup(ON_PAPER, "html.parser"))
    for tag in chapter.select("details"):
        tag["open"] = ""
    for tag in chapter.select("details.hide"):  # code
        tag.unwrap()
    for tag in chapter.select("pre"):
        if tag.get_text().count("\n") > TOGETHER:
            tag["class"] = "long"
    for tag in chapter.select(PLAIN):
        tag.unwrap()
    for level in range(5, 0, -1):  # a part stands above its chapters
        for tag in chapter.find_all(f"h{level}"):
            tag.name = f"h{level + 1}"


def move(chapter: Tag, page: str, pages: Container[str], site: str) -> None:
    """Let the names and addresses in a chapter hold in the document: those of one page are not those of another."""
    for tag in chapter.select("[id]"):
        tag["id"] = anchor(page, str(tag["id"]))
    for name in REFERRING:
        for tag in chapter.select(f"[{name}]"):
            tag[name] = " ".join(anchor(page, each) for each in str(tag[name]).split())
    for tag in chapter.select("svg *"):
        for name, value in tag.attrs.items():
            if "url(#" in str(value):
                tag[name] = str(value).replace("url(#", f"url(#{anchor(page)}--")
    for tag in chapter.select("[src]"):
        if not OUTSIDE.match(str(tag["src"])):
            tag["src"] = beside(str(tag["src"]), page)
    for tag in chapter.select("[href]"):
        tag["href"] = link(str(tag["href"]), page, pages, site)
        if not tag["href"]:
            del tag["href"]


def article(html: BeautifulSoup, page: str, pages: Container[str], site: str = "") -> Tag:
    """Take the article out of a page, and return it as it stands in the document.

    Raises
    ------
    BookError
        If the page has none.
    """
    found = html.find("article")
    if not isinstance(found, Tag):
        raise BookError(f"{page} must have an article, and has none")
    lay_open(found)
    move(found, page, pages, site)
    found.name = "section"
    found["class"] = "chapter bd-article"
    found["id"] = anchor(page)
    return found


def text_of(tag: Tag) -> str:
    """Return the words of a heading, with simple spaces."""
    return " ".join(tag.get_text().split())


def headings(chapter: Tag) -> list[tuple[str, str]]:
    """Return where a chapter and its sections begin, and their titles."""
    titles = [(each["id"], each.find(TITLE, recursive=False)) for each in chapter.find_all("section")]
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
    return f'<nav class="book-contents" aria-label="{CONTENTS}"><h1>{CONTENTS}</h1><ol>{"".join(lines)}</ol></nav>'


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


class Book(NamedTuple):
    """What the document is made of."""

    head: str
    """Its style sheets, fonts and the script that sets equations."""
    front: str
    """The title page."""
    chapters: list[tuple[str, Tag]]
    """The articles, each with the name of the part that it begins, if it begins one."""

    def document(self, numbers: Mapping[str, int]) -> str:
        """Return the whole book as one page, its table of contents with the numbers that are known."""
        body = [str(chapter) for _, chapter in self.chapters]
        return "\n".join(
            [
                f'<!DOCTYPE html><html lang="en" data-theme="light"><head>{self.head}</head>',
                f'<body class="book"><main class="bd-content bd-main">{self.front}',
                table_of_contents(self.chapters, numbers),
                *body,
                "</main></body></html>",
            ]
        )


def compose(html: Path, site: str = "") -> Book:
    """Return the book of the pages that are built in this folder.

    The document works from there. `site` is the address of the pages on the web, if it is known.
    """
    entries = contents(html)
    pages = [entry.page for entry in entries]
    texts = {page: BeautifulSoup((html / page).read_text(encoding="utf-8"), "html.parser") for page in pages}
    sheets: list[str] = []
    frames: dict[str, None] = {}  # the rules for the frames of sliders, each once
    for page, text in texts.items():
        frames |= {str(tag): None for tag in text.select("head > style")}
        if page == pages[0]:
            sheets = [beside(str(tag["href"]), page) for tag in text.select("head > link[rel=stylesheet]")]
    chapters = [(entry.part, article(texts[entry.page], entry.page, pages, site)) for entry in entries]
    for part, chapter in chapters:
        if part:
            chapter.insert(0, BeautifulSoup(f'<h1 class="part">{escape(part)}</h1>', "html.parser"))
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    title, author = escape(settings["title"]), escape(settings["author"])
    lines = [*filter(None, edition()), *([f'<a href="{escape(site)}">{escape(site)}</a>'] if site else [])]
    head = [
        f'<meta charset="utf-8"><title>{title}</title><meta name="author" content="{author}">',
        *(f'<link rel="stylesheet" href="{escape(sheet)}">' for sheet in sheets),
        *frames,
        f"<style>{faces()}{SHEET.read_text(encoding='utf-8')}{running_heads(chapters)}</style>",
        f'<script>{MATHJAX}</script><script defer src="mathjax/tex-svg.js"></script>',
    ]
    front = (
        f'<header class="front"><p class="book-title">{title}</p>'
        '<p class="book-subtitle">An executable book on eligibility propagation</p>'
        f'<p class="book-author">{author}</p><p class="book-edition">{"<br>".join(lines)}</p></header>'
    )
    return Book("\n".join(head), front, chapters)


def printed(page: Page, document: str, html: Path) -> bytes:
    """Return a document, which stands among the built pages, as a PDF."""
    path = html / ".print.html"
    try:
        path.write_text(document, encoding="utf-8")
        page.goto(path.resolve().as_uri())
        wrong = page.evaluate(TYPESET)
        if wrong:
            raise BookError("this cannot be printed:\n" + "\n".join(wrong))
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


def said_twice(chapters: Iterable[Tag]) -> dict[str, str]:
    """Return the titles of chapters by what Chromium makes of one that stands at the top of a page: it is doubled."""
    found = {2 * CONTENTS: CONTENTS}
    for tag in (title for chapter in chapters for title in chapter.find_all(re.compile("^h[1-6]$"))):
        title, number = text_of(tag), tag.select_one(".section-number")
        first = f"{text_of(number)} " if number else ""
        rest = title.removeprefix(first)
        found |= {2 * title: title, 2 * first + 2 * rest: title}
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


def offer(page: str, size: str) -> str:
    """Return a page with a link to the PDF, in the place that is there for it."""

    def place(found: re.Match[str]) -> str:
        written = f'<nav class="ep-pdf" aria-label="PDF"><a href="{found[2]}">The book as a PDF</a> ({size})</nav>'
        return f"{found[1]}{written}{found[3]}"

    return PLACE.sub(place, page)


def main(html: Path) -> None:
    """Print the book, and offer it in the pages; without a browser, say that there is none."""
    path = browser.executable()
    if path is None:
        print(f"no PDF: none of {', '.join(browser.NAMES)} is installed")
        return
    site = os.environ.get("BOOK_URL", "").strip()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser.FLAGS, timeout=browser.PATIENCE)
        page = chromium.new_page(viewport={"width": COLUMN, "height": 900}, color_scheme="light")
        page.emulate_media(media="print")
        page.set_default_timeout(browser.PATIENCE)
        book = compose(html, site)
        numbers = page_numbers(printed(page, book.document({}), html))
        pdf = printed(page, book.document(numbers), html)
        chromium.close()
    if page_numbers(pdf) != numbers:
        raise BookError("the numbers in the table of contents have moved the pages")
    pdf = with_titles_once(pdf, said_twice(chapter for _, chapter in book.chapters))
    (html / NAME).write_bytes(dated(pdf, edition()[1]))
    size = f"{len(PdfReader(html / NAME).pages)} pages, {len(pdf) / 1e6:.0f} MB"
    for each in html.rglob("*.html"):
        before = each.read_text(encoding="utf-8")
        after = offer(before, size)
        if after != before:
            each.write_text(after, encoding="utf-8")
    print(f"{html / NAME}: {size}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
