"""Walking through a network."""

from collections.abc import Iterator

from cnnf_tf.layers import FeedbackComposite, FeedbackLayer


def leaves(layer: FeedbackLayer) -> Iterator[FeedbackLayer]:
    """The plain layers inside a layer, bottom to top (main branch before shortcut); the layer itself if it is plain."""
    if not isinstance(layer, FeedbackComposite):
        yield layer
        return
    for child in layer.children():
        yield from leaves(child)
