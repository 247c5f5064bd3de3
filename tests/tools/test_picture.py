"""The README's picture: that it shows the present book, and when it is written."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import picture
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURES = [ROOT / "assets" / f"page-{scheme}.png" for scheme in ("light", "dark")]


def title(page: Path) -> str:
    """Return the title of a page: its first heading."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = nbformat.reads(text, as_version=4).cells[0].source
    found = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    assert found is not None, page
    return found[1]


def present() -> dict[str, Any]:
    """Return what a picture of the book as it is now shows."""
    contents, chapters = [], 0
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]:
        contents.append(part["caption"])
        for chapter in part["chapters"]:
            (page,) = [path for path in map((ROOT / chapter["file"]).with_suffix, (".ipynb", ".md")) if path.exists()]
            contents.append(title(page))
            chapters = len(contents) if part.get("numbered") else chapters
    cells = nbformat.read(ROOT / "book" / "index.ipynb", as_version=4).cells
    alternatives = [cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") for cell in cells]
    (number,) = [k for k, words in enumerate(alternatives) if "the gradient by BPTT" in words]
    printed = [output.text for output in cells[number].outputs if output.output_type == "stream"]
    return {
        "title": yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"],
        "contents": contents,
        "chapters": chapters,
        "figure": alternatives[number],
        "printed": "".join(printed).strip().split("\n"),
    }


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_the_picture_shows_the_present_book(path: Path) -> None:
    with Image.open(path) as image:
        assert image.width == picture.WIDTH * picture.SHARPNESS
        shown = json.loads(image.info[picture.KEY])
    now = present()
    least = now.pop("chapters")  # entries up to the last numbered chapter; of what comes below them, as many as fit
    assert len(shown["contents"]) >= least, "the picture shows fewer chapters than there are: make picture"
    now["contents"] = now["contents"][: len(shown["contents"])]
    assert shown == now, "the picture shows another book: make picture"
    assert path.stat().st_size < 150_000


def test_a_picture_is_written_where_it_shows_something_else_and_only_there(tmp_path: Path) -> None:
    target = tmp_path / "page.png"
    white, grey = (io.BytesIO() for _ in range(2))
    Image.new("RGB", (20, 10), "white").save(white, "PNG")
    Image.new("RGB", (20, 10), "#eeeeee").save(grey, "PNG")
    assert picture.write(white.getvalue(), "a book", target)
    with Image.open(target) as image:
        assert image.info[picture.KEY] == "a book"
    os.utime(target, (0, 0))
    assert not picture.write(white.getvalue(), "a book", target)
    assert target.stat().st_mtime == 0
    assert picture.write(white.getvalue(), "another book", target)
    assert picture.write(grey.getvalue(), "another book", target)


def test_without_a_book_the_picture_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make book"):
        picture.main(tmp_path, tmp_path)
