"""Execute the chapters and write them back in a normal form, so that a second run changes nothing.

python tools/notebooks.py [CHAPTER ...]        all chapters under book/, unless some are named
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

BOOK = Path(__file__).parent.parent / "book"
LIVE = "live-times"  # the tag of a cell that draws how long something took: no two runs of it are equal
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


def normal_form(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs from machine to machine and run to run: time stamps, versions, the editor's settings."""
    notebook.metadata = NotebookNode(kernelspec=KERNELSPEC, language_info={"name": "python"})
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                output.get("metadata", {}).pop("needs_background", None)
                # the name of a widget is drawn anew in each run; its text, with all its frames in words, stays
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return notebook


def execute(path: Path) -> NotebookNode:
    """Run a chapter from top to bottom in a fresh kernel; raise at the first cell that fails.

    A cell that draws times keeps the figure that it has: a new one would say no more, and be a change in each run.
    """
    notebook = nbformat.read(path, as_version=4)
    kept = {k: cell.outputs for k, cell in enumerate(notebook.cells) if LIVE in cell.metadata.get("tags", [])}
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": BOOK}}
    )
    client.execute()
    for k, outputs in kept.items():
        notebook.cells[k].outputs = outputs or notebook.cells[k].outputs
    return normal_form(notebook)


def main(names: list[str]) -> None:
    """Execute the named chapters, or all of them; nothing is written for one that fails."""
    for path in [Path(name) for name in names] or sorted(BOOK.glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        after = nbformat.writes(execute(path)) + "\n"
        path.write_text(after, encoding="utf-8")
        print(f"{path.name}: {'unchanged' if after == before else 'written'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
