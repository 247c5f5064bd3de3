"""e-prop, proved numerically: the gradient of a spiking network as learning signal × eligibility trace.

What ``__all__`` names is public. Each of these functions checks its arguments before it does any work, and an error
says which argument it was, what was given and what is allowed; what they return is finite. The four that are called in
every time step (`step`, `trace_step`, `spike`, `pseudo_derivative`) look at types and shapes, and leave the entries to
those that call them. The named tuples and `Comparison` hold what they are given: the functions that take them look into
them.

Names that begin with an underscore are the package's own. The few others that the modules hold beside the public ones,
as the evaluators in `eprop_nb.gradients.METHODS`, are for the rooms and the chapters: they do their work, and trust
their arguments.
"""

from eprop_nb.eligibility import EligibilityTraces, eligibility_traces, trace_step
from eprop_nb.gradients import (
    Comparison,
    Gradients,
    VacuousComparisonError,
    bptt_gradients,
    compare,
    eprop_gradients,
    readout_gradient,
)
from eprop_nb.learning_signals import (
    adapt_feedback,
    broadcast_learning_signal,
    cross_entropy_loss,
    low_pass,
    output_error,
    random_feedback,
    rate_loss,
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
    SpikeFunction,
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
    "SpikeFunction",
    "State",
    "VacuousComparisonError",
    "Weights",
    "adapt_feedback",
    "bptt_gradients",
    "broadcast_learning_signal",
    "compare",
    "cross_entropy_loss",
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
    "rate_loss",
    "readout",
    "readout_gradient",
    "regression_loss",
    "simulate",
    "spike",
    "step",
    "trace_step",
    "true_learning_signal",
    "without_self_connections",
]
