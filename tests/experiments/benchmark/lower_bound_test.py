from collections import Counter

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import attacks
from cnnf_tf.experiments.benchmark import cases, linear_ops, lower_bound, setups
from cnnf_tf.experiments.benchmark.linear_ops import Kind, LinearOp
from tests.experiments.benchmark import fixtures_ops
from tests.models import fixtures_models

PRODUCTS = {(False, False): Kind.FORWARD, (False, True): Kind.DATA, (True, False): Kind.WEIGHTS}
"""By `transpose_a` and `transpose_b`."""
CONVOLUTIONS = {"Conv2D": Kind.FORWARD, "Conv2DBackpropInput": Kind.DATA, "Conv2DBackpropFilter": Kind.WEIGHTS}


def ops_of(function, *arguments):
    """How many convolutions and matrix products of each kind the outputs of a function depend on."""
    graph = tf.function(function, autograph=False).get_concrete_function(*arguments).graph
    return ops_behind(graph.outputs, graph.control_outputs)


def ops_behind(outputs, control_outputs=()):
    """As `ops_of`, of tensors and operations of a graph; a function that it calls counts with each call."""
    seen, used, found = {*control_outputs}, set(), Counter()
    waiting = [*control_outputs, *(tensor.op for tensor in outputs)]
    used.update(tensor.ref() for tensor in outputs)
    while waiting:
        op = waiting.pop()
        seen.add(op)
        used.update(tensor.ref() for tensor in op.inputs)
        above = [*(tensor.op for tensor in op.inputs), *op.control_inputs]
        waiting += [other for other in dict.fromkeys(above) if other not in seen and other not in waiting]
    for op in seen:
        if op.type in CONVOLUTIONS:
            found[CONVOLUTIONS[op.type]] += 1
        elif op.type == "MatMul":
            found[PRODUCTS[op.get_attr("transpose_a"), op.get_attr("transpose_b")]] += 1
        elif op.type in ("PartitionedCall", "StatefulPartitionedCall"):
            inside = op.graph._get_function(op.get_attr("f").name).graph.outputs
            wanted = [inner for outer, inner in zip(op.outputs, inside, strict=True) if outer.ref() in used]
            found += ops_behind(wanted)
    return found


def totals(work):
    found = Counter()
    for op, count in work.items():
        found[op.kind] += count
    return found


def image_gradient(model, path, iterations):
    source = attacks.gradient_source(model, path, iterations=iterations)

    def gradient(images):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            loss = tf.reduce_logsumexp(source(images))  # not linear, or else the last logits would be dead
        return tape.gradient(loss, images)

    return gradient


