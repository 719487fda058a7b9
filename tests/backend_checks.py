"""What must hold on each backend of Keras: run in a process of its own for each, all checks in one.

`KERAS_BACKEND=torch python -m tests.backend_checks FOLDER` runs CHECKS, without TensorFlow, and prints as JSON what
failed. The folder holds what TensorFlow found and wrote (`leave_behind`); tests/backends_test.py starts it.
"""

import importlib
import json
import math
import pathlib
import sys
import time
import traceback
import unittest

import keras
import numpy as np
from keras import ops

from cnnf_tf import CNNF, layers
from tests import backend_kernels, descriptors, golden_files
from tests.backend_kernels import as_tensor, gradients

BACKEND = keras.backend.backend()
ROOMS = {  # which want TensorFlow, and whether only its package
    "data": True,
    "evaluation": False,
    "generative": False,
    "serving": False,
    "training": False,
}


def leave_behind(folder):
    """Files with models of this backend, and what it makes of them."""
    for name, model in _models().items():
        images = np.random.default_rng(1).random((2, *model.image_shape)).astype("float32")
        model.save(folder / f"{name}.keras")
        model.save_to_preset(folder / name)
        np.savez(folder / f"{name}.npz", images=images, **_outputs(name, model, images))


def read(folder):
    """The models that another backend left behind give the outputs that they gave there, from both kinds of files."""
    for name in sorted({"small", "residual"} if BACKEND == "jax" else {path.stem for path in folder.glob("*.keras")}):
        if BACKEND == "torch" and name == "branches":
            continue
        with np.load(folder / f"{name}.npz") as arrays:
            expected = dict(arrays)
        images = expected.pop("images")
        models = [keras.saving.load_model(folder / f"{name}.keras"), CNNF.from_preset(str(folder / name))]
        if BACKEND == "jax":
            models = models[:1] if name == "small" else models[1:]
        for model in models:
            found = _outputs(name, model, images)
            for key, values in expected.items():
                scale = max(1.0, float(np.max(np.abs(values))))
                np.testing.assert_allclose(found[key], values, atol=1e-5 * scale, err_msg=f"{name} {key}")


# Keras' average pool with padding "same", which "branches" has, counts the zeros around the image on PyTorch.
_CONVERTED = ("nested",) if BACKEND == "torch" else ("nested", "branches")


def _models():
    """A small network with everything in it, one of the paper, and Keras CNNs of all that can be converted."""
    from tests.models import fixtures_keras

    keras.utils.set_random_seed(0)
    encoder = layers.FeedbackSequential([layers.FeedbackConv2D(2), layers.InstanceNorm(), layers.AdaReLU()])
    stack = [layers.FeedbackConv2D(3, strides=2), layers.Tap(layers.AdaReLU()), layers.AdaPool2D()]
    network = layers.FeedbackSequential([*stack, layers.FeedbackFlatten(), layers.FeedbackDense(3, use_bias=True)])
    found = {"small": CNNF(network, encoder, image_shape=(8, 8, 1), learn_eta=True)}
    if BACKEND != "jax":  # which takes seconds to compile each
        options = {"image_shape": (16, 16, 1), "iterations": 2, "readout": "average"}
        found["fashion"] = CNNF.from_name("fashion_cnn", network={"encoder_blocks": 1}, **options)
        for name in _CONVERTED:
            found[name] = CNNF.from_keras(fixtures_keras.NETWORKS[name]())
    return found | {"residual": CNNF.from_keras(fixtures_keras.residual())}


def _outputs(name, model, images):
    from cnnf_tf.models import infer_adaptive

    def passes(images):
        trajectory = model.infer(images)
        return {"logits": trajectory.logits, "reconstructions": ops.stack(trajectory.reconstructions)}

    found = _compiled(passes)(ops.convert_to_tensor(images))
    if name == "small":
        found |= {"predicted": model.predict(images, verbose=0), "pictures": model.reconstruct(images)}
        found |= infer_adaptive(model, images, max_iterations=2, tolerance=0.1)._asdict()
    return {name: ops.convert_to_numpy(values) for name, values in found.items()}


# The checks.


def check_kernels(folder):
    del folder
    for name in (BACKEND, "plain")[: 1 if BACKEND == "jax" else 2]:  # JAX takes seconds to compile each
        backend_kernels.check(importlib.import_module(f"cnnf_tf.layers.kernels.{name}"))


def check_layers(folder):
    """Every layer: what TensorFlow gives, the adjoint law, gradients of all weights, half precision, configurations."""
    with np.load(folder / "layers.npz") as arrays:
        expected = dict(arrays)
    for descriptor in descriptors.LAYERS:
        if BACKEND == "jax" and descriptor.name == "AdaActivation_leaky":
            continue  # JAX takes the other of its two slopes at 0
        try:
            _check_layer(descriptor, [expected[f"{descriptor.name}.{index}"] for index in range(4)])
        except Exception as error:
            raise AssertionError(descriptor.name) from error


