"""Why to believe it: other ways to the gradient, wrong rules that a check must notice, networks drawn at random.

What is named without an underscore is public: it checks what it is given, and its errors name the argument, what it got
and what is allowed. The rest takes for granted that this has been done.
"""

from eprop_nb.evidence import controls, extended, oracles, random_networks

__all__ = ["controls", "extended", "oracles", "random_networks"]
