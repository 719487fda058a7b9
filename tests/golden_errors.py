"""How far our outputs on JAX are from the authors': `python -m tests.golden_errors PRECISIONS [FILE ...]`.

PRECISIONS are JAX's, by comma. For a GPU (tools/gpu_check.sh), so it starts no second device and no float64. It prints
lines of JSON: first how many files are held to the tolerance, and the device; then those files at every precision, then
the others.
"""

import json
import sys

import jax
import jax.numpy as jnp

from cnnf_tf.experiments.accelerator.programs import machine
from cnnf_tf.zoo import reference
from tests import golden_files

ILL_CONDITIONED = {"wide_resnet_40_2_ind5"}
"""Float32 itself misses the tolerance there; tests/models/golden_test.py says why."""


def main(precisions, *names):
    names = sorted(names or golden_files.FILES, key=lambda name: name in ILL_CONDITIONED)
    say({"held": len({*names} - ILL_CONDITIONED)} | machine())
    for name in names:
        make_state, ind, iterations = golden_files.FILES[name]
        images, expected = golden_files.load(name)
        model = reference.from_state_dict(make_state(), ind=ind, iterations=iterations)
        for precision in precisions.split(","):
            with jax.default_matmul_precision(precision):
                infer = jax.jit(lambda images, model=model: model.infer(images)._replace(latents=[], signals=[]))
                arrays = golden_files.named_arrays(infer(jnp.asarray(images, "float32")))
            errors = {key: golden_files.relative_error(arrays[key], values) for key, values in expected.items()}
            worst = max(errors, key=errors.get)
            tolerance = None if name in ILL_CONDITIONED else golden_files.TOLERANCE
            row = {"file": name, "precision": precision, "largest_error": errors[worst], "array": worst}
            say(row | {"tolerance": tolerance})


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
