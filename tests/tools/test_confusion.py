"""What is stored of the diagnosis is whole, fits the present list of mistakes, and comes out of the present code."""

from __future__ import annotations

from pathlib import Path

import confusion
import numpy as np

DATA = Path(confusion.__file__).parent.parent / "eprop_nb" / "data" / "confusion.npz"


def test_what_is_stored_fits_the_present_mistakes() -> None:
    stored = np.load(DATA)
    made, called = stored["made"].tolist(), stored["called"].tolist()
    assert made == [*confusion.MADE, *confusion.UNKNOWN]
    assert tuple(called) == confusion.CALLED
    assert stored["seen"][0] == confusion.COUNT
    assert (stored["seen"] > 5).all()  # each of them was there to be recognised
    assert (stored["counts"] <= stored["seen"][:, None]).all()


def test_a_network_comes_out_as_it_is_stored() -> None:
    found = next(each for index in range(9) if (each := confusion.check((index, confusion.SEED))) is not None)
    stored = np.load(DATA)
    made, called = stored["made"].tolist(), stored["called"].tolist()
    assert len(found.called) > 20
    for name, names in found.called:
        for other in names:
            assert stored["counts"][made.index(name), called.index(other)] >= 1
