"""Turns a state dict of the authors' PyTorch code (a .pt file) into a .keras model of ours.

Example:
  python bin/import_reference.py --input=CNNF_1_fmnist.pt \\
      --output=cnnf_1_fmnist.keras --ind=2 --iterations=1
  python bin/import_reference.py --input=CNNF_2_cifar.pt \\
      --output=cnnf_2_cifar.keras --ind=5 --iterations=2

The network (Fashion-MNIST CNN or WideResNet-d-k) and its sizes are read off the file; --ind and --iterations are not in
it and must be given. Needs PyTorch: pip install 'cnnf_tf[torch]'.
"""

import pathlib

import _app
from absl import flags

from cnnf_tf.utils.files import atomic_path

_INPUT: flags.FlagHolder = flags.DEFINE_string("input", None, "The .pt file, a state dict.")
_OUTPUT = _app.define_output("The .keras file to write.", suffix=".keras", replaces=False)
_IND: flags.FlagHolder = flags.DEFINE_integer(
    "ind",
    None,
    "The authors' name of encoder_blocks, blocks left out of the loop: 0 to 2 (Fashion-MNIST), 0 to (depth - 4) / 6 "
    "(WideResNet).",
    lower_bound=0,
)
_ITERATIONS: flags.FlagHolder = flags.DEFINE_integer("iterations", None, "K, feedback passes.", lower_bound=0)
_ETA = flags.DEFINE_float("eta", 0.1, "Step size of the loop.", lower_bound=0.0, upper_bound=1.0)
_app.limit_iterations("iterations")


def main() -> None:
    _app.require(_INPUT, _OUTPUT, _IND, _ITERATIONS)
    output = pathlib.Path(_OUTPUT.value)

    _app.start_tensorflow()
    from cnnf_tf.zoo import reference

    state = reference.load_state_dict(_INPUT.value)
    model = reference.from_state_dict(state, ind=_IND.value, iterations=_ITERATIONS.value, eta=_ETA.value)
    model.compile(optimizer="sgd")
    with atomic_path(output) as temporary:
        model.save(temporary)
    print(f"wrote {output}: {model.count_params():,} parameters, K = {model.iterations}, images {model.image_shape}.")


if __name__ == "__main__":
    _app.run(main)