class WorkTest(tf.test.TestCase, parameterized.TestCase):
    """The floor counts exactly the linear ops that the traced graphs hold, and are not dead."""

    @parameterized.product(iterations=(0, 1, 2), with_encoder=(False, True))
    def test_inference(self, iterations, with_encoder):
        model = fixtures_models.model(with_encoder=with_encoder)
        work = linear_ops.work(model, 2, iterations=iterations)
        graph = ops_of(attacks.predictor(model, iterations=iterations), fixtures_models.images(2))
        self.assertEqual(totals(work), graph)

    @parameterized.product(iterations=(0, 1, 2), with_encoder=(False, True))
    def test_image_gradient(self, iterations, with_encoder):
        model = fixtures_models.model(with_encoder=with_encoder)
        full = linear_ops.work(model, 2, iterations=iterations, gradient="images")
        self.assertEqual(
            totals(full), ops_of(image_gradient(model, "full_unroll", iterations), fixtures_models.images(2))
        )
        first = linear_ops.work(model, 2, iterations=0, gradient="images")
        self.assertEqual(
            totals(first), ops_of(image_gradient(model, "first_pass", iterations), fixtures_models.images(2))
        )

    @parameterized.product(network=("fashion_cnn", "wide_resnet"), encoder_blocks=(None, 0), iterations=(0, 1, 2))
    def test_training(self, network, encoder_blocks, iterations):
        setup = setups.SMOKE_SETUPS[network]
        case = setups.Case(
            setups.TRAINING, setup, setup.encoder_blocks if encoder_blocks is None else encoder_blocks, iterations, 2
        )
        bench = cases.CaseBuilder({})
        images, labels = tf.zeros([2, *setup.image_shape]), tf.zeros([2], tf.int32)
        self.assertEqual(totals(bench.work(case)), ops_of(bench.step(case), images, labels))

    def test_adversarial_training_is_its_steps_and_a_batch_of_twice_the_size(self):
        setup = setups.SMOKE_SETUPS["fashion_cnn"]
        case = setups.Case(setups.ADVERSARIAL_TRAINING, setup, 2, 1, 2)
        work = cases.CaseBuilder({}).work(case)
        lowest = [op for op in work if op.features == (2, 28, 28, 1)]
        self.assertEqual({op.kind: work[op] for op in lowest}, {Kind.FORWARD: 7, Kind.DATA: 7})
        # In the update: conv1 once, and no gradient of the images.
        lowest = [op for op in work if op.features == (4, 28, 28, 1)]
        self.assertEqual({op.kind: work[op] for op in lowest}, {Kind.FORWARD: 1, Kind.WEIGHTS: 1})

    def test_layers_that_are_alike_share_an_op(self):
        model = fixtures_models.model()
        work = linear_ops.work(model, 3, iterations=1)
        conv2 = LinearOp(Kind.FORWARD, (3, 4, 4, 4), (3, 3, 4, 4), (3, 4, 4, 4), 1, True, "float32")
        self.assertEqual(work[conv2], 2)
        self.assertEqual(work[conv2._replace(kind=Kind.DATA)], 1)
        self.assertEqual(linear_ops.combine(work, work, times=3)[conv2], 12)

    def test_dtype_is_that_of_each_layer(self):
        setup = setups.SMOKE_SETUPS["fashion_cnn"]
        case = setups.Case(setups.INFERENCE, setup, 2, 1, 2, "bfloat16")
        dtypes = {op.kernel: op.dtype for op in cases.CaseBuilder({}).work(case)}
        self.assertEqual(dtypes.pop((128, 10)), "float32")
        self.assertEqual(set(dtypes.values()), {"bfloat16"})


class BareTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters((str(place), forward) for place, forward in enumerate(fixtures_ops.FORWARD))
    def test_the_three_maps_are_of_one_bilinear_form(self, forward):
        inputs = lower_bound.random_inputs()
        other = {Kind.FORWARD: (3, forward.output), Kind.DATA: (1, forward.features), Kind.WEIGHTS: (2, forward.kernel)}
        forms = []
        for kind, (stream, shape) in other.items():
            result = lower_bound.bare(forward._replace(kind=kind), inputs)()
            self.assertEqual(tuple(result.shape), shape)
            forms.append(tf.reduce_sum(result * inputs(stream, shape, "float32")))
        self.assertAllClose(forms, [forms[0]] * 3, rtol=1e-4)
        self.assertGreater(abs(float(forms[0])), 1e-3)

    def test_bfloat16(self):
        for op in fixtures_ops.FORWARD:
            for kind in Kind:
                result = lower_bound.bare(op._replace(kind=kind, dtype="bfloat16"), lower_bound.random_inputs())()
                self.assertEqual(result.dtype, tf.bfloat16)

    def test_floor_runs_each_op_as_often_as_it_says(self):
        calls = Counter()
        count = lambda name: calls.update([name]) or tf.zeros([2])  # noqa: E731
        work = [(lambda: tf.py_function(lambda: count("a"), [], tf.float32), 3)]
        work += [(lambda: tf.py_function(lambda: count("b"), [], tf.float32), 1)]
        tf.function(lambda: lower_bound._one_after_the_other(work), autograph=False)()
        self.assertEqual(calls, {"a": 3, "b": 1})

    def test_floor_of_a_model(self):
        work = linear_ops.work(fixtures_models.model(), 2, iterations=1, gradient="weights")
        self.assertNotEqual(float(lower_bound.floor(work, lower_bound.random_inputs())()), 0.0)

    def test_inputs_are_shared_and_seeded(self):
        inputs = lower_bound.random_inputs(seed=1)
        self.assertIs(inputs(1, (2, 3), "float32"), inputs(1, (2, 3), "float32"))
        self.assertNotAllClose(inputs(1, (2, 3), "float32"), inputs(2, (2, 3), "float32"))
        again = lower_bound.random_inputs(seed=1)(1, (2, 3), "float32")
        self.assertAllEqual(inputs(1, (2, 3), "float32"), again)


if __name__ == "__main__":
    tf.test.main()
