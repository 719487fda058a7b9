"""Activations over time: those of the loop, of the plain CNN, and of Keras; for any number of images, and unseen."""

import functools
import pathlib
import tracemalloc

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from sklearn.decomposition import PCA
from sklearn.random_projection import SparseRandomProjection

from cnnf_tf import CNNF, layers
from cnnf_tf.evaluation import Recording, activations, list_activations, open_activations, write_activations
from cnnf_tf.evaluation.recordings import reductions
from cnnf_tf.evaluation.recordings.probes import record
from cnnf_tf.models import feedback_pass, first_pass, step
from cnnf_tf.utils.dtypes import dtype_policy
from tests.models import fixtures_keras, fixtures_models

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def by_hand(model, images, iterations):
    """Features, latents and signals by name, one entry for each pass: layer by layer of the tiny network, eagerly."""
    conv, norm, tap, pool, norm_down, res, average, flatten, fc = model.network.layers
    (relu,), (branch,) = tap.children(), res.children()
    inner = branch.children()
    steps = model.step_sizes()
    h_step, nest = (steps, None) if isinstance(steps, float) else (steps.features, steps.network)
    relu_step, inner_step = (h_step, h_step) if nest is None else (nest[2][0], nest[5][0][1])
    found = {}

    def keep(name, value):
        found.setdefault(name, []).append(np.asarray(value))
        return value

    h = model.normalize(images)
    if model.encoder is not None:
        for layer in model.encoder.children():
            h, _ = layer(h)
            found[f"encoder/{layer.name}.f"] = [np.asarray(h)] * (iterations + 1)
    g = {}
    for _ in range(iterations + 1):
        f = keep("h.f", h)
        for name, layer in {"conv1": conv, "norm_up": norm}.items():
            f = keep(f"{name}.f", layer(f)[0])
        f, z = relu(f, g.get("relu"), eta=relu_step)
        keep("tap1/ada_relu1.f", f), keep("tap1.f", f), keep("tap1/ada_relu1.z", z)
        f, z_pool = pool(f, g.get("pool"))
        keep("ada_pool.f", f), keep("ada_pool.z", z_pool)
        f = below = keep("norm_down.f", norm_down(f)[0])
        f = keep("res/main/conv2.f", inner[0](f)[0])
        f, z_inner = inner[1](f, g.get("inner"), eta=inner_step)
        keep("res/main/ada_relu2.f", f), keep("res/main/ada_relu2.z", z_inner), keep("res/main.f", f)
        f = keep("res.f", f + below)
        f = keep("average_pool.f", average(f)[0])
        f = keep("flatten.f", flatten(f)[0])
        g_top = keep("fc.f", fc(f)[0])
        keep("fc.g", g_top)
        down = keep("flatten.g", fc.feedback(g_top))
        down = keep("average_pool.g", flatten.feedback(down))
        down = keep("res.g", average.feedback(down))
        g["inner"] = keep("res/main.g", keep("res/main/ada_relu2.g", down))
        inside = keep("res/main/conv2.g", inner[1].feedback(down, z_inner))
        down = keep("norm_down.g", down + inner[0].feedback(inside))
        g["pool"] = keep("ada_pool.g", norm_down.feedback(down))
        g["relu"] = keep("tap1.g", keep("tap1/ada_relu1.g", pool.feedback(g["pool"], z_pool)))
        down = keep("norm_up.g", relu.feedback(g["relu"], z))
        down = keep("conv1.g", norm.feedback(down))
        reconstruction = keep("h.g", conv.feedback(down))
        h = h + h_step * (reconstruction - h)
    return {name: np.stack(values) for name, values in found.items()}


class OneWay(layers.FeedbackSequential):
    """Goes up in a way of its own, so nobody can look inside."""

    def pass_up(self, features, signal=None, *, eta=0.0, training=False):
        output, latents, _ = super().pass_up(2 * features, signal, eta=eta, training=training)
        return output, latents, [output]

    def pass_down(self, signal, latent=None):
        below, signals, _ = super().pass_down(signal, latent)
        return 2 * below, signals, [below]


class ActivationsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.named_parameters(
        ("number", {}, 2),
        ("plain_cnn", {}, 0),
        ("mapping", {"eta": {"h": 0.5, "tap*": 0.2, "*": 0.9}}, 1),
        ("learned", {"learn_eta": True, "eta": {"h": 0.5, "*": 0.3}, "with_encoder": True}, 1),
    )
    def test_all_of_them_by_hand(self, options, iterations):
        model, images = fixtures_models.model(**options), fixtures_models.images(3)
        wanted = by_hand(model, images, iterations)
        found = activations(model, images.numpy(), "*.*", iterations=iterations, batch_size=2)
        self.assertSameElements(found, wanted)
        self.assertEqual(list(found), [activation.name for activation in list_activations(model)])
        for name, value in found.items():
            self.assertAllClose(value, wanted[name], msg=name, **CLOSE)
        shapes = Recording(model, "*.*", iterations=iterations).shapes()
        self.assertEqual({name: (len(value), *value.shape[2:]) for name, value in found.items()}, shapes)

    def test_the_trajectory_and_eager_execution(self):
        model, images = fixtures_models.model(with_encoder=True), fixtures_models.images(2)
        found = activations(model, images, ["*.f", "*.g"])
        trajectory = model.infer(images)
        self.assertAllClose(found["fc.f"], trajectory.logits, **CLOSE)
        self.assertAllClose(found["h.f"], trajectory.features, **CLOSE)
        self.assertAllClose(found["h.g"][:-1], trajectory.reconstructions, **CLOSE)
        self.assertAllClose(found["tap1.f"], [taps[0] for taps in trajectory.taps], **CLOSE)
        for index, layer in enumerate(model.network.layers):
            if not isinstance(layer, layers.FeedbackComposite):
                signals = [signals[index] for signals in trajectory.signals]
                self.assertAllClose(found[f"{layer.name}.g"][:-1], signals, **CLOSE)
        eager = record(model, 2, list(found), False, images)
        for name, value in eager.items():
            self.assertAllClose(
                np.moveaxis(np.broadcast_to(value, found[name].swapaxes(0, 1).shape), 1, 0), found[name], **CLOSE
            )

    @parameterized.parameters("residual", "shared")
    def test_pass_0_is_keras(self, name):
        theirs = fixtures_keras.NETWORKS[name]()
        model, images = CNNF.from_keras(theirs), fixtures_keras.images(theirs)
        found = activations(model, images, "*.*")
        outputs = {}
        for layer in theirs.layers[1:]:
            nodes = layer._inbound_nodes
            for number, node in enumerate(nodes, start=1):
                place = f"{layer.name}_activation" if f"{layer.name}_activation.f" in found else layer.name
                place = f"{place}@{number}" if f"{place}@{number}.f" in found else place
                if f"{place}.f" in found and (len(nodes) == 1 or "@" in place):
                    outputs[place] = node.output_tensors[0]
        self.assertGreater(len(outputs), 3)
        wanted = keras.Model(theirs.inputs, outputs)(images)
        for place, value in wanted.items():
            self.assertAllClose(found[f"{place}.f"][0], value, msg=place, **CLOSE)
        shapes = Recording(model, "*.*").shapes()
        self.assertEqual({name: (len(value), *value.shape[2:]) for name, value in found.items()}, shapes)
        # And all of pass 1, against the loop without a view.
        state = first_pass(model.network, model.encode(images))
        after, _ = step(model.network, state, eta=model.eta)
        self.assertAllClose(found["h.f"][1], after.features, **CLOSE)
        self.assertAllClose(found["h.g"][1], feedback_pass(model.network, after).reconstruction, **CLOSE)

    @parameterized.parameters("logits", "softmax")
    def test_half_precision(self, start):
        with dtype_policy("mixed_bfloat16"):
            model = fixtures_models.model(feedback_start=start)
        images = fixtures_models.images(2)
        found = activations(model, images, ["*.f", "*.g", "*.z"], iterations=1)
        self.assertEqual({value.dtype for value in found.values()}, {np.dtype("float32")})
        trajectory = model.infer(images, iterations=2)
        self.assertAllClose(
            found["conv1.g"], [tf.cast(signals[0], "float32") for signals in trajectory.signals], 0.05, 0.05
        )
        self.assertAllClose(found["h.g"], tf.cast(trajectory.reconstructions, "float32"), 0.05, 0.05)

    def test_images_of_any_size(self):
        kl = keras.layers
        stack = [
            kl.Conv2D(8, 3, name="stem"),
            kl.ReLU(name="stem_relu"),
            kl.MaxPooling2D(3, 2, "same", name="stem_pool"),
        ]
        stack += [kl.GlobalAveragePooling2D(), kl.Dense(3, name="logits")]
        model = CNNF.from_keras(keras.Sequential([keras.Input((None, None, 1)), *stack]), iterations=1)
        rng = np.random.default_rng(0)
        batches = [rng.random((2, *size, 1)).astype(np.float32) for size in ((12, 16), (8, 8))]
        names = ["stem_relu.*", "stem_pool.z", "logits"]
        found = activations(model, batches, names, reduce="mean")
        self.assertEqual(found["stem_pool.z"].shape, (2, 4, 8))
        trajectory = model.infer(batches[1])
        place = [layer.name for layer in model.network.layers].index("stem_relu")
        latents = [np.mean(latents[place], axis=(1, 2)) for latents in trajectory.latents]
        self.assertAllClose(found["stem_relu.z"][:, 2:], latents, **CLOSE)
        self.assertAllClose(found["logits.f"][:, 2:], trajectory.logits, **CLOSE)
        self.assertEqual(Recording(model, "stem_relu").shapes(), {"stem_relu.f": (2, None, None, 8)})
        alone = activations(model, batches[0], names)
        shapes = Recording(model, names).shapes((12, 16, 1))
        self.assertEqual({name: (2, *value.shape[2:]) for name, value in alone.items()}, shapes)
        for use, message in (
            (lambda: activations(model, batches, "stem"), r"'stem.f' is \(10, 14, 8\) for some images and \(6, 6, 8\)"),
            (
                lambda: activations(model, batches, "stem", reduce="sparse:3"),
                "wants images of one size: 'stem.f' has 288",
            ),
            (lambda: write_activations(self.path(), model, batches, "stem"), "images of several sizes"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                use()

    def test_a_composite_with_a_way_of_its_own_is_one_place(self):
        own = OneWay([layers.Tap(layers.AdaReLU(name="relu"), name="tap")], name="own")
        network = [
            layers.FeedbackConv2D(2, name="conv"),
            own,
            layers.FeedbackFlatten(),
            layers.FeedbackDense(3, name="fc"),
        ]
        model = CNNF(layers.FeedbackSequential(network), image_shape=(4, 4, 1), eta=0.3)
        images = fixtures_models.images(2)[:, :4, :4]
        self.assertNotIn("own/tap.f", [activation.name for activation in list_activations(model)])
        found = activations(model, images, ["conv", "own.*", "fc.*"], iterations=2)
        trajectory = model.infer(images, iterations=2)
        self.assertAllClose(found["fc.f"], trajectory.logits, **CLOSE)
        self.assertAllClose(found["own.f"][0], np.maximum(2 * found["conv.f"][0], 0), **CLOSE)

    def test_leaves_training_alone(self):
        weights = []
        for recorded in (False, True):
            keras.utils.set_random_seed(0)
            model = fixtures_models.smaller_model(iterations=1)
            before = {id(layer): sorted(vars(layer)) for layer in model._flatten_layers(include_self=False)}
            model.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
            record_more = functools.partial(activations, model, fixtures_models.images(2), "*.*", reduce="mean")
            callback = keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs, more=record_more: more() and None
            )
            if recorded:
                record_more()
                after = {id(layer): sorted(vars(layer)) for layer in model._flatten_layers(include_self=False)}
                self.assertEqual(after, before)
            model.fit(fixtures_models.dataset(12, 4), verbose=0, shuffle=False, callbacks=[callback] * recorded)
            weights.append([variable.numpy() for variable in model.variables])
        for plain, probed in zip(*weights, strict=True):
            self.assertAllEqual(plain, probed)

    @parameterized.parameters(
        ({"layers": []}, "layers must be a pattern"),
        ({"layers": "convv1.f"}, "'convv1.f' matches nothing; .* close to it are conv1.f"),
        ({"iterations": -1}, "iterations must be an integer >= 0"),
        ({"images": np.zeros((0, 8, 8, 1), np.float32)}, "there is no image"),
        ({"images": np.zeros((2, 9, 8, 1), np.float32)}, r"CNNF wants images \[batch, 8, 8, 1\]"),
        ({"images": np.zeros((2, 8, 8, 1), np.uint8)}, "divide uint8 by 255"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"reduce": "pca"}, 'reduce must be "mean", or "pca:N"'),
        ({"reduce": "pca:0"}, 'reduce must be "mean", or "pca:N"'),
        ({"reduce": "tsne:2"}, "got 'tsne:2'"),
        ({"reduce": 3}, "got 3"),
        ({"reduce": "pca:3"}, "there are 2 images, and N may not be more"),
        ({"reduce": "sparse:257"}, "'conv1.f' has 256 numbers for each image and pass"),
        ({"reduce": "sparse:3", "seed": -1}, "seed must be an integer >= 0"),
        ({"reduce": "pca:2", "images": iter([])}, "goes through the images twice"),
        ({"reduce": "pca:3", "images": [np.zeros((2, 8, 8, 1), np.float32)]}, "there are 2 images"),
    )
    def test_what_cannot_be(self, options, message):
        options = {"images": np.zeros((2, 8, 8, 1), np.float32), "layers": "conv1"} | options
        with self.assertRaisesRegex(ValueError, message):
            activations(fixtures_models.model(), **options)

    def path(self):
        return pathlib.Path(self.create_tempdir().full_path, "found.nc")


class ReduceTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.model, self.images = fixtures_models.smaller_model(iterations=1), fixtures_models.images(20)
        self.layers = ["ada_relu.f", "conv.g", "ada_pool.z"]
        self.full = activations(self.model, self.images, self.layers)

    def test_mean(self):
        found = activations(self.model, self.images, [*self.layers, "fc"], reduce="mean")
        for name, value in self.full.items():
            self.assertAllClose(found[name], value.mean(axis=(2, 3)), **CLOSE)
        self.assertEqual(found["fc.f"].shape, (2, 20, 3))

    def test_sparse(self):
        found = activations(self.model, self.images, self.layers, reduce="sparse:9", seed=3, batch_size=7)
        for name, value in self.full.items():
            theirs = SparseRandomProjection(9, random_state=3)
            rows = value.reshape(40, -1)
            self.assertAllClose(found[name].reshape(40, 9), theirs.fit_transform(rows), **CLOSE)
        other = activations(self.model, self.images, self.layers, reduce="sparse:9", seed=4)
        self.assertNotAllClose(other["conv.g"], found["conv.g"])

    def test_pca_is_that_of_all_passes(self):
        found = activations(self.model, self.images, self.layers, reduce="pca:5")
        for name, value in self.full.items():
            rows = value.reshape(40, -1).astype(np.float64)
            rows -= rows.mean(axis=0)
            left, scale, _ = np.linalg.svd(rows, full_matrices=False)
            wanted = left[:, :5] * scale[:5]
            ours = found[name].reshape(40, 5)
            self.assertAllClose(ours, wanted * np.sign(np.sum(ours * wanted, axis=0)), rtol=1e-3, atol=1e-4)

    def test_pca_in_batches(self):
        """What few batches lose is nothing where there are few rows, as scikit-learn has it in one piece."""
        found = activations(self.model, self.images[:9], ["conv.g"], reduce="pca:8", batch_size=3)["conv.g"]
        rows = self.full["conv.g"][:, :9].reshape(18, -1).astype(np.float64)
        wanted = PCA(8, svd_solver="full").fit_transform(rows)
        self.assertAllClose(found.reshape(18, 8), wanted, rtol=1e-3, atol=1e-4)

    def test_components_of_many_batches(self):
        generator = np.random.default_rng(0)
        rows = generator.standard_normal((400, 40)) * 0.8 ** np.arange(40) + generator.standard_normal(40)
        ours, theirs = reductions._Components(3), PCA(3, svd_solver="full").fit(rows)
        for part in np.split(rows, 20):
            ours.partial_fit(part)
        self.assertAllClose(ours.transform(rows), theirs.transform(rows), atol=0.05)
        alike = reductions._Components(2)
        alike.partial_fit(np.ones((4, 5)))
        self.assertAllEqual(alike.transform(np.ones((3, 5))), np.zeros((3, 2)))


