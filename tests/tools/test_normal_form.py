"""The normal form of notebooks, without executing them."""

from pathlib import Path

import nbformat
import normal_form


def test_a_notebook_is_brought_into_its_form_once(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    cell = nbformat.v4.new_code_cell("1 / 0", execution_count=3, metadata={"execution": {"time": "now"}})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"editor": "mine"}), path)
    assert normal_form.main([str(path)]) == 1
    text = path.read_text(encoding="utf-8")
    assert "editor" not in text
    assert '"execution_count": 3' in text
    assert normal_form.main([str(path)]) == 0
    assert path.read_text(encoding="utf-8") == text


def test_the_chapters_are_committed_in_their_normal_form(tmp_path: Path) -> None:
    copies = []
    for path in sorted((Path(__file__).parents[2] / "book").glob("*.ipynb")):
        copies.append(str(tmp_path / path.name))
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert len(copies) > 5
    assert normal_form.main(copies) == 0
