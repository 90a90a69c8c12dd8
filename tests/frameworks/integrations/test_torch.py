"""Callbacks with torch modules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from eventwriter.callbacks import BackupAndRestore, Loop, ModelCheckpoint, TensorBoard
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.integrations.torch import TorchView
from tests.helpers.runs import steps, values

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Net(nn.Module):
    """Words `[n, 5]` -> `[n]`, with a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.body = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        self.head = nn.Linear(3, 3)

    def forward(self, words: Any) -> Any:
        x = self.body(self.embed(words).mean(1))
        return self.head(torch.relu(self.head(x))).sum(1)


WORDS = torch.arange(40).reshape(8, 5) % 7


def backward(net: Net) -> None:
    net(WORDS).sum().backward()


def test_activations() -> None:
    """Every layer's output, each call of a shared one; the module is as it was afterwards."""
    net = Net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    found = TorchView(net).activations(WORDS.numpy())

    assert {
        "embed": (8, 5, 3),
        "body/0": (8, 3),
        "body/1": (8, 3),
        "body/2": (8, 3),
        "head": (8, 3),
        "head_1": (8, 3),
    } == {name: tuple(value.shape) for name, value in found.items()}
    assert torch.equal(found["body/1"], found["body/2"])  # dropout is off
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_activations_of_a_module_that_fails() -> None:
    """The error passes through, and no hook stays."""
    net = Net()
    with pytest.raises(RuntimeError):
        TorchView(net).activations(np.zeros((2, 5), np.float32))

    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_activations_of_torchscript() -> None:
    """A TorchScript module gives one output, wherever it is; a model may be one as a whole.

    Catches: a model with such a part, which had no activations at all.
    """
    net = Net().eval()
    net.body = torch.jit.script(net.body)
    before = TorchView(net).activations(WORDS)
    whole = torch.jit.trace(net, WORDS)
    (found,) = TorchView(whole).activations(WORDS).values()

    assert {"embed", "body", "head", "head_1"} == before.keys()
    assert torch.equal(net(WORDS), found)
    assert not net.body._forward_hooks
    assert not whole._forward_hooks


@pytest.mark.parametrize("inputs", [[WORDS], (WORDS,), {"words": WORDS}])
def test_forms_of_inputs(inputs: Any) -> None:
    """Sequences are several arguments, and dicts keyword arguments."""
    assert "embed" in TorchView(Net()).activations(inputs)


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("zero_first", [True, False])
def test_gradients(set_to_none: bool, zero_first: bool) -> None:
    """They are those of the latest step, wherever the loop drops them."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    view = TorchView(net, optimizer)
    expected: dict[str, Any] = {}
    for _ in range(3):
        if zero_first:
            optimizer.zero_grad(set_to_none)
        backward(net)
        expected = {
            name.replace(".", "/"): parameter.grad.clone()  # type: ignore[union-attr]
            for name, parameter in net.named_parameters()
        }
        optimizer.step()
        if not zero_first:
            optimizer.zero_grad(set_to_none)
            view.gradients(None)

    found = view.gradients(None)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    view.close()
    assert not optimizer._optimizer_step_pre_hooks


def part_compiled(net: Net) -> Net:
    net.body = torch.compile(net.body, backend="eager")  # type: ignore[assignment]
    return net


def compiled_in_place(net: Net) -> Net:
    net.compile(backend="eager")
    return net


def part_compiled_in_place(net: Net) -> Net:
    net.body.compile(backend="eager")
    return net


WRAPPED: dict[str, Callable[[Net], Any]] = {
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "DataParallel": nn.DataParallel,
    "compiled DataParallel": lambda net: torch.compile(nn.DataParallel(net), backend="eager"),
    "DataParallel, compiled": lambda net: nn.DataParallel(torch.compile(net, backend="eager")),
    "a part compiled": part_compiled,
    "compiled in place": compiled_in_place,
    "a part compiled in place": part_compiled_in_place,
}


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_modules(wrap: Callable[[Net], Any]) -> None:
    """All names are those of the plain module, and it stays wrapped.

    Catches: tags with `_orig_mod` and `module`, and activations that were missing, because a
    compiled module passes over new hooks.
    """
    plain, net = TorchView(Net()), wrap(Net())
    modules = list(net.modules())
    net(WORDS).sum().backward()
    with torch.no_grad():
        net.eval()(WORDS)  # as for activations
    net.train()
    view = TorchView(net)

    assert plain.weights().keys() == view.weights().keys() == view.gradients(None).keys()
    assert plain.get_state().keys() == view.get_state().keys()
    assert plain.embeddings().keys() == view.embeddings().keys()
    assert plain.activations(WORDS).keys() == view.activations(WORDS).keys()
    assert plain.graph(WORDS).to_graph_def() == view.graph(WORDS).to_graph_def()
    assert modules == list(net.modules())
    assert net is view.model


def test_distributed_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of DistributedDataParallel has the names of the plain module too."""
    # init_process_group sets this hook, and destroy_process_group leaves it.
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    store = f"file://{tmp_path}/store"
    torch.distributed.init_process_group("gloo", store, rank=0, world_size=1)
    try:
        view = TorchView(nn.parallel.DistributedDataParallel(Net()))
        assert Net().state_dict().keys() == view.get_state().keys()
        assert "embed" in view.activations(WORDS)
    finally:
        torch.distributed.destroy_process_group()


