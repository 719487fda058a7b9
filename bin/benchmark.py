"""Times inference against the sum of its own bare convolutions and matrix products, in the same run.

Example:
  python bin/benchmark.py
  python bin/benchmark.py --iterations=0,1,2,5 --ind=0,2 --mode=eager --mode=graph --mode=xla --output=benchmark.json

Read the ratio (time / floor), not the milliseconds: the floor is measured beside the model, on the same machine.
"""

import _app
from absl import flags

_NETWORK = flags.DEFINE_enum("network", "fashion_cnn", ["fashion_cnn", "wide_resnet"], "Which network to time.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images per batch.", lower_bound=1)
_ITERATIONS = flags.DEFINE_list("iterations", ["1"], "Values of K, separated by commas.")
_IND = flags.DEFINE_list("ind", ["2"], "Values of ind (blocks left out of the loop), separated by commas.")
_MODES = flags.DEFINE_multi_enum(
    "mode", ["graph", "xla"], ["eager", "graph", "xla"], "How to run the model; give it several times for several ways."
)
_DTYPE = flags.DEFINE_enum("dtype_policy", "float32", ["float32", "mixed_bfloat16"], "Keras dtype policy.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "Rounds; medians are taken over them.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write; default: none.")

_IMAGE_SHAPES = {"fashion_cnn": (28, 28, 1), "wide_resnet": (32, 32, 3)}


def _integers(flag: flags.FlagHolder) -> list[int]:
    try:
        return [int(value) for value in flag.value]
    except ValueError:
        raise _app.UsageError(f"--{flag.name} wants integers separated by commas, got {flag.value}.") from None


def main() -> None:
    iterations, inds = _integers(_ITERATIONS), _integers(_IND)

    _app.start_tensorflow()
    import keras

    from cnnf_tf import CNNF, evaluation
    from cnnf_tf.files import write_json

    keras.config.set_dtype_policy(_DTYPE.value)
    rows = []
    print(f"{_NETWORK.value}, batch {_BATCH_SIZE.value}, {_DTYPE.value}, median of {_REPEATS.value}")
    print(f"{'ind':>4}{'K':>4}{'floor ms':>10}" + "".join(f"{mode + ' ms':>12}{'/ floor':>9}" for mode in _MODES.value))
    for ind in inds:
        for count in iterations:
            model = CNNF.from_name(
                _NETWORK.value,
                image_shape=_IMAGE_SHAPES[_NETWORK.value],
                network={"ind": ind},
                iterations=count,
            )
            timing = evaluation.time_inference(
                model, batch_size=_BATCH_SIZE.value, repeats=_REPEATS.value, modes=tuple(_MODES.value)
            )
            cells = [f"{timing.modes_ms[mode]:>12.1f}{timing.ratios[mode]:>9.2f}" for mode in _MODES.value]
            print(f"{ind:>4}{count:>4}{timing.floor_ms:>10.1f}" + "".join(cells), flush=True)
            rows.append({"ind": ind} | timing.to_dict())
    if _OUTPUT.value:
        write_json(_OUTPUT.value, {"network": _NETWORK.value, "dtype_policy": _DTYPE.value, "rows": rows})
        print(f"wrote {_OUTPUT.value}")


if __name__ == "__main__":
    _app.run(main)
