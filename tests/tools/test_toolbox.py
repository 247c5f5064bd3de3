"""The list of the tools on the page about how the book is built."""

from pathlib import Path

import toolbox


def test_each_tool_is_listed_with_its_first_sentence_extensions_first(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Do it,\nand well. Not more.\n\nUsage."""\n', encoding="utf-8")
    (tmp_path / "b.py").write_text('"""A Sphinx extension that mends.\n\nMore."""\n', encoding="utf-8")
    assert list(toolbox.purposes(tmp_path).items()) == [
        ("b", "A Sphinx extension that mends"),
        ("a", "Do it, and well"),
    ]


def test_every_tool_of_the_book_says_what_it_is_for() -> None:
    found = toolbox.purposes(toolbox.TOOLS)
    assert set(found) == {path.stem for path in toolbox.TOOLS.glob("*.py")}
    assert all(len(words.split()) >= 4 for words in found.values())
