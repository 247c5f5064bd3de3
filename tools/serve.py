"""Serve the built pages on this machine, until it is interrupted.

python tools/serve.py _build/html 8000
"""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def server(pages: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the pages on the loopback address; exit with what to do if there are none, or no such port."""
    if not (pages / "index.html").exists():
        sys.exit(f"there are no pages in {pages}: `make book` builds them")
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(SimpleHTTPRequestHandler, directory=pages))
    except (OSError, OverflowError) as error:  # taken, or forbidden, or no port at all
        sys.exit(f"port {port} cannot be had ({error}): name another one, as in `make serve PORT=8080`")


def main(pages: Path, port: int) -> None:
    """Serve the pages and say where."""
    with server(pages, port) as serving:
        print(f"The book: http://127.0.0.1:{serving.server_port}/  (Ctrl+C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
