"""Presets: a trained model as a folder that can be kept, passed on and put on a hub.

    config.json         the architecture, as Keras serialises it: layers, loop, pixel range, dtype policies
    model.weights.npz   the weights by name, see `variables.py`
    metadata.json       version of the format, versions, number of parameters, class names, tolerance, SHA-256 of files
    card.json           what its makers say of it, if they do: data, training, scores, limits, licence
    README.md           the same for people, with the front matter that the hub reads; it may be edited

The layout follows keras-hub's. `reading.py` finds and checks a preset, `writing.py` makes one, `hub.py` fetches one and
puts one up, `page.py` writes README.md. The presets of the package are folders in cnnf_tf/zoo/presets: data, which are
found by their place, so that nothing here imports `cnnf_tf.zoo`.
"""

from cnnf_tf.models.presets.hub import upload_preset
from cnnf_tf.models.presets.reading import PackagedPresets, load_preset, packaged_names, preset_info
from cnnf_tf.models.presets.writing import save_preset

__all__ = ["PackagedPresets", "load_preset", "packaged_names", "preset_info", "save_preset", "upload_preset"]
