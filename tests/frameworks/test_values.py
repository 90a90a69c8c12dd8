"""Numbers of real frameworks: taken at once where they are here, fetched later where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from eventwriter import SummaryWriter
from eventwriter.errors import ArgumentTypeError, WriteError
from tests.helpers.runs import all_events, scalars

if TYPE_CHECKING:
    from pathlib import Path


class OnDevice(torch.Tensor):
    """A tensor that says it is on no CPU."""

    is_cpu = property(lambda self: False)


def on_device(value: float) -> torch.Tensor:
    return torch.tensor(value).as_subclass(OnDevice)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(2.5),
        torch.tensor([[2.5]]),
        torch.tensor(2.5, requires_grad=True),
        torch.tensor(2.5, dtype=torch.bfloat16),
        torch.tensor(2.5, dtype=torch.float64),
        on_device(2.5),
        jnp.float32(2.5),
        jnp.array([2.5]),
        jnp.bfloat16(2.5),
    ],
    ids=str,
)
def test_one_number_is_a_scalar(tmp_path: Path, value: object) -> None:
    """An array with one element, of any real dtype and shape, is its number; so in `log`."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", value, torch.tensor(3))
        writer.log({"a": value, "b": 1.0}, jnp.int32(4))

    assert [("a", 3, 2.5), ("a", 4, 2.5), ("b", 4, 1.0)] == scalars(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([1.0, 2.0]),
        torch.tensor(1j),
        torch.tensor(1.0, device="meta"),
        torch.tensor([1.0, 2.0]).as_subclass(OnDevice),
        torch.tensor(1j).as_subclass(OnDevice),
        jnp.array([1.0, 2.0]),
        jnp.array(1j),
    ],
    ids=str,
)
def test_what_is_not_one_real_number_is_refused(tmp_path: Path, value: object) -> None:
    """Shape and dtype are known without waiting for a device: the call itself refuses."""
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(ArgumentTypeError, match=r"'a'.*expected"):
            writer.add_scalar("a", value, 0)
        with pytest.raises(ArgumentTypeError, match=r"'a'.*expected"):
            writer.log({"a": value}, 0)

    assert [] == scalars(tmp_path)


def test_value_on_a_device_is_that_of_the_call(tmp_path: Path) -> None:
    """A tensor that changes after the call is logged as it was, in the order of the calls."""
    loss = on_device(1.0)
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("before", 0.0, 0)
        writer.add_scalar("loss", loss, 0)
        writer.log({"logged": loss}, 0)
        writer.add_scalar("after", 0.0, 0)
        loss.fill_(9.0)

    assert ["before", "loss", "logged", "after"] == [tag for tag, *_ in scalars(tmp_path)]
    assert [0.0, 1.0, 1.0, 0.0] == [value for *_, value in scalars(tmp_path)]


def test_value_that_jax_has_not_computed_is_not_waited_for(tmp_path: Path) -> None:
    """Logging returns while JAX is still computing; `flush` waits for the number."""
    # Seconds of work, against microseconds of logging.
    steps = jax.jit(lambda x: jax.lax.fori_loop(0, 15, lambda _, y: jnp.tanh(y @ y), x))
    # A busy machine may pause this thread for so long. It does not do so each time.
    for attempt in range(10):
        run = tmp_path / f"{attempt}"
        value = jnp.where(jnp.isnan(steps(jnp.eye(1500))[0, 0]), 0.0, 2.5)
        with SummaryWriter(run) as writer:
            writer.add_scalar("a", value, 0)
            writer.log({"b": value}, 0)
            ready_after_logging = value.is_ready()

        assert [("a", 0, 2.5), ("b", 0, 2.5)] == scalars(run)
        if not ready_after_logging:
            return
    pytest.fail("logging returns when the value is there")


LOG = {
    "add_scalar": lambda writer, value, step: writer.add_scalar("ema", value, step),
    "log": lambda writer, value, step: writer.log({"ema": value}, step),
    "add_scalar_series": lambda writer, value, step: writer.add_scalar_series(
        "ema", [value], [step]
    ),
    "add_histogram": lambda writer, value, step: writer.add_histogram("ema", value, step),
}


