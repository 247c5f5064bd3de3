"""The way out of jupyter-book: the configuration that is left, and what is installed for it."""

import re
import subprocess
from pathlib import Path

import pytest
import way_out

CONF = "author = 'x'\nextensions = ['myst_nb', 'jupyter_book', 'sphinxcontrib.bibtex', 'ledger']\nhtml_title = 'y'\n"


def test_the_configuration_goes_without_jupyter_book() -> None:
    conf = way_out.without_jupyter_book(CONF)
    assert "extensions = ['myst_nb', 'sphinxcontrib.bibtex', 'ledger']\n" in conf
    assert "author = 'x'\n" in conf
    with pytest.raises(ValueError, match="jupyter_book"):
        way_out.without_jupyter_book(conf)


def test_the_newest_of_everything_that_is_needed_is_asked_for() -> None:
    requirements = "# a comment\n--constraint constraints.txt\n--editable .\nnumpy==2.4.6\njupyter-book==1.0.4.post1\n"
    assert way_out.wanted(CONF, requirements) == ["myst-nb", "numpy", "sphinx", "sphinxcontrib-bibtex"]


def test_it_is_tried_on_the_configuration_that_jupyter_book_writes(tmp_path: Path) -> None:
    way_out.copied(tmp_path)
    command = [way_out.program("jupyter-book"), "config", "sphinx", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    written = (tmp_path / "conf.py").read_text(encoding="utf-8")
    conf = way_out.without_jupyter_book(written)
    assert re.search("^extensions", conf, flags=re.MULTILINE)
    assert "'jupyter_book'" in written
    assert "'jupyter_book'" not in conf
    wanted = way_out.wanted(conf, (tmp_path / "requirements.txt").read_text(encoding="utf-8"))
    assert {"torch", "myst-nb", "sphinx-book-theme", "sphinx-external-toc", "sphinx"} <= set(wanted)
    assert not any(re.search(r"jupyter.book$|[=<>]", name) for name in wanted)