class StreamTest(tf.test.TestCase):
    def test_labels_and_ids(self):
        model, images = fixtures_models.smaller_model(iterations=1), fixtures_models.images(5)
        recording = Recording(model, "fc")
        labels = fixtures_models.labels(5)
        wanted = activations(model, images, "fc")["fc.f"]
        for given, own in (
            (images, {"labels": labels, "batch_size": 2}),
            (tf.data.Dataset.from_tensor_slices((images, labels)).batch(2), {}),
        ):
            batches = list(recording.stream(given, image_ids=(f"test[{n}]" for n in range(9)), **own))
            self.assertAllEqual(np.concatenate([batch.labels for batch in batches]), labels)
            self.assertEqual([name for batch in batches for name in batch.image_ids], [f"test[{n}]" for n in range(5)])
            self.assertAllClose(np.concatenate([batch.values["fc.f"] for batch in batches], axis=1), wanted, **CLOSE)
        alone = tf.data.Dataset.from_tensor_slices(images).batch(5)
        (batch,) = recording.stream(alone)
        self.assertIsNone(batch.labels)
        self.assertEqual(batch.image_ids[-1], "image[4]")
        one_hot = tf.data.Dataset.from_tensor_slices((images, tf.one_hot(labels, 3))).batch(5)
        self.assertIsNone(next(recording.stream(one_hot)).labels)
        pairs = tf.data.Dataset.from_tensor_slices(({"images": images, "clean": images}, labels)).batch(5)
        self.assertAllEqual(next(recording.stream(pairs)).labels, labels)
        for wrong, message in (
            (["a", "b", "c"], "image_ids: wanted one for each of 5 images, got 3"),
            (iter("abc"), "image_ids: wanted one for each image, got 3"),
            ("abcde", "image_ids must be a text for each image, got 'abcde'"),
            (range(5), "image_ids must be texts or paths, got 0"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                list(recording.stream(images, image_ids=wrong))
        for labels in (np.ones(5, np.float32), np.eye(5), np.array(list("abcde"))):
            with self.assertRaisesRegex(ValueError, "labels must be integers"):
                recording.stream(images, labels=labels)
        for wrong in ("fashion_mnist", None, 3):
            with self.assertRaisesRegex(ValueError, "images must be an array or a data set, got"):
                recording.stream(wrong)
        with self.assertRaisesRegex(ValueError, "labels: wanted one for each image"):
            recording.stream(images, labels=labels[:4])

    def test_memory_does_not_depend_on_the_number_of_images(self):
        model = fixtures_models.smaller_model(iterations=1)
        images = fixtures_models.images(30).numpy()
        path, names = pathlib.Path(self.create_tempdir().full_path, "found.nc"), ["conv.f", "h.g"]
        peaks = {}
        for count in (1, 2, 8):  # the first one traces
            batches = type("Batches", (), {"__iter__": lambda self, count=count: iter([images] * count)})()
            seen: list[int] = []
            tracemalloc.start()
            write_activations(path, model, batches, names, progress=seen.append)
            write_activations(path, model, batches, names, reduce="pca:3", progress=seen.append)
            peaks[count] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self.assertEqual(sum(seen), 3 * 30 * count)
        self.assertLess(peaks[8], 1.2 * peaks[2])

    def test_the_file(self):
        model, images = fixtures_models.smaller_model(iterations=1), fixtures_models.images(5)
        path = pathlib.Path(self.create_tempdir().full_path, "found.nc")
        names = ("boot", "bag", "shirt")
        options = {"labels": fixtures_models.labels(5), "class_names": names, "attributes": {"data": "x"}}
        self.assertEqual(write_activations(path, model, images, ["tap.f", "h.g"], batch_size=2, **options), 5)
        wanted = activations(model, images, ["tap.f", "h.g"])
        with open_activations(path) as found:
            self.assertEqual(found.names, ["h.g", "tap.f"])
            for name in found.names:
                self.assertAllClose(found[name], wanted[name], **CLOSE)
            self.assertAllEqual(found.labels, options["labels"])
            self.assertEqual(found.class_names, list(names))
            self.assertEqual(found.details("tap.f"), {"kind": "features", "layer": "Tap", "reduce": "none"})
            self.assertEqual((found.attributes["eta"], found.attributes["data"]), ("0.1", "x"))
        with self.assertRaisesRegex(ValueError, r"would take about 8.25 TiB, and .* are free"):
            write_activations(path, model, np.broadcast_to(np.float32(0), (2**32, 8, 8, 1)), "tap")


if __name__ == "__main__":
    tf.test.main()