def test_a_view_compiles_nothing_again() -> None:
    """What torch.compile made of a module stays good when a view has looked into the module."""
    compiled: list[str] = []

    def backend(graph: Any, _: Any) -> Any:
        compiled.append(str(graph))
        return graph.forward

    net = Net()
    net.body = torch.compile(net.body, backend=backend)  # type: ignore[assignment]
    outer = torch.compile(net, backend=backend)
    view = TorchView(outer)
    outer(WORDS)
    before = len(compiled)
    view.activations(WORDS)
    view.set_state(view.get_state())
    outer(WORDS)

    assert 0 < before == len(compiled)


def test_gradients_without_an_optimizer() -> None:
    """They are what the parameters hold."""
    net = Net()
    backward(net)

    assert torch.equal(net.embed.weight.grad, TorchView(net).gradients(None)["embed/weight"])  # type: ignore[arg-type]


def test_sparse_gradients() -> None:
    """Of a sparse gradient its values are taken."""
    net = nn.Embedding(7, 3, sparse=True)
    net(torch.tensor([1, 1, 2])).sum().backward()

    assert (2, 3) == tuple(TorchView(net).gradients(None)["weight"].shape)


def test_learning_rates() -> None:
    """The first group's is told; the others keep their ratio to it; tensors stay tensors."""
    net = Net()
    groups: list[dict[str, Any]] = [
        {"params": net.embed.parameters(), "lr": 0.1},
        {"params": net.head.parameters(), "lr": torch.tensor(0.2)},
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    view = TorchView(net, optimizer)
    view.set_learning_rate(0.01)

    assert 0.01 == pytest.approx(view.get_learning_rate())
    assert 0.02 == pytest.approx(float(optimizer.param_groups[1]["lr"]))
    assert isinstance(optimizer.param_groups[1]["lr"], torch.Tensor)


def test_learning_rates_of_groups(tmp_path: Path) -> None:
    """Each group has its own curve, by its name or number; a batch has its own loss and rates."""
    net = nn.Linear(1, 1)
    groups: list[dict[str, Any]] = [
        {"params": [net.weight], "lr": 0.5, "name": "kernels"},
        {"params": [net.bias], "lr": torch.tensor(0.25)},
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    log = TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    with Loop(net, [log], optimizer=optimizer) as loop:
        for _ in loop:
            for loss in loop.batches([1.0, 0.0, 0.0]):
                optimizer.step()
                loop.log(loss=torch.tensor(loss))
                if loss:
                    schedule.step()

    assert [1, 0, 0] == values(tmp_path / "train", "batch/loss")
    assert [1 / 3] == pytest.approx(values(tmp_path / "train", "epoch/loss"))
    for name, rate in (("kernels", 0.25), ("1", 0.125)):
        assert [rate] * 3 == values(tmp_path / "train", f"batch/learning_rate_{name}")
        assert [rate] == values(tmp_path / "train", f"epoch/learning_rate_{name}")
    assert TorchView(net, torch.optim.SGD(net.parameters())).get_learning_rates() is None


class TakesAll(nn.Module):
    """Takes any names."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 1)

    def forward(self, **batch: Any) -> Any:
        return self.head(batch["x"])


class TakesDict(TakesAll):
    """Takes a batch as one dict."""

    def forward(self, batch: dict[str, Any]) -> Any:
        return self.head(batch["x"])


class TakesNames(TakesAll):
    """Takes one of the names of a batch."""

    def forward(self, x: Any, mask: Any = None) -> Any:
        return self.head(x)


@pytest.mark.parametrize("make", [TakesAll, TakesDict, TakesNames])
def test_batches_of_dicts(tmp_path: Path, make: type[TakesAll]) -> None:
    """A DataLoader of dicts is validation data, with targets and names that `forward` lacks."""
    examples = [{"x": torch.ones(3), "label": number, "name": str(number)} for number in range(4)]
    data = torch.utils.data.DataLoader(examples, batch_size=2)
    log = TensorBoard(tmp_path, histogram_freq=1, write_gradients=False, write_graph=False)
    with Loop(make(), [log], validation_data=data) as loop:
        for _ in loop:
            pass

    assert [0] == steps(tmp_path)["train:outputs/head"]


def test_accumulated_gradients(tmp_path: Path) -> None:
    """Steps are those of the optimizer; its gradients are the sums; a batch is the mean of all."""
    net = nn.Linear(1, 1, bias=False).bfloat16()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    options: dict[str, Any] = {"write_activations": False, "write_graph": False}
    log = TensorBoard(tmp_path, histogram_freq=1, update_freq="batch", **options)
    view = TorchView(net, optimizer)
    with Loop(None, [log], view=view) as loop:
        for _ in loop:
            for x in loop.batches([1.0, 3.0, 5.0], accumulate=2):
                net(torch.full((1, 1), x, dtype=torch.bfloat16)).sum().backward()
                if loop.should_step:
                    optimizer.step()
                    seen = view.gradients(None)["weight"].item()
                    optimizer.zero_grad()
                loop.log(loss=torch.tensor(x, dtype=torch.bfloat16))
            assert 5 == seen

    assert [2, 5] == values(tmp_path / "train", "batch/loss")
    assert [1, 2] == steps(tmp_path)["train:batch/loss"]
    assert [3] == values(tmp_path / "train", "epoch/loss")


def test_training_without_epochs(tmp_path: Path) -> None:
    """Reinforcement learning: rounds until a goal is reached, at the steps of the environment."""
    torch.manual_seed(0)
    policy = nn.Linear(1, 2)
    optimizer = torch.optim.Adam(policy.parameters(), 0.1)
    options: dict[str, Any] = {"write_activations": False, "write_graph": False}
    log = TensorBoard(tmp_path, histogram_freq=10, **options)
    with Loop(policy, [log], None, optimizer=optimizer) as loop:
        for number in loop:
            chances = torch.distributions.Categorical(logits=policy(torch.ones(20, 1)))
            arms = chances.sample()
            rewards = (arms == 1).float()
            loss = -(chances.log_prob(arms) * (rewards - rewards.mean())).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loop.step += len(arms)
            loop.log(loss=loss, reward=rewards.mean())
            if rewards.mean() == 1 or number == 999:
                loop.stop_training = True

    found = steps(tmp_path)
    rewards = values(tmp_path / "train", "epoch/reward")
    expected = [20 * (number + 1) for number in range(len(rewards))]
    assert expected == found["train:epoch/reward"] == found["train:epoch/loss"]
    assert expected[::10] == found["train:weights/weight"] == found["train:gradients/weight"]
    assert 1 == rewards[-1]


def test_state() -> None:
    """A state is a copy."""
    net = Net()
    view = TorchView(net)
    state = view.get_state()
    with torch.no_grad():
        net.head.weight.zero_()
    view.set_state(state)

    assert net.head.weight.abs().sum() > 0


def test_checkpoints(tmp_path: Path) -> None:
    """They are torch's own files, read with `weights_only`, and bring the optimizer back."""
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    with Loop(net, [ModelCheckpoint(tmp_path / "{epoch}")], optimizer=optimizer) as loop:
        for _ in loop:
            backward(net)
            optimizer.step()

    content = torch.load(tmp_path / "1.pt", weights_only=True)
    assert {"model", "optimizer"} == content.keys()
    other = Net()
    other_optimizer = torch.optim.Adam(other.parameters(), lr=0.5)
    TorchView(other, other_optimizer).load(str(tmp_path / "1.pt"))
    assert torch.equal(net.head.weight, other.head.weight)
    assert 0.1 == other_optimizer.param_groups[0]["lr"]
    assert 1 == other_optimizer.state[other.head.weight]["step"]


def test_weights_only(tmp_path: Path) -> None:
    """`weights_only` leaves out the optimizer's state."""
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    callback = ModelCheckpoint(tmp_path / "a", save_weights_only=True)
    for _ in Loop(net, [callback], optimizer=optimizer):
        pass

    assert {"model"} == torch.load(tmp_path / "a.pt", weights_only=True).keys()


def test_checkpoint_of_epochs_with_validation(tmp_path: Path) -> None:
    """README's path holds "val_loss": an epoch without validation is told, and is not saved."""
    net = Net()
    callback = ModelCheckpoint(tmp_path / "{epoch:02d}-{val/loss:.3f}", "val/loss")
    loop = Loop(net, [callback], 3)
    with pytest.warns(EventWriterWarning, match="'val/loss' is not available, so nothing"):  # noqa: PT031
        for epoch in loop:
            if epoch % 2 == 0:
                loop.log({"val/loss": torch.tensor(0.5)})

    assert ["01-0.500.pt", "03-0.500.pt"] == sorted(path.name for path in tmp_path.iterdir())


def test_backup(tmp_path: Path) -> None:
    """A backup is read back where an error ended training."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loop = Loop(net, [BackupAndRestore(tmp_path)], 3, optimizer=optimizer)
    with pytest.raises(OSError, match="own"), loop:  # noqa: PT012
        for epoch in loop:
            if epoch == 1:
                raise OSError("own")
    other = Net()
    with Loop(other, [BackupAndRestore(tmp_path)], 3) as loop:
        assert [1, 2] == list(loop)

    assert torch.equal(net.embed.weight, other.embed.weight)


def test_all_of_it(tmp_path: Path) -> None:
    """Weights, gradients, activations, embeddings and the graph are in the log; no hook stays."""
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    log = TensorBoard(tmp_path, histogram_freq=1, embeddings_freq=1)
    data = (WORDS, torch.zeros(8))
    with Loop(net, [log], 2, optimizer=optimizer, validation_data=data) as loop:
        for _ in loop:
            for _ in loop.batches(range(2)):
                optimizer.zero_grad()
                backward(net)
                optimizer.step()
                loop.log(loss=1.0)

    found = steps(tmp_path)
    assert [0] == found["train:graph"]
    for tag in (
        "weights/embed/weight",
        "gradients/embed/weight",
        "outputs/body/1",
        "outputs/head_1",
    ):
        assert [0, 1] == found[f"train:{tag}"]
    assert 2 == (tmp_path / "train/projector_config.pbtxt").read_text().count("tensor_name")
    assert not optimizer._optimizer_step_pre_hooks


def test_metrics_stay_tensors() -> None:
    """A metric is summed in float32 where it is, without its graph."""
    loop = Loop(Net())
    with loop:
        for _ in loop:
            for _ in loop.batches(range(1000)):
                loop.log(loss=torch.tensor(1.0, dtype=torch.bfloat16, requires_grad=True))

    assert {"loss": [1.0]} == loop.history


def test_several_models(tmp_path: Path) -> None:
    """A GAN's two models and two optimizers: all of both is in the log."""
    models = {"g": nn.Sequential(nn.Linear(2, 5)), "d": nn.Sequential(nn.Linear(5, 1))}
    optimizers = {
        name: torch.optim.SGD(model.parameters(), lr=0.1) for name, model in models.items()
    }
    noise, real = torch.randn(4, 2), torch.randn(4, 5)
    log = TensorBoard(tmp_path, histogram_freq=1)
    data = ({"g": noise, "d": real}, torch.zeros(4))
    with Loop(models, [log], 2, optimizer=optimizers, validation_data=data) as loop:
        assert models is loop.model
        for _ in loop:
            for _ in loop.batches(range(2)):
                for name in ("d", "g"):
                    made = models["g"](noise)
                    judged = models["d"](made if name == "g" else made.detach()).mean()
                    loss = judged if name == "g" else models["d"](real).mean() - judged
                    optimizers[name].zero_grad()
                    loss.backward()
                    optimizers[name].step()
                    loop.log({f"{name}_loss": loss})

    found = steps(tmp_path)
    for tag in ("d/0/weight", "g/0/weight", "g/0/bias"):
        assert [0, 1] == found[f"train:weights/{tag}"]
    assert [0, 1] == found["train:gradients/g/0/weight"] == found["train:outputs/g/0"]
    assert 1 in found["train:gradients/d/0/weight"]
    assert [0, 1] == found["train:outputs/d/0"]
    assert [0, 1] == found["train:epoch/learning_rate_d"]
    assert not any(each._optimizer_step_pre_hooks for each in optimizers.values())


@pytest.mark.parametrize("as_dict", [True, False])
def test_several_optimizers_of_one_model(as_dict: bool, tmp_path: Path) -> None:
    """All of them give gradients and learning rates, and are saved and read back."""

    def make() -> tuple[Net, dict[str, Any]]:
        net = Net()
        return net, {
            "0": torch.optim.Adam([*net.embed.parameters(), *net.body.parameters()], lr=0.1),
            "1": torch.optim.Adam(net.head.parameters(), lr=0.2),
        }

    net, optimizers = make()
    view = TorchView(net, optimizers if as_dict else list(optimizers.values()))
    backward(net)
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad()
    assert view.weights().keys() == view.gradients(None).keys()
    assert {"0": 0.1, "1": 0.2} == view.get_learning_rates()
    view.set_learning_rate(0.01)
    view.save(str(tmp_path / "a.pt"), False)
    other, others = make()
    TorchView(other, others).load(str(tmp_path / "a.pt"))

    assert 0.02 == pytest.approx(others["1"].param_groups[0]["lr"])
    assert 1 == others["1"].state[other.head.weight]["step"]
    with pytest.raises(ArgumentValueError, match="states of the optimizers"):
        TorchView(other, others["1"]).load(str(tmp_path / "a.pt"))


@pytest.mark.parametrize("arguments", [(3,), (nn.Linear(1, 1), 3), (nn.Linear(1, 1), {"a": 3})])
def test_wrong_arguments(arguments: Any) -> None:
    """What is no module or optimizer is refused by its type."""
    with pytest.raises(ArgumentTypeError, match="int"):
        TorchView(*arguments)
