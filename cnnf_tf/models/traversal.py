"""Walking through a network."""

from collections.abc import Iterator

from cnnf_tf.layers import FeedbackComposite, FeedbackLayer


def leaves(layer: FeedbackLayer) -> Iterator[FeedbackLayer]:
    """The plain layers inside a layer, bottom to top (main branch before shortcut); the layer itself if it is plain."""
    for _, leaf in named_leaves(layer):
        yield leaf


def named_leaves(layer: FeedbackLayer, path: str = "") -> Iterator[tuple[str, FeedbackLayer]]:
    """`leaves`, each with its path: `path`, then the names of the layers around it and its own, as in "/tap1/relu"."""
    if not isinstance(layer, FeedbackComposite):
        yield path, layer
        return
    for child in layer.children():
        yield from named_leaves(child, f"{path}/{child.name}")
