"""What callbacks ask of several models that are trained together, such as those of a GAN."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventwriter._file.whole_file import whole_path
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class SeveralView(ModelView):
    """The view of several models by name, each with its own view.

    The name of a model comes before the names of its parts: "g/dense/kernel". What one of the
    models cannot answer is left out, if another one can answer it. A state, and a file, need an
    answer of each.

    Args:
        models: The models by name.
        views: Their views, by the same names.
        shared: Whether all views have the same optimizer. Its state is then saved once.

    Attributes:
        model: The models by name.
    """

    def __init__(
        self, models: Mapping[str, Any], views: Mapping[str, ModelView], *, shared: bool
    ) -> None:
        self.model = models
        self.views = dict(views)
        self._shared = shared

    def weights(self) -> Mapping[str, Any] | None:
        """See `ModelView.weights`."""
        return self._joined(lambda _, view: view.weights())

    def filters_first(self) -> bool | None:
        """See `ModelView.filters_first`. None if the models differ."""
        layouts = {view.filters_first() for view in self.views.values()}
        return layouts.pop() if len(layouts) == 1 else None

    def gradients(self, batch: tuple[Any, ...] | None) -> Mapping[str, Any] | None:  # noqa: ARG002
        """See `ModelView.gradients`. The models have no common loss on a batch."""
        return self._joined(lambda _, view: view.gradients(None))

    def activations(self, inputs: Any) -> Mapping[str, Any] | None:
        """See `ModelView.activations`.

        Args:
            inputs: The inputs of each model, by the model's name. With other inputs the answer is
                None, because it is unknown which model takes them.
        """
        if not isinstance(inputs, dict) or not inputs or not inputs.keys() <= self.views.keys():
            return None
        return self._joined(
            lambda name, view: view.activations(inputs[name]) if name in inputs else None
        )

    def embeddings(self) -> Mapping[str, Any] | None:
        """See `ModelView.embeddings`."""
        return self._joined(lambda _, view: view.embeddings())

    def names(self, tree: Any) -> Mapping[str, Any] | None:
        """See `ModelView.names`. The tree is a dict with the names of models."""
        if not isinstance(tree, dict) or not tree.keys() <= self.views.keys():
            return None
        return self._joined(lambda name, view: view.names(tree[name]) if name in tree else None)

    def get_learning_rate(self) -> float | None:
        """Return the learning rate of the first model that has one."""
        rates = (view.get_learning_rate() for view in self.views.values())
        return next((rate for rate in rates if rate is not None), None)

    def get_learning_rates(self) -> Mapping[str, float] | None:
        """See `ModelView.get_learning_rates`. None if all models have one optimizer together."""
        if self._shared:
            return next(iter(self.views.values())).get_learning_rates()
        found: dict[str, float] = {}
        for name, view in self.views.items():
            groups = view.get_learning_rates()
            rate = view.get_learning_rate()
            if groups is not None:
                found |= {f"{name}/{group}": value for group, value in groups.items()}
            elif rate is not None:
                found[name] = rate
        return found or None

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the first model; the others keep their ratio to it."""
        rates = {name: view.get_learning_rate() for name, view in self.views.items()}
        first = self.get_learning_rate()
        if first is None:
            self._refuse("set_learning_rate")
        for name, rate in rates.items():
            if rate is not None:
                self.views[name].set_learning_rate(learning_rate * (rate / first if first else 1))
                if self._shared:
                    return

    def get_state(self) -> dict[str, Any] | None:
        """See `ModelView.get_state`."""
        states = {name: view.get_state() for name, view in self.views.items()}
        return None if any(state is None for state in states.values()) else states

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See `ModelView.set_state`."""
        for name, view in self.views.items():
            view.set_state(state[name])

    def version(self) -> Any:
        """See `ModelView.version`. None if one of the views cannot tell."""
        versions = [view.version() for view in self.views.values()]
        return None if any(version is None for version in versions) else versions

    def suffix(self, weights_only: bool) -> str | None:
        """See `ModelView.suffix`. None if one of the models cannot be saved."""
        return None if None in self._suffixes(weights_only).values() else ".zip"

    def save(self, path: str, weights_only: bool) -> None:
        """Write a zip file that holds the file of each model: "g.pt" and "d.pt"."""
        suffixes = self._suffixes(weights_only)
        if None in suffixes.values():
            self._refuse("save")
        with (
            whole_path(path) as new,
            tempfile.TemporaryDirectory() as directory,
            zipfile.ZipFile(new, "w") as archive,
        ):
            for place, (name, view) in enumerate(self.views.items()):
                part = Path(directory) / f"{place}{suffixes[name]}"
                view.save(str(part), weights_only or (self._shared and place > 0))
                archive.write(part, f"{name}{suffixes[name]}")
                part.unlink()

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return all(view.can_load() for view in self.views.values())

    def load(self, path: str) -> None:
        """Read a file of `save`.

        Raises:
            ArgumentValueError: The file holds other models.
        """
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as directory:
            files = set(archive.namelist())
            parts = {}
            for name, view in self.views.items():
                names = {f"{name}{view.suffix(weights_only)}" for weights_only in (True, False)}
                parts[name] = files & names
            if not all(parts.values()) or len(files) != len(parts):
                raise ArgumentValueError(
                    f"{path}: expected files of the models {list(self.views)}, got "
                    f"{sorted(files)}. Load a file of the same models."
                )
            for name, view in self.views.items():
                view.load(archive.extract(parts[name].pop(), directory))

    def close(self) -> None:
        """See `ModelView.close`."""
        for view in self.views.values():
            view.close()

    def _suffixes(self, weights_only: bool) -> dict[str, str | None]:
        return {name: view.suffix(weights_only) for name, view in self.views.items()}

    def _joined(
        self, answer: Callable[[str, ModelView], Mapping[str, Any] | None]
    ) -> dict[str, Any] | None:
        """Return the answers of all views in one dict; None if no view has one."""
        answers = {name: answer(name, view) for name, view in self.views.items()}
        known = {name: found for name, found in answers.items() if found is not None}
        if not known:
            return None
        return {
            f"{name}/{inner}": value
            for name, found in known.items()
            for inner, value in found.items()
        }


def optimizers_by_name(models: Mapping[str, Any], optimizer: Any) -> dict[str, Any] | None:
    """Return the optimizer of each model; None if one optimizer is for all of them.

    Raises:
        ArgumentTypeError: There is an optimizer for a model that does not exist.
    """
    if not isinstance(optimizer, dict) or "learning_rate" in optimizer:
        return None
    unknown = [name for name in optimizer if name not in models]
    if unknown:
        raise ArgumentTypeError(
            f"optimizer: expected names among {list(models)}, got {unknown[0]!r}. Give each model "
            'its optimizer by the name of the model: {"g": g_optimizer, "d": d_optimizer}.'
        )
    return {name: optimizer.get(name) for name in models}
