"""Weigh the built pages, and time their sliders and their loading in a real browser.

python benchmarks/weigh.py [_build/html]

Prints for each page its weight in kB after gzip with its images and without the assets that all pages share, the number
of frames, the median time to switch a frame, and over a throttled connection (1.6 Mbit/s down, 0.75 up, 150 ms latency:
the profile that browsers call fast 3G) the times until there is something to read and until all scripts have come, on
a first visit with nothing kept, and until the latter on a second one. Files are sent as a host of static pages does.
"""

import functools
import gzip
import http.server
import re
import shutil
import statistics
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
FAST_3G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"
SWITCH = """async () => {
  const times = [];
  for (const handle of document.querySelectorAll('.ep-sliders .noUi-handle')) {
    for (let k = 0; k < 12; k++) {
      const key = k < 6 ? 'ArrowLeft' : 'ArrowRight';
      const start = performance.now();
      handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
      handle.getBoundingClientRect();  // lays the page out anew
      times.push(performance.now() - start);
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    }
  }
  return times;
}"""


def kilobytes(path: Path) -> float:
    """Return the weight of a file after gzip, in kB."""
    return len(gzip.compress(path.read_bytes(), 9, mtime=0)) / 1000


def frames(chapter: str) -> int:
    """Return the number of frames of a chapter's sliders."""
    path = ROOT / "book" / f"{chapter}.ipynb"
    if not path.exists():
        return 0
    cells = nbformat.read(path, as_version=4).cells
    texts = [o.get("data", {}).get("text/plain", "") for cell in cells for o in cell.get("outputs", [])]
    return sum(len(text.splitlines()) - 1 for text in texts if text.startswith("A figure with "))


def weight(html: Path, page: Path) -> float:
    """Return the weight of a page with its images, in kB after gzip, without what all pages share."""
    images = set(re.findall(r'src="\.\./(_images/[^"]+)"', page.read_text(encoding="utf-8")))
    return kilobytes(page) + sum(kilobytes(html / image) for image in images)


def throttled(page: Page) -> None:
    """Slow down the connection of a page."""
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.emulateNetworkConditions", FAST_3G)


def in_browser(browser: Browser, address: str) -> tuple[float, float, float, float]:
    """Return the time to switch a frame, to the first view and the end of a first visit, to that of a second, in ms."""
    context = browser.new_context()
    page = context.new_page()
    throttled(page)
    page.goto(address, wait_until="load")
    seen = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    first = page.evaluate(LOADED)
    page.goto(address, wait_until="load")
    second = page.evaluate(LOADED)
    context.close()

    context = browser.new_context()
    page = context.new_page()
    page.goto(address, wait_until="networkidle")
    times = page.evaluate(SWITCH)
    context.close()
    return statistics.median(times) if times else 0.0, seen, first, second


class Host(http.server.SimpleHTTPRequestHandler):
    """Sends text compressed, lets a browser keep it, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send a file."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        kind, body = self.guess_type(path), path.read_bytes()
        text = kind.startswith("text/") or kind.endswith(("javascript", "json", "svg+xml"))
        if text:
            body = gzip.compress(body, 6)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        if text:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main(html: Path) -> None:
    """Print the table."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Host, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{'':45} {'first visit':>18} {'second':>9}")
    print(f"{'page':20} {'kB gzip':>8} {'frames':>7} {'switch':>7} {'seen':>9} {'ready':>8} {'ready':>9}   times in ms")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for path in sorted((html / "book").glob("*.html")):
            address = f"http://127.0.0.1:{server.server_port}/book/{path.name}"
            switch, seen, first, second = in_browser(browser, address)
            count = frames(path.stem)
            shown = f"{switch:7.1f}" if count else f"{'':7}"
            numbers = f"{weight(html, path):8.0f} {count:7} {shown} {seen:9.0f} {first:8.0f} {second:9.0f}"
            print(f"{path.stem:20} {numbers}", flush=True)
        browser.close()
    for name in ("mathjax/tex-svg.js", "html-manager/embed.js", "_static/styles/pydata-sphinx-theme.css"):
        print(f"shared: {name:40} {kilobytes(html / name):8.0f} kB gzip")
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html")
