"""PyTorch: views and graphs of torch modules."""

from eventwriter.integrations.torch.view import TorchView

__all__ = ["TorchView"]
