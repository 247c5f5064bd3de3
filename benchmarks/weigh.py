"""Weigh the built pages, and time their sliders and their loading in a real browser.

python benchmarks/weigh.py [_build/html]

Prints for each page its weight in kB after gzip with its images and without the assets that all pages share, the number
of frames, the median time to switch a frame, and the time until it is ready on a second visit over a throttled
connection (1.6 Mbit/s down, 0.75 up, 150 ms latency: the profile that browsers call fast 3G).
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
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
FAST_3G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
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


def in_browser(browser: Browser, address: str) -> tuple[float, float]:
    """Return the median time to switch a frame and the time to load on a second visit, in ms."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address, wait_until="networkidle")
    times = page.evaluate(SWITCH)
    client = context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.emulateNetworkConditions", FAST_3G)
    page.goto(address, wait_until="load")
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    context.close()
    return statistics.median(times) if times else 0.0, loaded


class _Caching(http.server.SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        """Let the browser keep what it has, as a host of static pages does."""
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main(html: Path) -> None:
    """Print the table."""
    handler = functools.partial(_Caching, directory=str(html))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{'page':20} {'kB gzip':>8} {'frames':>7} {'switch ms':>10} {'second visit ms':>16}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for path in sorted((html / "book").glob("*.html")):
            images = re.findall(r'src="\.\./(_images/[^"]+)"', path.read_text(encoding="utf-8"))
            weight = kilobytes(path) + sum(kilobytes(html / image) for image in set(images))
            switch, loaded = in_browser(browser, f"http://127.0.0.1:{server.server_port}/book/{path.name}")
            count = frames(path.stem)
            shown = f"{switch:10.1f}" if count else f"{'':10}"
            print(f"{path.stem:20} {weight:8.0f} {count:7} {shown} {loaded:16.0f}", flush=True)
        browser.close()
    for name in ("mathjax/tex-svg.js", "html-manager/embed.js"):
        print(f"shared: {name:30} {kilobytes(html / name):8.0f} kB gzip")
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html")
