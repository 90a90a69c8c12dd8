"""Keras 3: callbacks in `fit`, views and graphs of models."""

from eventwriter.integrations.keras._backend import backend_needed as _backend_needed

with _backend_needed():
    from eventwriter.integrations.keras.callbacks import Callbacks, TensorBoard
    from eventwriter.integrations.keras.view import KerasView

__all__ = ["Callbacks", "KerasView", "TensorBoard"]
