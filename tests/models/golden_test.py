"""Our outputs against those of the authors' PyTorch code, for every array of all six golden files.

Agreement is 1e-4 of each array's largest magnitude. In one file, wide_resnet_40_2_ind5, exact arithmetic itself is
further than that from the golden values: the "reference" rule switches units on and off at f * g = 0, and one plane of
the signal is a cancellation (1e-4 out of terms of size 1) that the down-going norm blows up to size 1, so that float32
rounding decides. There an array is held to 1e-4 wherever the golden file is itself within 1e-5 of our float64 outputs,
and elsewhere to a multiple of the golden file's own distance from them.
"""

import functools

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.utils.dtypes import dtype_policy
from cnnf_tf.zoo import reference
from tests import golden_files
from tests.golden_files import FILES, TOLERANCE, named_arrays, relative_error

WELL_CONDITIONED = 1e-5
MODES = ("eager", "graph", "xla")


@functools.cache
def model_of(name, dtype="float32"):
    make_state, ind, iterations = FILES[name]
    with dtype_policy(dtype):
        return reference.from_state_dict(make_state(), ind=ind, iterations=iterations)


@functools.cache
def exact(name):
    """What float64 gives."""
    images, _ = golden_files.load(name)
    return run(model_of(name, "float64"), images.astype("float64"), "eager")


def run(model, images, mode):
    infer = model.infer if mode == "eager" else tf.function(model.infer, jit_compile=mode == "xla")
    return named_arrays(infer(tf.constant(images)))


class GoldenTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(name=[name for name in FILES if name != "wide_resnet_40_2_ind5"], mode=MODES)
    def test_equals_the_authors(self, name, mode):
        images, golden = golden_files.load(name)
        arrays = run(model_of(name), images, mode)
        self.assertEqual(arrays.keys(), golden.keys())
        for key, expected in golden.items():
            self.assertLess(relative_error(arrays[key], expected), TOLERANCE, key)

    @parameterized.parameters(*MODES)
    def test_equals_the_authors_as_far_as_rounding_allows(self, mode):
        name = "wide_resnet_40_2_ind5"
        images, golden = golden_files.load(name)
        arrays = run(model_of(name), images, mode)
        self.assertEqual(arrays.keys(), golden.keys())
        strict = 0
        for key, expected in golden.items():
            own_error = relative_error(expected, exact(name)[key])
            strict += own_error < WELL_CONDITIONED
            allowed = TOLERANCE if own_error < WELL_CONDITIONED else max(TOLERANCE, 5 * own_error)
            self.assertLess(relative_error(arrays[key], expected), allowed, key)
        self.assertGreaterEqual(strict, 6)

    def test_float64_is_the_same_arithmetic(self):
        """The bound above rests on our float64 outputs: where the golden files are well conditioned, they agree."""
        _, golden = golden_files.load("wide_resnet_16_2_ind1")
        for key, expected in golden.items():
            self.assertLess(relative_error(exact("wide_resnet_16_2_ind1")[key], expected), WELL_CONDITIONED, key)


if __name__ == "__main__":
    tf.test.main()
