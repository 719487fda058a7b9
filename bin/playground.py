"""A page to play with: one image in a CNN and a CNN-F side by side, pass by pass. Needs the extra `playground`.

Example:
  python bin/playground.py
  python bin/playground.py --model=pretrained:fashion_mnist_restore
  python bin/playground.py --model=my.keras --cnn=my_cnn.keras \\
      --dataset=image_folder:photos
  python bin/playground.py --host=0.0.0.0 --port=9000

Open the address that it prints in a browser; Ctrl-C ends it. Pick an image of the data set, draw one or upload one;
corrupt or attack it; move K and eta, and see h, g(0), the probabilities of the classes and how self-consistent the
network is. All comes from this machine, and no image leaves it. With --host=0.0.0.0 a phone in the same network reaches
it, and so does everybody else there.

Without --model the pair is the pretrained fashion_mnist_standard and fashion_mnist_standard_cnn. Without --cnn the CNN
beside a pretrained NAME is NAME_cnn, where there is one, and beside any other --model that model without feedback.
Without --dataset the examples are those of Fashion-MNIST, if it is prepared and the model takes them; if not there are
none, and the rest works.
"""

import errno
import socket
from typing import Any

import _app
from absl import flags

_MODEL = _app.define_model()
_CNN = _app.define_model("cnn", "The CNN beside it")
_DATASET, _SPLIT = _app.define_data("Split with the examples.")
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; 0.0.0.0: all of this machine.")
_PORT = flags.DEFINE_integer("port", 8080, "Port to listen at; 0: one that is free.", lower_bound=0, upper_bound=65535)

_DEFAULT = "pretrained:fashion_mnist_standard"
_EXAMPLES = 720  # of the split, at most


def main() -> None:
    port = _free_port(_HOST.value, _PORT.value)
    _app.start_tensorflow()
    names, lab = _lab()
    examples, class_names, missing = _examples(lab, names[0])
    _app.need_extra("the playground", "nicegui", "playground")
    from cnnf_tf.experiments.playground import page

    shown = "localhost" if _HOST.value in ("127.0.0.1", "0.0.0.0") else _HOST.value
    shown = f"[{shown}]" if ":" in shown else shown  # IPv6

    def ready() -> None:
        print(f"Open http://{shown}:{port} in a browser; Ctrl-C ends it.", flush=True)

    page.serve(page.Room(lab, names, class_names, examples, missing), host=_HOST.value, port=port, ready=ready)
    print("Stopped.")


def _lab() -> tuple[tuple[str, str], Any]:
    """What the page calls CNN-F and CNN, and the two."""
    from cnnf_tf.experiments.playground.measures import Lab
    from cnnf_tf.zoo import load_model, pretrained_names

    name = _MODEL.value or _DEFAULT
    cnnf, pair = load_model(name), f"{name}_cnn"
    if _CNN.value:
        return (name, _CNN.value), Lab(cnnf, _app.load_other_model(cnnf, "cnn"))
    if pair.removeprefix("pretrained:") in pretrained_names() and pair.startswith("pretrained:"):
        return (name, pair), Lab(cnnf, load_model(pair))
    return (name, "the same network without feedback"), Lab(cnnf, cnnf)


def _examples(lab: Any, name: str) -> tuple[list[Any], list[str], str]:
    """Examples of the data set, the names of the classes, and why there are no examples.

    A data set that nobody asked for may be missing, or be of another kind.
    """
    from cnnf_tf.experiments.playground.images import Example
    from cnnf_tf.zoo import class_names

    asked, known = _DATASET.present or _SPLIT.present, class_names(name)
    try:
        facts = _app.data_info()
        _app.check_data(lab.cnnf.model, "dataset", _DATASET.value, facts)
        pairs = list(_app.load_data(limit=_EXAMPLES).as_numpy_iterator())
    except (FileNotFoundError, _app.UsageError) as error:
        if asked:
            raise
        names = known or [f"class {index}" for index in range(lab.num_classes)]
        return [], names, f"No examples: {str(error).removesuffix('.')}. Draw or upload an image."
    names = list(facts.class_names)
    examples = [
        Example(image, int(label), f"image {index} of {_SPLIT.value}: {names[label]}")
        for index, (image, label) in enumerate(pairs)
    ]
    return examples, names, ""


def _free_port(host: str, port: int) -> int:
    """The port, or one that is free for 0, once it is known that this program may listen there."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            return listener.getsockname()[1]
    except socket.gaierror:
        raise _app.UsageError(f"--host wants an address of this machine such as 127.0.0.1, got {host!r}.") from None
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise _app.UsageError(
            f"--port={port} of --host={host} {reason}; give another, or --port=0 for one that is free."
        ) from None


if __name__ == "__main__":
    _app.run(main)
