"""Why to believe it: other ways to the gradient, wrong rules that a check must notice, networks drawn at random."""

from eprop_nb.evidence import controls, extended, oracles, random_networks

__all__ = ["controls", "extended", "oracles", "random_networks"]
