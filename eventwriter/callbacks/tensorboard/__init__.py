"""Training in TensorBoard: the callback, and what it is made of."""

from eventwriter.callbacks.tensorboard.callback import TensorBoard

__all__ = ["TensorBoard"]
