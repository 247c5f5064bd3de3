"""A Sphinx extension that makes the claims ledger: it runs the tests of all claims, and lists them with their tests.

A claim is a test with the mark `claim`, in tests/test_claims.py, and a cell of a chapter that carries its name as a
tag, `claim-NAME`, and asserts it. One failure, or one claim without its cell, and there is no book. The tests run
while the chapters are executed; the page that shows them, `PAGE`, is read last and waits for them.
"""

import ast
import json
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import yaml
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests" / "test_claims.py"
PAGE = "book/ledger"
HERE = "<!-- the ledger -->\n"  # where the page has its tables
HEAD = "\n| Claim | Measured | Must be |\n|---|--:|--:|\n"


def passed_claims() -> dict[str, dict[str, Any]]:
    """Run the tests of the claims; return each claim with what its test measured, or raise if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "claims.json"
        settings = ["-c", str(ROOT / "pyproject.toml"), "--claims", str(found)]
        command = [sys.executable, "-m", "pytest", "-q", str(TESTS), *settings]
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


def chapters() -> list[str]:
    """Return the chapters in the order of the book."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    return [Path(file).name for file in files if Path(file).parent.name == "book"]  # not the reference


def row(name: str, claim: dict[str, Any]) -> str:
    """Return the claim as a row of a table, with links to its cell and to its test."""
    at_most = "at_most" in claim
    tolerance = f"≤ {claim['at_most']:.0e}" if at_most else f"≥ {claim['at_least']:.2g}"
    tolerance = tolerance.replace("0e+00", "0")
    digits = ".1e" if at_most else ".2g"
    measured = "0" if claim["measured"] == 0 else f"{claim['measured']:{digits}}"
    links = [f'<a href="{claim["chapter"]}.html#claim-{name}">cell</a>', f'<a href="#test-{name}">test</a>']
    source = " · ".join([*([] if claim["equation"] == "—" else [claim["equation"]]), f"`{name}`", *links])
    statement = claim["statement"].replace("|", r"\|")  # of an absolute value, and not the end of a cell
    return f"| {statement} <br><small>{source}</small> | {measured} | {tolerance} |\n"


def folded(title: str, code: str, name: str) -> str:
    """Return some code under a title that unfolds it, as a place that one can link to."""
    return f'\n<a id="{name}"></a>\n\n::::{{dropdown}} {title}\n```python\n{code}\n```\n::::\n'


def tests_as_text(claims: dict[str, dict[str, Any]]) -> str:
    """Return the source of the tests, folded, and before them what they share."""
    source = TESTS.read_text(encoding="utf-8")
    shared, functions = [], {}
    for node in ast.parse(source).body:
        code = ast.get_source_segment(source, node) or ""
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            functions[node.name] = code
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            shared.append(code)
    text = folded("what the tests share", "\n".join(shared), "tests-share")
    for name, claim in claims.items():
        function = claim["test"].partition("::")[2].partition("[")[0]
        text += folded(claim["statement"], functions[function], f"test-{name}")
    return text


def conditions() -> str:
    """Return what the errors were measured with, as a sentence."""
    used = f"Python {platform.python_version()}, PyTorch {version('torch')} and NumPy {version('numpy')}"
    return f"Measured with {used}, on {platform.system()} ({platform.machine()})."


def ledger() -> str:
    """Return the ledger in Markdown: the claims of each chapter, and the tests of all."""
    claims = passed_claims()
    for name, claim in claims.items():
        check_chapter(name, claim["chapter"])
    order = chapters()
    claims = dict(sorted(claims.items(), key=lambda item: order.index(item[1]["chapter"])))
    text = f"\n{len(claims)} claims. {conditions()}\n"
    for chapter in order:
        of_chapter = [row(name, claim) for name, claim in claims.items() if claim["chapter"] == chapter]
        if of_chapter:
            text += f"\n**{{doc}}`{chapter}`**\n{HEAD}{''.join(of_chapter)}"
    return f"{text}\n## The tests\n{tests_as_text(claims)}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Begin with the tests when the pages are about to be read, and put the ledger into its page."""
    pending: list[Future[str]] = []

    def outdated(*_: object) -> list[str]:
        return [PAGE]  # whatever has changed, a claim may hang on it

    def begin(_app: Sphinx, _env: BuildEnvironment, pages: list[str]) -> None:
        if PAGE in pages:
            pages.sort(key=PAGE.__eq__)  # the page waits for the tests, and no other page for it
            executor = ThreadPoolExecutor(max_workers=1)
            pending.append(executor.submit(ledger))
            executor.shutdown(wait=False)

    def finish(_app: Sphinx, page: str, content: list[str]) -> None:
        if page == PAGE:
            if HERE not in content[0]:
                raise ExtensionError(f"{PAGE} must say where the ledger stands, by {HERE!r}, and does not")
            content[0] = content[0].replace(HERE, pending.pop().result())

    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", begin)
    app.connect("source-read", finish)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
