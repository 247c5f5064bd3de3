"""The examples in the docstrings of the package do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import eprop_nb

MODULES = ["eprop_nb", *(found.name for found in pkgutil.walk_packages(eprop_nb.__path__, "eprop_nb."))]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("eprop_nb.data")])
def test_the_examples_of_a_module_are_right(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = {test.name for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples}
    assert {"eprop_nb.parameters.Parameters", "eprop_nb.gradients.eprop_gradients", "eprop_nb.simulation.spike"} < found
    assert len(found) >= 14
