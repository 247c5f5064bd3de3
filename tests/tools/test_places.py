"""Places to link to: exercises and headings."""

import importlib.util
from pathlib import Path
from types import ModuleType

from docutils.core import publish_doctree

SOURCE = Path(__file__).parent.parent.parent / "tools" / "places.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("places", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHAPTER = """
Chapter
=======

**1. Not an exercise.** It stands above them.

Exercises
---------

**1. Choose a time step.** For which?

This one has a **2. number** inside.

**2. How long?** Answer first.

References
----------

**3. Not one either.** It stands below.
"""


def test_exercises_are_the_paragraphs_of_their_section_that_begin_with_number_and_title() -> None:
    found = load().exercises(publish_doctree(CHAPTER, settings_overrides={"doctitle_xform": False}))
    assert [(number, title) for number, title, _ in found] == [("1", "1. Choose a time step"), ("2", "2. How long?")]


def test_a_heading_is_called_as_in_jupyterlab() -> None:
    assert load().as_jupyterlab_has_it("By hand: two neurons, five steps") == "By-hand:-two-neurons,-five-steps"
