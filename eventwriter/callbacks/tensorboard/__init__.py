"""The callback `TensorBoard`, and its parts."""

from eventwriter.callbacks.tensorboard.callback import TensorBoard

__all__ = ["TensorBoard"]
