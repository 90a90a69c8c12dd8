"""What callbacks ask of a model: one class with all questions, which every framework answers.

`find_view.view_of` returns the view of a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModelView:
    """What callbacks ask of a model, in the same words for every framework.

    Every question returns None when the view cannot answer it, and that is what this base class
    does. A subclass overrides the questions that it can answer. It need not override the others.

    Four methods are not questions, because they change something. Such a method works if the
    question beside it has an answer. Otherwise it raises `ArgumentTypeError`.

        set_learning_rate    get_learning_rate() is not None
        set_state            get_state() is not None
        save                 suffix(weights_only) is not None
        load                 can_load() is True

    Arrays are the framework's own, and stay on their device. Names are paths with slashes, such
    as "conv1d/kernel". A gradient has the name of its weight.

    Attributes:
        model: The model itself.
        has_layers: Whether the model has layers, with activations and gradients. Trees have none,
            so nobody need be told that they are missing.
    """

    model: Any = None
    has_layers: bool = True

    @property
    def title(self) -> str:
        """The name of the view in messages."""
        return type(self).__name__

    def weights(self) -> Mapping[str, Any] | None:
        """Return the trained arrays by name."""
        return None

    def filters_first(self) -> bool | None:
        """Return whether the kernel of a convolution has its filters as the first axis.

        True is the layout of torch, `[filters, channels, *space]`. False is the layout of Keras
        and Flax, `[*space, channels, filters]`.
        """
        return None

    def gradients(
        self,
        batch: tuple[Any, ...] | None,  # noqa: ARG002 - a subclass needs it
    ) -> Mapping[str, Any] | None:
        """Return the latest gradients by the names of their weights.

        A framework that keeps no gradients computes the gradients of the model's loss on `batch`.

        Args:
            batch: (inputs, targets) or (inputs, targets, weights), or None if there is no batch.
        """
        return None

    def activations(self, inputs: Any) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return the output of every layer for one batch, by the name of the layer.

        The model and the state of its random numbers are left unchanged.

        Args:
            inputs: One batch of the model's inputs.
        """
        return None

    def numbers(self) -> Mapping[str, float] | None:
        """Return what a few numbers tell of the model, by name: the importance of each feature.

        They are shown as curves, and together with the histograms.
        """
        return None

    def embeddings(self) -> Mapping[str, Any] | None:
        """Return the matrices `[rows, width]` of the embedding layers, by the layer's name.

        A model without an embedding layer has the answer {}.
        """
        return None

    def graph(self, inputs: Any) -> Any:  # noqa: ARG002
        """Return a graph that `SummaryWriter.add_graph` takes.

        Args:
            inputs: One batch of the model's inputs, or None if there is no batch.
        """
        return None

    def names(self, tree: Any) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return the arrays of a nested structure, with the names that `weights` gives them.

        Args:
            tree: Arrays in the framework's own nesting, such as the gradients of a JAX function.
        """
        return None

    def get_learning_rate(self) -> float | None:
        """Return the learning rate that the optimizer has now."""
        return None

    def get_learning_rates(self) -> Mapping[str, float] | None:
        """Return the learning rates by the names of the optimizer's groups of parameters.

        None means that there is one learning rate at most: `get_learning_rate` returns it.
        """
        return None

    def set_learning_rate(self, learning_rate: float) -> None:  # noqa: ARG002
        """Change the learning rate, from the next training step on."""
        self._refuse("set_learning_rate")

    def get_state(self) -> Any:
        """Return a copy of the model's weights, for `set_state`."""
        return None

    def set_state(self, state: Any) -> None:  # noqa: ARG002
        """Put back the weights that `get_state` returned."""
        self._refuse("set_state")

    def version(self) -> Any:
        """Return a value that is equal to a later one as long as no array has been exchanged.

        None if the view cannot tell, as where training changes arrays in place.
        """
        return None

    def suffix(self, weights_only: bool) -> str | None:  # noqa: ARG002
        """Return the end of the names of files that `save` writes, with the dot: ".pt"."""
        return None

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002
        """Write the model to a file, in the framework's own format.

        Args:
            path: The file. An earlier file of this name is replaced.
            weights_only: Whether the optimizer's state is left out.
        """
        self._refuse("save")

    def backup_suffix(self) -> str | None:
        """Return the end of the names of files that `save_backup` writes, with the dot."""
        return self.suffix(False)

    def save_backup(self, path: str) -> None:
        """Write what a training needs to go on with this model: its weights and the optimizer.

        Unlike a file of `save`, a backup need not tell how the model is built: `load` reads it into
        the same model. So it can be written where a model has parts that cannot be saved.

        Args:
            path: The file. An earlier file of this name is replaced.
        """
        self.save(path, False)

    def can_load(self) -> bool:
        """Return whether `load` works."""
        return False

    def load(self, path: str) -> None:  # noqa: ARG002
        """Read a file of `save` or `save_backup` into the model.

        It is read into the optimizer too, if its state is there.
        """
        self._refuse("load")

    def close(self) -> None:
        """Remove what the view put on the model. Called once, when training has ended."""

    def _refuse(self, action: str) -> NoReturn:
        raise ArgumentTypeError(
            f"{self.title}.{action}: expected a model view that can do this, got one "
            f"that cannot. Override `{action}`: see eventwriter.callbacks.ModelView."
        )


def require(view: ModelView, question: str, needed_by: str, *arguments: Any) -> Any:
    """Return the answer of a view to a question that must have one.

    Args:
        view: The view of the model.
        question: The name of a method of `ModelView` that returns an answer.
        needed_by: Names the callback in the error: "EarlyStopping(restore_best_weights=True)".
        arguments: The arguments of the question.

    Raises:
        ArgumentTypeError: The view answers None, or to `can_load` False.
    """
    answer = getattr(view, question)(*arguments)
    if answer is None or answer is False:
        raise ArgumentTypeError(
            f"{needed_by} needs `{question}`: expected a model view that answers it, got "
            f"{view.title}, which cannot. {_REMEDIES.get(question, _REMEDY)}"
        )
    return answer


_REMEDY = (
    "Pass view= an object that can: derive its class from eventwriter.callbacks.ModelView, and "
    "override this method."
)
_REMEDIES = {"get_learning_rate": f"Pass the optimizer. If that does not help: {_REMEDY}"}
