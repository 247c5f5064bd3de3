"""Why to believe it: other ways to the gradient, wrong rules that a check must notice, networks drawn at random."""

from eprop_nb.evidence import controls, oracles, random_networks

__all__ = ["controls", "oracles", "random_networks"]
