"""e-prop, proved numerically: the gradient of a spiking network as learning signal × eligibility trace."""

from eprop_nb.eligibility import EligibilityTraces, eligibility_traces
from eprop_nb.gradients import Comparison, Gradients, bptt_gradients, compare, eprop_gradients
from eprop_nb.learning_signals import (
    adapt_feedback,
    broadcast_learning_signal,
    low_pass,
    output_error,
    random_feedback,
    readout,
    regression_loss,
    true_learning_signal,
)
from eprop_nb.parameters import (
    NeuronConstants,
    Parameters,
    Weights,
    poisson_spikes,
    random_targets,
    random_weights,
)
from eprop_nb.simulation import (
    Simulation,
    State,
    initial_state,
    previous_spikes,
    pseudo_derivative,
    simulate,
    spike,
    step,
    without_self_connections,
)

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "EligibilityTraces",
    "Gradients",
    "NeuronConstants",
    "Parameters",
    "Simulation",
    "State",
    "Weights",
    "adapt_feedback",
    "bptt_gradients",
    "broadcast_learning_signal",
    "compare",
    "eligibility_traces",
    "eprop_gradients",
    "initial_state",
    "low_pass",
    "output_error",
    "poisson_spikes",
    "previous_spikes",
    "pseudo_derivative",
    "random_feedback",
    "random_targets",
    "random_weights",
    "readout",
    "regression_loss",
    "simulate",
    "spike",
    "step",
    "true_learning_signal",
    "without_self_connections",
]
