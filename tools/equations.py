"""A Sphinx extension that makes the index of equations: number in the paper, place in the book, function, claim.

All of it is found when the pages are built. The place is the very equation with that number as its tag, which gets an
anchor here; where none has it, the section that mentions the number. The functions are those whose docstring names
the paper and the number after the word "equation", the claims those whose test does. The only list kept by hand is
that of the paper's equations, `PAPER`, with which the index is whole: what is in none of the three is said to be not in
this book, and a number that is not listed is an error.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from docstring_links import PUBLIC
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

CLAIMS = Path(__file__).parent.parent / "tests" / "test_claims.py"
PAGE = "book/equations"
HERE = "<!-- the index -->\n"  # where the page has its tables
PAPER = {  # numbers that belong together, and what they are about; P is the paper, S its supplement
    "P1": "the gradient, a sum of total derivatives × local ones",
    "P2": "the eligibility trace, defined",
    "P3": "the gradient, a sum of learning signals × traces",
    "P4": "learning signals that are known in time",
    "P5": "reward-based e-prop",
    "P6": "the voltage",
    "P7": "the spike of a LIF neuron",
    "P8": "the moving threshold",
    "P9": "the spike of an ALIF neuron",
    "P10": "the adaptation",
    "P11": "the readout",
    "P12": "the low-pass filter",
    "P13": "the trace of any neuron, from its eligibility vector",
    "P14": "the eligibility vector of any neuron",
    "P15 to P21": "the proof of (P1)",
    "P22": "the eligibility vector of a LIF neuron",
    "P23": "the trace of a LIF neuron",
    "P24": "the eligibility vector of an ALIF neuron",
    "P25": "the trace of an ALIF neuron",
    "P26": "the eligibility vector without −βψ",
    "P27": "the learning rule in general",
    "P28": "the learning rule for a regression",
    "P29": "the learning rule for a classification",
    "P30 to P37": "reward-based e-prop, derived",
    "Methods": "decay factors, pseudo-derivative and refractory period, which have no number",
    "S1": "the reset in the trace",
    "S5 to S7": "firing-rate regularization",
    "S13": "half the sum of the squared errors",
    "S14": "its derivative by a spike",
    "S17": "symmetric e-prop for a regression",
    "S18": "the gradient of the readout",
    "S19": "the cross-entropy",
    "S31": "the reward-based rule for one action at the end of a trial",
    "S Note 2": "adaptive e-prop, which has no number",
}
TAG = re.compile(r"\\tag\{([^}]+)\}")
NUMBER = re.compile(r"[PS]\d+")
LIST = r"\([PS]?\d+\)(?:(?:,| to|,? and) \([PS]?\d+\))*"
SAID = re.compile(rf"(supplement(?:'s|,) )?\bequations? ({LIST})")
PART = re.compile(r"\(([PS]?)(\d+)\)(?: to \([PS]?(\d+)\))?")


class Place(NamedTuple):
    """Where a page has an equation, or mentions its number."""

    page: str
    anchor: str


class Claim(NamedTuple):
    """A claim of the book: its name, and the equations that it is about."""

    name: str
    equation: str


def numbers(text: str, paper: str = "P") -> list[str]:
    """Return the numbers in a list such as "(P13), (P22) to (P25)"; those without a letter are of `paper`."""
    found = []
    for letter, first, last in PART.findall(text):
        found += [f"{letter or paper}{n}" for n in range(int(first), int(last or first) + 1)]
    return found


def of_docstring(text: str) -> list[str]:
    """Return the equations of the paper that a docstring says its function is about.

    They stand after the word "equation" or "equations", in a paragraph that names the paper. What has no number is
    known by where it stands: the pseudo-derivative by its section of Methods, adaptive e-prop by its note.
    """
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        if "Bellec et al." in line:
            for supplement, listed in SAID.findall(line):
                found += numbers(listed, "S" if supplement else "P")
            found += [key for key, sign in (("Methods", '"Gradient descent'), ("S Note 2", "Note 2")) if sign in line]
    return list(dict.fromkeys(found))


def of_claim(text: str) -> list[str]:
    """Return the equations that a claim is about."""
    return [text] if text in PAPER else numbers(text)


def claims(source: str) -> Iterator[Claim]:
    """Yield the claims in the source of their tests, in their order."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.claim":
            given = {word.arg: word.value for word in node.keywords}
            yield Claim(ast.literal_eval(node.args[0]), ast.literal_eval(given["equation"]))


