"""The colours of `plots` on a light page and on a dark one: one source for figures, sliders and the pages' style."""

from __future__ import annotations

from eprop_nb.display import plots

# Each colour's name in a style sheet, and its brighter twin for dark pages.
COLORS = {
    plots.TEXT: ("text", "currentColor"),
    plots.INPUT: ("input", "#b0b0b0"),
    plots.LIF: ("lif", "#5bb8f0"),
    plots.ALIF: ("alif", "#ff9a4d"),
    plots.SIGNAL: ("signal", "#35cfa2"),
    plots.TRACE: ("trace", "#f0a5cd"),
    plots.PLUS: ("plus", "#f0c040"),
    plots.MINUS: ("minus", "#b19cff"),
}


def _declared(dark: bool) -> str:
    """Return the colours as variables; that of the text is whatever colour the text has."""
    values = {name: twin if dark or light == plots.TEXT else light for light, (name, twin) in COLORS.items()}
    return ";".join(f"--ep-{name}:{value}" for name, value in values.items())


# The themes say that they are dark in different ways: the book's pages, JupyterLab and Notebook, VS Code.
VARIABLES = f""":root{{{_declared(dark=False)}}}
[data-theme=dark],[data-jp-theme-light=false],.vscode-dark{{{_declared(dark=True)}}}"""
