"""The trackers by name; each is imported only where it is asked for."""

import importlib
from collections.abc import Sequence

from cnnf_tf.training.trackers.base import TrackerFactory

TRACKERS = {
    "mlflow": "cnnf_tf.training.trackers.mlflow:MLflow",
    "tensorboard": "cnnf_tf.training.trackers.tensorboard:TensorBoard",
    "wandb": "cnnf_tf.training.trackers.wandb:WeightsAndBiases",
}
"""Where each is. Its extra, where it needs one, has the name of the tracker, as has the package."""
_EXTRAS = ("mlflow", "wandb")


def find_trackers(trackers: Sequence[str | TrackerFactory]) -> dict[str, TrackerFactory]:
    """The classes of trackers.

    Args:
      trackers: names out of `TRACKERS`, texts such as "my_module:MyTracker", or classes.

    Returns:
      The classes by name; one that is named twice is there once.

    Raises:
      ValueError: no such name, or two different trackers of one name.
      ImportError: what a tracker needs is not installed, or its module cannot be imported.
    """
    found: dict[str, TrackerFactory] = {}
    for name, factory in map(_find, [trackers] if isinstance(trackers, str) else trackers):
        if found.setdefault(name, factory) != factory:
            raise ValueError(
                f"two different trackers have the name {name!r}, by which a run that goes on finds them again; give "
                "each a __qualname__ of its own, or name a class as MODULE:CLASS."
            )
    return found


def _find(tracker: str | TrackerFactory) -> tuple[str, TrackerFactory]:
    if not isinstance(tracker, str):
        return getattr(tracker, "__qualname__", type(tracker).__qualname__), tracker
    module, colon, attribute = TRACKERS.get(tracker, tracker).partition(":")
    if not (module and colon and attribute.isidentifier()):
        known = ", ".join(sorted(TRACKERS))
        raise ValueError(f"a tracker is one of {known}, or a class of yours as MODULE:CLASS; got {tracker!r}.")
    try:
        if tracker in _EXTRAS:
            importlib.import_module(tracker)
        found = importlib.import_module(module)
    except ImportError as error:
        hint = f"; pip install 'cnnf_tf[{tracker}]'" if tracker in _EXTRAS else ""
        raise ImportError(f"the tracker {tracker!r} cannot be imported ({error}){hint}.") from error
    if not callable(getattr(found, attribute, None)):
        raise ValueError(f"the tracker {tracker!r}: the module {module} has no class {attribute}.")
    return tracker, getattr(found, attribute)
