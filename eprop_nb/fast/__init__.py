"""The same model and the same gradients, compiled: for training, and for networks that are large or run long.

NumPy arrays or CPU tensors go in, of float32 or float64; NumPy arrays come out. What PyTorch computes with matrix
products in each step, these functions compute spike by spike, in machine code that Numba makes at the first call and
then keeps. Trials are computed side by side, in as many threads as PyTorch uses (`torch.set_num_threads`), and the
result is the same, to the last bit, with any number of them.

What it returns is finite: where a number overflows, it raises and names the argument that was too large. There is no
graph: the true learning signal still comes from `eprop_nb.simulate` and `eprop_nb.true_learning_signal`.

Public is what `__all__` lists. The modules behind it are private to this room: `interface` looks at arguments and
shares out the trials, `kernels` has the loops, `compiling` keeps their machine code.
"""

from eprop_nb.fast.interface import (
    METHODS,
    Gradients,
    Learning,
    Run,
    Simulation,
    backward,
    bptt_gradients,
    broadcast_gradients,
    eprop_gradients,
    forward,
    readout,
    readout_gradient,
    simulate,
)

__all__ = [
    "METHODS",
    "Gradients",
    "Learning",
    "Run",
    "Simulation",
    "backward",
    "bptt_gradients",
    "broadcast_gradients",
    "eprop_gradients",
    "forward",
    "readout",
    "readout_gradient",
    "simulate",
]
