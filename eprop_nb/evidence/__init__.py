"""Why to believe it: other ways to the gradient, any neuron, wrong rules and their names, networks drawn at random.

What is named without an underscore is public: it checks what it is given, and its errors name the argument, what it got
and what is allowed. The rest takes for granted that this has been done.

For a neuron of one's own: `Unit`, `simulate`, `eprop_gradients`, `verify`; for a gradient of one's own: `diagnose`.
"""

from eprop_nb.evidence import any_neuron, controls, diagnosis, extended, mistakes, neurons, oracles, random_networks
from eprop_nb.evidence.any_neuron import Unit, eprop_gradients, simulate, true_learning_signal, verify
from eprop_nb.evidence.diagnosis import Experiment, Verdict, diagnose, experiment
from eprop_nb.evidence.neurons import alif, lif

__all__ = [
    "Experiment",
    "Unit",
    "Verdict",
    "alif",
    "any_neuron",
    "controls",
    "diagnose",
    "diagnosis",
    "eprop_gradients",
    "experiment",
    "extended",
    "lif",
    "mistakes",
    "neurons",
    "oracles",
    "random_networks",
    "simulate",
    "true_learning_signal",
    "verify",
]
