"""A Sphinx extension that makes links of the names in docstrings and in signatures, and mends the latter.

In the docstrings a name stands in single backticks, as numpydoc has it. Here it becomes a link to its entry where it is
public, as seen from the module of the docstring, and code where it is not. A type becomes a link in the same way.

Sphinx writes the arguments of a long signature, one a line, as a list of definitions with nothing that they define;
no list may be so, and whoever has the page read to them would be told of one. Here they become plain lines.
"""

from __future__ import annotations

import importlib
import inspect
import re
from itertools import pairwise
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

PACKAGE = "eprop_nb"
LISTED = (PACKAGE, f"{PACKAGE}.fast", f"{PACKAGE}.learning")  # what `__all__` names there is public
# so is what the modules that are named in these rooms' `__all__` define, if it has no underscore
ROOMS = (f"{PACKAGE}.evidence", f"{PACKAGE}.display", f"{PACKAGE}.learning")
FOREIGN = (  # types of others: a link to their pages would ask the network, so these stay words
    *("Tensor", "torch.Tensor", "torch.dtype", "torch.device", "torch.optim.optimizer.Optimizer"),
    *("Array", "ArrayLike", "FloatArray", "NDArray", "np.int64", "np.int_", "np.uint8"),
    *("numpy.dtype", "numpy.int64", "numpy.ndarray", "numpy.random._generator.Generator", "numpy.typing.ArrayLike"),
    *("Axes", "AxesImage", "matplotlib.axes._axes.Axes", "matplotlib.colorbar.Colorbar", "matplotlib.image.AxesImage"),
    *(f"collections.abc.{name}" for name in ("Callable", "Collection", "Iterable", "Sequence")),
    *("Loss", "t.Any"),
)
NAME = re.compile(r"(?<![`:])`([^`<>]+)`(?!`)")
TYPE = re.compile(r"(?<![\w.`~])([A-Z]\w+)\b(?!`)")
HEADER = re.compile(r"^(?:[\w, *]+ : \S.*|[A-Z][\w, ]+)$")  # of a parameter, or of what is returned or raised
SIGNATURE = re.compile(r'<dt class="sig sig-object py".*?</dt>', re.DOTALL)
PLAIN = {"<dl>": '<span class="ep-arguments">', "<dd>": "<span>", "</dl>": "</span>", "</dd>": "</span>"}
EXAMPLE = (">>>", "...")


def public() -> dict[str, Any]:
    """Return what the package offers, by the name that one writes to use it."""
    found: dict[str, Any] = {}
    for module in map(importlib.import_module, LISTED):
        offered = {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
        found |= {name: value for name, value in offered.items() if not inspect.ismodule(value)}
    for room in map(importlib.import_module, ROOMS):
        for module in filter(inspect.ismodule, (getattr(room, name) for name in room.__all__)):
            for name, value in vars(module).items():
                own = getattr(value, "__module__", None) == module.__name__
                if own and not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)):
                    found[f"{module.__name__}.{name}"] = value
    return found


PUBLIC = public()


def members(value: Any) -> set[str]:
    """Return what has an entry of its own under that of a class: methods, properties and the fields of a tuple."""
    if not inspect.isclass(value):
        return set()
    own = {name for name, each in vars(value).items() if inspect.isfunction(each) or isinstance(each, property)}
    return own | set(getattr(value, "_fields", ()))


def resolved(name: str, places: tuple[str, ...]) -> str | None:
    """Return the full name of what `name` means when it is seen from `places`, the nearest of them first."""
    for place in ("", *places):
        full = f"{place}.{name}".lstrip(".")
        owner, _, member = full.rpartition(".")
        if full in PUBLIC or member in members(PUBLIC.get(owner)):
            return full
    return None


def linked(lines: list[str], places: tuple[str, ...]) -> list[str]:
    """Return the lines of a docstring with links in place of the names and of the types that are public.

    `places` are the names of the class and of the modules from which a name is seen.
    """

    def link(name: str, otherwise: str) -> str:
        full = resolved(name, places)
        return f":py:obj:`{name} <{full}>`" if full else otherwise

    found = []
    for line, below in pairwise([*lines, ""]):
        text = line
        if HEADER.match(text) and below.startswith("    "):
            before, colon, type_ = text.rpartition(" : ")
            text = before + colon + TYPE.sub(lambda match: link(match[1], match[1]), type_)
        if not text.startswith(EXAMPLE):
            text = text.replace("|", r"\|")  # two bars would be a substitution of reST
            text = NAME.sub(lambda match: link(match[1], f"``{match[1]}``"), text)
        found.append(text)
    return found


def process(_app: Sphinx, what: str, name: str, value: object, _options: object, lines: list[str]) -> None:
    """Make the links of a docstring before numpydoc reads it."""
    if lines and lines[0].startswith("Alias for field number"):  # of a named tuple: name and type say more
        lines.clear()
    module = inspect.getmodule(value)
    owner = name.rpartition(".")[0] if what in ("attribute", "method", "property") else name
    around = owner.rpartition(".")[0]
    lines[:] = linked(lines, (owner, around, module.__name__ if module else around, PACKAGE))


def spell_out(
    _app: Sphinx, _what: str, _name: str, value: object, _options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Say where the types of a signature are from, as the annotations of a named tuple do not."""
    module = inspect.getmodule(value)
    places = (module.__name__ if module else "", PACKAGE)

    def full(text: str | None) -> str | None:
        return text and TYPE.sub(lambda match: resolved(match[1], places) or match[1], text)

    return full(signature), full(returns)


def without_lists(body: str) -> str:
    """Return a page with lines in the place of lists in its signatures."""
    return SIGNATURE.sub(lambda found: re.sub("</?d[ld]>", lambda tag: PLAIN[tag[0]], found[0]), body)


def mend(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Mend the signatures of a page."""
    if "body" in context:
        context["body"] = without_lists(context["body"])


def allow_foreign(_app: Sphinx, config: Config) -> None:
    """Let the types of others lead nowhere."""
    config.nitpick_ignore = [*config.nitpick_ignore, *(("py:class", name) for name in FOREIGN)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("config-inited", allow_foreign)
    app.connect("autodoc-process-signature", spell_out)
    app.connect("html-page-context", mend)
    app.connect("autodoc-process-docstring", process, priority=400)  # numpydoc has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
