"""Learning with e-prop: a network for any training loop of PyTorch, and the tasks of the paper.

Public is what `__all__` lists.
"""

from eprop_nb.learning import tasks, training
from eprop_nb.learning.network import EpropNetwork

__all__ = ["EpropNetwork", "tasks", "training"]