def layer_outputs():
    """Of a cycle of each layer, by its name."""
    found = {}
    for descriptor in descriptors.LAYERS:
        outputs = _cycle(descriptors.built(descriptor), ops.convert_to_tensor(descriptors.batch(descriptor)))
        found |= {f"{descriptor.name}.{index}": ops.convert_to_numpy(part) for index, part in enumerate(outputs)}
    return found


def _down(layer, signal, latent):
    """The signal below and what goes into the next `call`."""
    if isinstance(layer, layers.FeedbackComposite):
        return layer.feedback(signal, latent)
    return layer.feedback(signal, latent), signal


def _cycle(layer, features):
    """Up, down, up again with the signals, down again."""
    output, latent = layer(features)
    below, signals = _down(layer, 0.3 - output, latent)
    again, latent = layer(features, signals, eta=0.1)
    return output, below, again, _down(layer, again, latent)[0]


def _check_layer(descriptor, expected):
    layer, features = descriptors.built(descriptor), ops.convert_to_tensor(descriptors.batch(descriptor))
    found = _compiled(lambda x: _cycle(layer, x))(features)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), theirs, rtol=1e-4, atol=1e-5)
    assert tuple(found[0].shape) == layer.output_shape_for(tuple(features.shape))

    if BACKEND != "jax":  # which takes seconds to compile each; fit_test.py trains there
        total = gradients(lambda x: sum(ops.sum(ops.square(part)) for part in _cycle(layer, x)), [features], layer)
        assert len(total) == 1 + len(layer.trainable_variables)
        assert all(np.isfinite(gradient).all() for gradient in total)

    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(copy)["config"] == config["config"]

    keras.config.set_dtype_policy("mixed_bfloat16")
    half = descriptor.make()
    keras.config.set_dtype_policy("float32")
    half.build((None, *descriptor.input_shape))
    for part in _shapes(lambda x: _cycle(half, x), features):
        assert keras.backend.standardize_dtype(part.dtype) == "bfloat16"

    if descriptor.linear:
        signal = ops.convert_to_tensor(np.random.default_rng(3).normal(size=found[0].shape).astype("float32"))
        (product,) = gradients(lambda x: ops.sum(layer(x)[0] * signal), [features])
        below, output = _compiled(lambda x: _down_and_given(layer, x, signal))(features)
        np.testing.assert_allclose(ops.convert_to_numpy(below), product, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ops.convert_to_numpy(output), expected[0], rtol=1e-4, atol=1e-5)


def _shapes(function, *points):
    """What a function returns, or what has its dtypes."""
    if BACKEND != "jax":
        return function(*points)
    import jax

    return jax.eval_shape(function, *points)


def _down_and_given(layer, features, signal):
    """A signal sent down, and the output with the latents given."""
    _, latent = layer(features)
    return _down(layer, signal, latent)[0], layer.linear_call(features, latent)


def check_loop(folder):
    """Gradients of a whole unrolled loop with every rule and taps are TensorFlow's, rematerialised or not.

    In JAX of one rule; fit_test.py has rematerialisation there.
    """
    with np.load(folder / "loop.npz") as arrays:
        expected = dict(arrays)
    rules = ("map",) if BACKEND == "jax" else ("map", "slide", "reference")  # JAX takes seconds to compile each
    for rule, rematerialize in [(rule, False) for rule in rules] + [("map", True)] * (BACKEND != "jax"):
        found = loop_gradients(rule, rematerialize=rematerialize)
        for index, gradient in enumerate(found):
            values = expected[f"{rule}.{index}"]
            scale = max(1.0, float(np.max(np.abs(values))))
            np.testing.assert_allclose(gradient, values, atol=1e-4 * scale, err_msg=f"{rule} {index}")


def loop_gradients(rule, **options):
    """Of the objective at images and at all weights, which are the same on each backend."""
    from cnnf_tf.models.networks import fashion_cnn
    from cnnf_tf.models.objective import trajectory_losses
    from cnnf_tf.models.unroll import unroll

    rng = np.random.default_rng(0)
    network = fashion_cnn(rule=rule).network
    network.build((None, 8, 8, 1))
    for variable in network.weights:
        variable.assign(rng.normal(size=variable.shape) / np.sqrt(max(1, math.prod(variable.shape[:-1]))))

    def loss(images):
        trajectory = unroll(network, images, iterations=2, eta=0.1, **options)
        mean_square = lambda logits: ops.mean(ops.square(logits))  # noqa: E731
        return trajectory_losses(trajectory, mean_square, reconstruction_weight=0.1).total

    return gradients(loss, [as_tensor(rng.normal(size=(2, 8, 8, 1)).astype("float32"))], network)


