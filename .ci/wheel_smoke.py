"""Run by wheel_check where only the wheel is installed: the package imports, and networks see one image."""

import pathlib
import sys

import numpy as np

import cnnf_tf

installed = pathlib.Path(cnnf_tf.__file__).resolve()
if pathlib.Path(sys.prefix).resolve() not in installed.parents:
    sys.exit(f"cnnf_tf was imported from {installed}, not from the environment {sys.prefix}.")
model = cnnf_tf.CNNF.from_name("fashion_cnn", image_shape=(28, 28, 1), network={}, iterations=2)
logits = np.asarray(model(np.zeros((1, 28, 28, 1), np.float32)))
if logits.shape != (1, 10) or not np.isfinite(logits).all():
    sys.exit(f"wanted finite logits of shape (1, 10), got {logits}.")
names = cnnf_tf.pretrained_names()
for name in names[:1]:
    model = cnnf_tf.CNNF.from_preset(name)
    if not np.isfinite(np.asarray(model(np.zeros((1, *model.image_shape), np.float32)))).all():
        sys.exit(f"the pretrained model {name} gave logits that are not finite.")
print(
    f"cnnf_tf {cnnf_tf.__version__} from the wheel: one image gave logits of shape {logits.shape}; pretrained models: "
    f"{', '.join(names) or 'none'}."
)
