"""Which links the code of a chapter keeps, and under which names the reference has what it uses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import code_links
import pytest


@pytest.mark.parametrize(
    ("code", "target", "kept"),
    [
        ("ep.simulate", "eprop_nb.simulate", True),
        ("run.z", "eprop_nb.Simulation.z", True),
        ("plots", "eprop_nb.display.plots", True),
        ("run", "eprop_nb.Simulation", False),
        ("parameters", "eprop_nb.Parameters", False),
    ],
)
def test_a_variable_is_no_link_to_its_class(code: str, target: str, kept: bool) -> None:
    assert code_links.leads(code, target) is kept


def test_a_cell_links_a_name_once() -> None:
    names = [SimpleNamespace(code_str=code, resolved_location="eprop_nb." + code[3:], line=k)
             for k, code in enumerate(("ep.simulate", "ep.compare", "ep.simulate"))]  # fmt: skip
    cell: Any = SimpleNamespace(names=names)
    code_links.thin_out(None, SimpleNamespace(sphinx_codeautolink_transforms={"one": [cell]}))  # type: ignore[arg-type]  # a stand-in
    assert [(name.code_str, name.line) for name in cell.names] == [("ep.simulate", 0), ("ep.compare", 1)]


def test_the_reference_has_a_class_under_its_public_name() -> None:
    config: Any = SimpleNamespace(codeautolink_inventory_map={})
    code_links.say_names(None, config)  # type: ignore[arg-type]  # the application is not asked
    assert config.codeautolink_inventory_map["eprop_nb.parameters.Parameters"] == "eprop_nb.Parameters"
    assert config.codeautolink_inventory_map["eprop_nb.fast.interface.simulate"] == "eprop_nb.fast.simulate"