def functions(public: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of an equation and a function that is about it."""
    for name, value in public.items():
        if not name.startswith("eprop_nb.display"):  # a drawing of an equation does not compute it
            yield from ((number, name) for number in of_docstring(inspect.getdoc(value) or ""))


def key_of(number: str) -> str:
    """Return under which key of `PAPER` an equation stands, or raise if it is not listed."""
    for key in PAPER:
        if number == key or number in numbers(" to ".join(f"({part})" for part in key.split(" to "))):
            return key
    raise ExtensionError(f"{number} must be listed in PAPER of tools/equations.py to be in the index, and is not")


def collect(_app: Sphinx, doctree: nodes.document) -> None:
    """Give each numbered equation of a page an anchor, and keep it, and where a chapter mentions a number."""
    env, page = doctree.settings.env, doctree.settings.env.docname
    tagged: dict[str, Place] = {}
    mentioned: dict[str, Place] = {}
    for block in doctree.findall(nodes.math_block):
        for tag in TAG.findall(block.astext()):
            anchor = f"eq-{tag}"
            if tag not in tagged:
                block["ids"].append(anchor)
                tagged[tag] = Place(page, anchor)
    for section in doctree.findall(nodes.section) if env.doc2path(page).endswith(".ipynb") else ():
        for block in section.findall(nodes.paragraph):
            for number in numbers(" ".join(re.findall(LIST, block.astext())), ""):
                if NUMBER.fullmatch(number):
                    mentioned[number] = Place(page, section["ids"][0])  # of the innermost section, which comes last
    kept(env)[page] = (tagged, mentioned)


def kept(env: BuildEnvironment) -> dict[str, tuple[dict[str, Place], dict[str, Place]]]:
    """Return what is known of each page: its equations, and the numbers that it mentions."""
    if not hasattr(env, "ep_equations"):
        env.ep_equations = {}  # type: ignore[attr-defined]  # where extensions keep things, as Sphinx says
    # this extension has set it
    found: dict[str, tuple[dict[str, Place], dict[str, Place]]] = env.ep_equations  # type: ignore[attr-defined]
    return found


def index(env: BuildEnvironment, order: list[str], public: Mapping[str, Any], source: str) -> str:
    """Return the index in Markdown."""
    known = {page: kept(env)[page] for page in order if page in kept(env)}

    def link(place: Place, text: str) -> str:
        return f'<a href="{place.page.rpartition("/")[2]}.html#{place.anchor}">{text}</a>'

    rows: dict[str, dict[str, list[str]]] = {key: {} for key in PAPER}

    def add(number: str, what: str, entry: str) -> None:
        entries = rows[key_of(number)].setdefault(what, [])
        if entry not in entries:
            entries.append(entry)

    for page, (tagged, _) in known.items():
        for number, place in tagged.items():
            if NUMBER.fullmatch(number):
                add(number, "Equation", link(place, env.titles[page].astext()))
    for page, (_, mentioned) in known.items():
        for number, place in mentioned.items():
            if "Equation" not in rows[key_of(number)]:
                add(number, "Mentioned", link(place, env.titles[page].astext()))
    for number, name in functions(public):
        add(number, "Function", f"{{py:obj}}`{name.removeprefix('eprop_nb.')} <{name}>`")
    for claim in claims(source):
        for number in of_claim(claim.equation):
            add(number, "Claim", link(Place("ledger", f"test-{claim.name}"), claim.name.replace("-", " ")))

    def line(what: str, entries: list[str]) -> str:
        several = len(entries) > 1 and what in ("Function", "Claim")
        return f"{what}{'s' if several else ''}: {' · '.join(entries)}"

    text = "| In the paper | In this book |\n|---|---|\n"
    for key, parts in rows.items():
        found = "<br>".join(line(what, entries) for what, entries in parts.items())
        name = f"({key.replace(' to ', ') to (')})" if NUMBER.match(key) else key
        text += f"| {name} <br><small>{PAPER[key]}</small> | {found or 'not in this book'} |\n"
    text += "\n## The book's own equations\n\n"
    for page, (tagged, _) in known.items():
        own = [link(place, f"({number})") for number, place in tagged.items() if not NUMBER.fullmatch(number)]
        if own:
            text += f"- {{doc}}`/{page}`: {', '.join(own)}\n"
    return text


def setup(app: Sphinx) -> dict[str, bool]:
    """Read the page of the index last, and put the index into it."""

    def outdated(*_: object) -> list[str]:
        return [PAGE] if PAGE in app.env.found_docs else []

    def last(_app: Sphinx, _env: BuildEnvironment, pages: list[str]) -> None:
        pages.sort(key=PAGE.__eq__)

    def finish(_app: Sphinx, page: str, content: list[str]) -> None:
        if page == PAGE:
            if HERE not in content[0]:
                raise ExtensionError(f"{PAGE} must say where the index stands, by {HERE!r}, and does not")
            order = [name.partition(".")[0] for name in app.config.external_site_map]
            content[0] = content[0].replace(HERE, index(app.env, order, PUBLIC, CLAIMS.read_text(encoding="utf-8")))

    app.connect("doctree-read", collect)
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", last, priority=600)  # after the ledger has sorted them
    app.connect("source-read", finish)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