@pytest.mark.parametrize("method", LOG)
def test_donated_values_are_those_of_the_call(tmp_path: Path, method: str) -> None:
    """A value in a state that is donated to the next jitted step is logged as it was at the call.

    Catches: a value that is fetched only after its memory was given away.
    """
    work = jnp.eye(300)  # keeps the device busy, so that values are not computed at the call

    def step(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        busy = jax.lax.fori_loop(0, 3, lambda _, y: jnp.tanh(y @ work), state["work"])
        return {"ema": state["ema"] + 1 + 0 * busy[0, 0], "work": busy}

    train = jax.jit(step, donate_argnums=0)
    state = {"ema": jnp.float32(0), "work": jnp.eye(300)}
    with SummaryWriter(tmp_path) as writer:
        for number in range(20):
            state = train(state)
            LOG[method](writer, state["ema"], number)
    if method == "add_histogram":
        edges = [
            np.frombuffer(event.summary.value[0].tensor.tensor_content)[0]
            for event in all_events(tmp_path)
        ]

        assert [number + 1.0 for number in range(20)] == edges
    else:
        assert [("ema", number, number + 1.0) for number in range(20)] == scalars(tmp_path)


@pytest.mark.parametrize("method", LOG)
def test_deleted_arrays_are_refused(tmp_path: Path, method: str) -> None:
    """An array whose memory was donated already is our error, and not the end of the process."""
    value = jnp.ones(())
    jax.jit(lambda x: x + 1, donate_argnums=0)(value)
    assert value.is_deleted()
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(ArgumentTypeError, match=r"ema.*deleted"):
            LOG[method](writer, value, 0)
        writer.add_scalar("after", 1.0, 0)

    assert [("after", 0, 1.0)] == scalars(tmp_path)


def test_random_key_is_no_number(tmp_path: Path) -> None:
    """A random key of JAX, which is an array without a dtype of NumPy, is refused as no number."""
    key = jax.random.key(0)
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(ArgumentTypeError, match=r"'a'.*expected a real number.*key<"):
            writer.add_scalar("a", key, 0)
        with pytest.raises(ArgumentTypeError, match=r"'a'.*expected an array.*PRNGKey"):
            writer.add_histogram("a", key, 0)

    assert [] == scalars(tmp_path)


def test_value_that_cannot_be_fetched_is_a_counted_loss(tmp_path: Path) -> None:
    """A fetch that fails loses that value alone, and `flush` says so once."""

    class Gone(OnDevice):
        def detach(self) -> Gone:
            return self

        def clone(self) -> Gone:
            return self

        def item(self) -> float:
            raise RuntimeError("the device is gone")

    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 0)
        writer.add_scalar("a", torch.tensor(2.0).as_subclass(Gone), 1)
        writer.add_scalar("a", 3.0, 2)
        with pytest.raises(WriteError, match=r"Records lost: 1 .*the device is gone") as caught:
            writer.flush()

    assert 1 == caught.value.lost
    assert [("a", 0, 1.0), ("a", 2, 3.0)] == scalars(tmp_path)


def test_traced_value_is_refused(tmp_path: Path) -> None:
    """Inside `jit` there are no numbers yet: the error says what to do."""
    with (
        SummaryWriter(tmp_path) as writer,
        pytest.raises(ArgumentTypeError, match=r"tracing.*outside"),
    ):
        jax.jit(lambda x: writer.add_scalar("a", x, 0))(1.0)

    assert [] == scalars(tmp_path)


@pytest.mark.parametrize(
    "matrix", [torch.eye(3, requires_grad=True), jnp.eye(3)], ids=["torch", "jax"]
)
def test_arrays_of_any_framework(tmp_path: Path, matrix: object) -> None:
    """Series, histograms and embeddings take arrays of any framework."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar_series("s", matrix[0], torch.arange(3))
        writer.add_histogram("h", matrix, 0)
        writer.add_embedding(matrix, ["a", "b", "c"])

    assert [("s", 0, 1.0), ("s", 1, 0.0), ("s", 2, 0.0)] == scalars(tmp_path)[:3]
    (raw,) = (tmp_path / "projector").glob("default*")
    cells = np.loadtxt(raw) if raw.suffix == ".tsv" else np.fromfile(raw, "<f4").reshape(3, 3)
    assert np.eye(3).tolist() == cells.tolist()
