"""What is taken from torch, and histograms of its tensors. Needs torch."""

import sys

import numpy as np
import pytest
import torch

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError
from eventwriter.records.buckets import NumpyValues, bucket
from eventwriter.records.histogram import histogram_value
from eventwriter.records.torch_values import TorchValues

SHARED = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.float32, torch.float64,
]  # fmt: skip
REDUCED = [
    dtype for dtype in SHARED if not str(dtype).startswith("torch.uint") or dtype.itemsize < 2
]


@pytest.mark.parametrize("dtype", SHARED)
def test_tensor_is_not_copied(dtype):
    """A tensor on the CPU comes back in its own memory."""
    tensor = torch.tensor([[0, 1], [1, 0]]).to(dtype)

    array = as_numpy(tensor, "call: x")

    assert tensor.tolist() == array.tolist()
    assert str(dtype) == f"torch.{array.dtype}"
    assert tensor.data_ptr() == array.ctypes.data


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_types_without_numpy(dtype):
    """Floats that NumPy lacks become float32, exactly."""
    array = as_numpy(torch.tensor([-1.5, 0, 448]).to(dtype), "call: x")

    assert np.float32 == array.dtype
    assert [-1.5, 0, 448] == array.tolist()


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.ones(2, requires_grad=True) * 2, [2, 2]),
        (torch.nn.Parameter(torch.ones(2)), [1, 1]),
        (torch.tensor([1 + 2j]).conj().imag, [-2]),
        (torch.arange(6).reshape(2, 3).T[1:], [[1, 4], [2, 5]]),
        ([torch.ones(1, requires_grad=True), torch.zeros(1)], [[1], [0]]),
        ([[torch.tensor(1.0)], (torch.tensor(2.0, dtype=torch.bfloat16),)], [[1], [2]]),
    ],
)
def test_tensors_that_numpy_cannot_read(tensor, expected):
    """Gradients, lazy negation, strides and lists of tensors are no hindrance."""
    assert expected == as_numpy(tensor, "call: x").tolist()


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.ones(2, dtype=torch.complex64), "dtype torch.complex64"),
        (torch.ones(2, 2).to_sparse(), "Sparse"),
        (torch.ones(2, device="meta"), "no data"),
        ([torch.ones(2), torch.ones(3)], "same shape"),
    ],
)
def test_refuses(tensor, reason):
    """Complex, sparse, data-less and ragged tensors are refused, each with the reason."""
    with pytest.raises(ArgumentTypeError, match=rf"^call: x: expected .*{reason}"):
        as_numpy(tensor, "call: x")
    with pytest.raises(ArgumentTypeError, match=rf"values: expected .*{reason}"):
        histogram_value("t", tensor)


@pytest.mark.parametrize("dtype", [*REDUCED, torch.bfloat16])
@pytest.mark.parametrize("bins", [1, 7, 30, np.array([-3.0, -1, 0, 0.5, 2, 20])])
@pytest.mark.parametrize("size", [0, 1, 50, 140_000])
def test_torch_counts_as_numpy(dtype, bins, size):
    """Torch's own operations give np.histogram's counts for the same edges, and the same edges."""
    generator = torch.Generator().manual_seed(size)
    tensor = (torch.randn(size, generator=generator) * 9).abs().to(dtype)
    array = as_numpy(tensor.to(torch.uint8) if dtype == torch.bool else tensor, "call: x")

    found = bucket(TorchValues(tensor), bins)

    assert bucket(NumpyValues(array), bins).edges.tolist() == found.edges.tolist()
    if found.edges[0] < found.edges[-1]:
        expected = np.histogram(array.astype(np.float64), found.edges)[0]
        assert expected.tolist() == found.counts.tolist()
    else:
        assert bucket(NumpyValues(array), bins).counts.tolist() == found.counts.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [float("nan"), 1.0, float("inf"), -float("inf"), 2.0, 1.0],
        [float("nan")] * 3,
        [-1.7e308, 0.0, 1.7e308],
        [0.0, 1e-323],
        [3.0, 3.0],
    ],
)
@pytest.mark.parametrize("bins", [5, np.array([0.0, 1, 2])])
def test_torch_has_the_same_outcomes(values, bins):
    """Non-finite values, constants and extreme ranges end as they do in NumPy."""
    expected = bucket(NumpyValues(np.array(values)), bins)
    found = bucket(TorchValues(torch.tensor(values, dtype=torch.float64)), bins)

    assert expected.edges.tolist() == found.edges.tolist()
    assert expected.counts.tolist() == found.counts.tolist()
    assert expected.nonfinite == found.nonfinite


def test_wide_integers():
    """int64 keeps its extent exactly on the device."""
    tensor = torch.tensor([2**53 + 1, -(2**63), 2**63 - 1])

    assert (-(2**63), 2**63 - 1) == (TorchValues(tensor).lo, TorchValues(tensor).hi)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64])
def test_tensor_and_autograd_stay_untouched(dtype):
    """A histogram of a strided tensor in a graph changes neither its values nor its gradient."""
    leaf = torch.linspace(-1, 1, 24).reshape(4, 6).to(dtype)
    if dtype.is_floating_point:
        leaf.requires_grad_()
    tensor = (leaf * 2).T[::2]
    before = tensor.detach().clone()

    result = histogram_value("t", tensor, bins=2)
    TorchValues(tensor).count_all(np.array([-2.0, 0, 2]))

    assert tensor.numel() == np.frombuffer(result.value.tensor.tensor_content)[2::3].sum()
    assert torch.equal(before, tensor)
    if dtype.is_floating_point:
        assert tensor.requires_grad
        tensor.sum().backward()
        assert 24.0 == leaf.grad.sum()


def test_who_reduces():
    """NumPy reads the CPU's memory; what has no values is never torch's to count."""
    assert not TorchValues.accepts(torch.ones(2))
    assert not TorchValues.accepts(torch.ones(2, device="meta"))
    assert not TorchValues.accepts(np.ones(2))


@pytest.mark.parametrize("bins", ["tensorflow", 3, [0.0, 2, 3], torch.tensor([0.0, 2, 3]), "sqrt"])
def test_histogram_reduced_by_torch(monkeypatch, bins):
    """A histogram counted by torch, as on an accelerator, is the one that NumPy counts."""
    tensor = torch.tensor([0.0, 1, 2, 3, float("nan")], dtype=torch.bfloat16)
    expected = histogram_value("t", tensor, bins)
    monkeypatch.setattr(TorchValues, "accepts", staticmethod(torch.is_tensor))
    calls = []
    count = TorchValues._count
    monkeypatch.setattr(
        TorchValues, "_count", lambda self, *edges: calls.append(1) or count(self, *edges)
    )

    found = histogram_value("t", tensor, bins)

    assert expected == found
    # NumPy's words need the values themselves.
    fetched = isinstance(bins, str) and bins == "sqrt"
    assert [1] * (not fetched) == calls


def test_users_modes_do_not_matter():
    """Inference mode, deterministic algorithms and a default dtype of the user's change nothing."""
    tensor = torch.arange(9).bfloat16()
    expected = TorchValues(tensor).count(np.array([0.0, 1, 2, 8])).tolist()
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float16)
    try:
        with torch.inference_mode():
            found = TorchValues(tensor).count(np.array([0.0, 1, 2, 8])).tolist()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)

    assert expected == found


def test_torch_is_not_imported_by_us(monkeypatch):
    """Without torch in `sys.modules` nothing is a tensor and nothing imports it."""
    monkeypatch.delitem(sys.modules, "torch")

    assert [1, 2] == as_numpy([1, 2], "call: x").tolist()
    assert "torch" not in sys.modules
