"""Look through the built pages for what a build lets pass: tracebacks, and math or directives left as source.

python tools/check_pages.py _build/html
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

TRACES = {
    "a traceback": re.compile(r"Traceback \(most recent call last\)|\bcell_output docutils[^>]*traceback"),
    "output on stderr": re.compile(r'class="[^"]*\bstderr\b'),
    "a broken reference": re.compile(r'class="[^"]*\bproblematic\b'),
}


class _Images(HTMLParser):
    """Collects the images of a page that have no text alternative."""

    def __init__(self) -> None:
        super().__init__()
        self.bare: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an image without `alt`, or with the file's own name in its place, as Sphinx puts it; an `<svg>` too."""
        values = dict(attrs)
        source = values.get("src") or ""
        alt = values.get("alt")
        if tag == "img" and (not alt or alt == source or alt.endswith((".png", ".svg"))):
            self.bare.append(source)
        if tag == "svg" and values.get("role") == "img" and not (values.get("aria-label") or "").strip():
            self.bare.append(f"an <svg> at line {self.getpos()[0]}")


def faults(page: str) -> list[str]:
    """Return what is wrong with a page's HTML, in words."""
    found = [name for name, pattern in TRACES.items() if pattern.search(page)]
    images = _Images()
    images.feed(page)
    return found + [f"an image without a text alternative: {source}" for source in images.bare]


def main(root: Path) -> int:
    """Print the faults of every page under `root`; return how many there are, or 1 if there is no page."""
    pages = [p for p in sorted(root.rglob("*.html")) if not {"_static", "_sources"} & set(p.relative_to(root).parts)]
    if not pages:
        print(f"no pages under {root}")
        return 1
    count = 0
    for path in pages:
        for fault in faults(path.read_text(encoding="utf-8")):
            print(f"{path.relative_to(root)}: {fault}")
            count += 1
    print(f"{len(pages)} pages looked through, {count} faults")
    return count


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
