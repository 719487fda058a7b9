"""Runs a SavedModel with `tf.saved_model.load`; a program of its own that never imports this package.

    python run_in_python.py SAVED_MODEL_DIR JOB_JSON INPUTS_NPZ OUTPUTS_NPZ

JOB_JSON is a list of `{"signature": name, "outputs": [name, ...]}`, one entry for each case; arrays are called
`CASE/NAME` in the two files. An error of a call is written into the outputs as `CASE/error`, and the next case runs.
"""

import json
import pathlib
import sys

# This folder's modules are not to be found by plain names.
sys.path[:] = [path for path in sys.path if path != str(pathlib.Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def main(directory: str, job: str, inputs: str, outputs: str) -> None:
    """Runs all cases; see the module docstring."""
    signatures = tf.saved_model.load(directory).signatures
    results = {}
    with np.load(inputs) as arrays:
        for index, case in enumerate(json.loads(pathlib.Path(job).read_text(encoding="utf-8"))):
            prefix = f"{index}/"
            feeds = {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}
            try:
                values = signatures[case["signature"]](**{name: tf.constant(value) for name, value in feeds.items()})
            except tf.errors.OpError as error:
                results[f"{prefix}error"] = np.array(f"{error.error_code}: {error.message}")
                continue
            results |= {f"{prefix}{name}": values[name].numpy() for name in case["outputs"]}
    loaded = sorted(name for name in sys.modules if name.split(".")[0] == "cnnf_tf")
    if loaded:
        raise RuntimeError(f"the check wants a process without them, but these were imported: {loaded}.")
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
