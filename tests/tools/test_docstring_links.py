"""Names in docstrings become links where they are public, and code where they are not."""

from __future__ import annotations

import docstring_links as links
import pytest

import eprop_nb as ep
from eprop_nb import fast

GROUND = ("eprop_nb.eprop_gradients", "eprop_nb", "eprop_nb.gradients", "eprop_nb")
FAST = ("eprop_nb.fast.simulate", "eprop_nb.fast", "eprop_nb.fast.interface", "eprop_nb")


def test_what_is_public_is_what_the_package_lists_and_what_its_rooms_define() -> None:
    names = set(links.public())
    assert {f"eprop_nb.{name}" for name in ep.__all__} < names
    assert {f"eprop_nb.fast.{name}" for name in fast.__all__} < names
    assert {"eprop_nb.evidence.oracles.bptt", "eprop_nb.display.svg.Panel"} < names
    assert not [name for name in names if "._" in name]
    assert "eprop_nb.evidence.controls.Gradients" not in names  # it comes from elsewhere


@pytest.mark.parametrize(
    ("line", "places", "shown"),
    [
        ("As of `compare`.", GROUND, "As of :py:obj:`compare <eprop_nb.compare>`."),
        ("As of `eprop_nb.simulate`.", FAST, "As of :py:obj:`eprop_nb.simulate <eprop_nb.simulate>`."),
        ("What `simulate` returned.", FAST, "What :py:obj:`simulate <eprop_nb.fast.simulate>` returned."),
        ("The `signal` of it.", GROUND, "The ``signal`` of it."),
        ("``run.z`` and max(0, 1 − |u|)", GROUND, r"``run.z`` and max(0, 1 − \|u\|)"),
        (">>> ep.compare(mine | `x`)", GROUND, ">>> ep.compare(mine | `x`)"),
    ],
)
def test_a_line_of_a_docstring(line: str, places: tuple[str, ...], shown: str) -> None:
    assert links.linked([line], places) == [shown]


def test_a_type_is_a_link_in_the_line_of_its_parameter_and_nowhere_else() -> None:
    lines = ["run : Simulation or Tensor", "    A Simulation."]
    assert links.linked(lines, GROUND) == [
        "run : :py:obj:`Simulation <eprop_nb.Simulation>` or Tensor",
        "    A Simulation.",
    ]
    assert links.linked(["Simulation", "    A run."], FAST)[0] == ":py:obj:`Simulation <eprop_nb.fast.Simulation>`"


def test_a_field_of_a_dataclass_has_no_entry_of_its_own_and_that_of_a_tuple_has() -> None:
    assert links.resolved("beta", ("eprop_nb.Parameters",)) is None
    assert links.resolved("beta_per_neuron", ("eprop_nb.Parameters",)) == "eprop_nb.Parameters.beta_per_neuron"
    assert links.resolved("w_in", ("eprop_nb.Weights",)) == "eprop_nb.Weights.w_in"


def test_a_signature_has_no_list_and_the_rest_of_a_page_keeps_its_own() -> None:
    rest = "<dd><dl><dt>it</dt><dd>is</dd></dl></dd></dl>"
    page = f'<dl><dt class="sig sig-object py" id="it">it(<dl><dd>a,</dd><dd>b,</dd></dl>)</dt>{rest}'
    lines = 'it(<span class="ep-arguments"><span>a,</span><span>b,</span></span>)'
    assert links.without_lists(page) == f'<dl><dt class="sig sig-object py" id="it">{lines}</dt>{rest}'


def test_a_signature_says_where_its_types_are_from() -> None:
    given = "(parameters: Parameters, inputs: Tensor, run: eprop_nb.Simulation)"
    shown = "(parameters: eprop_nb.Parameters, inputs: Tensor, run: eprop_nb.Simulation)"
    assert links.spell_out(None, "", "", ep.Gradients, None, given, None) == (shown, None)  # type: ignore[arg-type]  # the application is not asked
