"""Make the table of the claims ledger: run the tests of all claims, and list those that have passed.

python tools/ledger.py _build/ledger.md

A claim is a test with the mark `claim`, in tests/test_claims.py, and a cell of a chapter that carries its name as a
tag, `claim-NAME`, and asserts it. One failure, or one claim without its cell, and no table is written.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests" / "test_claims.py"
HEAD = "| Claim | Paper | Chapter | Measured | Tolerance | Test |\n|---|---|---|--:|--:|---|\n"


def passed_claims() -> dict[str, dict[str, Any]]:
    """Run the tests of the claims; return each claim with what its test measured, or raise if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "claims.json"
        command = [sys.executable, "-m", "pytest", "-q", str(TESTS), "--claims", str(found)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"a claim has failed its test:\n{result.stdout}{result.stderr}")
        claims: dict[str, dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))
    if not claims:
        raise RuntimeError(f"{TESTS.name} must hold at least one claim, got none")
    return claims


def check_chapter(name: str, chapter: str, book: Path = ROOT / "book") -> None:
    """Raise if the chapter has no cell with the tag of the claim that asserts something and ran without an error."""
    for cell in nbformat.read(book / f"{chapter}.ipynb", as_version=4).cells:
        if f"claim-{name}" in cell.metadata.get("tags", []):
            failed = any(output.output_type == "error" for output in cell.outputs)
            if "assert " in cell.source and cell.execution_count and not failed:
                return
    raise RuntimeError(f"chapter {chapter} must have a cell with the tag claim-{name} that asserts the claim, got none")


def row(claim: dict[str, Any]) -> str:
    """Return the claim as a row of the table."""
    at_most = "at_most" in claim
    tolerance = f"≤ {claim['at_most']:.0e}" if at_most else f"≥ {claim['at_least']:.0e}"
    tolerance = tolerance.replace("0e+00", "0")
    measured = "0" if claim["measured"] == 0 else f"{claim['measured']:.1e}"
    test = claim["test"].partition("::")[2]
    cells = (
        claim["statement"],
        claim["equation"],
        f"{{doc}}`{claim['chapter']}`",
        measured,
        tolerance,
        f"`{test}`",
    )
    return "| " + " | ".join(cells) + " |\n"


def main(target: Path) -> None:
    """Write the table to `target`."""
    claims = passed_claims()
    for name, claim in claims.items():
        check_chapter(name, claim["chapter"])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(HEAD + "".join(row(claim) for claim in claims.values()), encoding="utf-8")
    print(f"{len(claims)} claims, all shown by a test and by a chapter")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
