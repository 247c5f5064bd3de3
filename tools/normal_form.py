"""Bring notebooks into the normal form in which they are committed, without executing them; exit with 1 if one was not.

python tools/normal_form.py NOTEBOOK ...
"""

import sys
from pathlib import Path

import nbformat
from notebooks import normal_form


def main(names: list[str]) -> int:
    """Write those that differ; return 1 if there are any."""
    differ = False
    for path in map(Path, names):
        before = path.read_text(encoding="utf-8")
        after = nbformat.writes(normal_form(nbformat.reads(before, as_version=4))) + "\n"
        if after != before:
            path.write_text(after, encoding="utf-8", newline="\n")
            print(f"{path}: brought into its normal form")
            differ = True
    return int(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