def check_golden(folder):
    """The outputs of the authors' code. Of the sixth file float32 itself misses the tolerance: see golden_test.py."""
    from cnnf_tf.zoo import reference

    del folder
    for name, (make_state, ind, iterations) in golden_files.FILES.items():
        if name == "wide_resnet_40_2_ind5" or (BACKEND == "jax" and not name.endswith("ind1")):
            continue  # JAX takes seconds to compile each
        images, expected = golden_files.load(name)
        model = reference.from_state_dict(make_state(), ind=ind, iterations=iterations)
        trajectory = _compiled(lambda x, model=model: model.infer(x)._replace(latents=[], signals=[]))(
            ops.convert_to_tensor(images.astype("float32"))
        )
        arrays = golden_files.named_arrays(keras.tree.map_structure(ops.convert_to_numpy, trajectory))
        assert arrays.keys() == expected.keys()
        for key, values in expected.items():
            error = golden_files.relative_error(arrays[key], values)
            assert error < golden_files.TOLERANCE, (name, key, error)


def _compiled(function):
    """In JAX by XLA at once, rather than op by op: much faster to compile."""
    if BACKEND != "jax":
        return function
    import jax

    return jax.jit(function)


def check_files(folder):
    """Those of TensorFlow are read, and others left for it."""
    read(folder)
    (folder / BACKEND).mkdir()
    leave_behind(folder / BACKEND)


def check_pretrained(folder):
    """A model of the package; bad images raise, or are NaN where nothing can raise."""
    import cnnf_tf

    with np.load(folder / "pretrained.npz") as arrays:
        images, expected = arrays["images"], arrays["logits"]
    model = cnnf_tf.load_pretrained("fashion_mnist_standard")
    logits = _compiled(lambda x: model.infer(x).logits)
    np.testing.assert_allclose(ops.convert_to_numpy(logits(ops.convert_to_tensor(images))), expected, atol=1e-4)
    for bad, message in (
        (images * 3, r"CNNF wants pixels in [0, 1] and no NaN (divide 0 to 255 by 255"),
        (images * np.nan, "got minimum and maximum: nan, nan"),
        (images[:0], "CNNF wants at least one image; got an empty batch."),
        (images[0], "a single image needs a leading batch dimension"),
        ((images * 255).astype("uint8"), "CNNF wants float images with pixels in [0, 1], got uint8"),
    ):
        _raises(ValueError, lambda bad=bad: model.infer(bad), message)
    if BACKEND == "jax":
        import jax

        assert np.isnan(logits(images * 3)).all()
        from cnnf_tf.models import infer_adaptive

        adaptive = jax.jit(lambda x: infer_adaptive(model, x, max_iterations=2, tolerance=0.1))
        _raises(ValueError, lambda: adaptive(images), "the adaptive loop runs eagerly only")


def check_without_tensorflow(folder):
    """Nothing so far has used it; what needs it says so."""
    import cnnf_tf

    del folder
    for room in ROOMS:
        _raises(ImportError, lambda room=room: getattr(cnnf_tf, room), f"cnnf_tf.{room} needs TensorFlow (it ")
    for name in ("cnnf_tf.models.memory", "cnnf_tf.utils.environment"):
        _raises(ImportError, lambda name=name: importlib.import_module(name), f"{name} needs TensorFlow (it ")
    del sys.modules["tensorflow"]  # which is there, but not what Keras runs on; nothing is loaded from here
    for room, package_only in ROOMS.items():
        if not package_only:
            why = f"here Keras runs on {BACKEND}: unset KERAS_BACKEND"
            _raises(ImportError, lambda room=room: getattr(cnnf_tf, room), why)


def _raises(kind, call, message):
    with unittest.TestCase().assertRaises(kind) as raised:
        call()
    assert message in str(raised.exception), raised.exception


CHECKS = {name.removeprefix("check_"): value for name, value in list(globals().items()) if name.startswith("check_")}


def main(folder, names=()):
    failures = {}
    for name, check in CHECKS.items():
        if names and name not in names:
            continue
        start = time.process_time()
        try:
            check(folder)
        except Exception:  # noqa: BLE001 - each fault is shown by the test of its check
            failures[name] = traceback.format_exc()
        sys.stderr.write(f"{name} {time.process_time() - start:.1f} s\n")
    sys.stdout.write(json.dumps(failures))


if __name__ == "__main__":
    for package in ("tensorflow", "tensorflow_datasets", "tensorflow_probability", "tf_keras"):
        sys.modules[package] = None  # as where it is not installed
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
