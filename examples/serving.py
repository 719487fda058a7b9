"""Serving: from a trained model to a SavedModel that runs without this package, and predictions from it.

    python examples/serving.py            # a model that comes with the package, and Fashion-MNIST
    python examples/serving.py --smoke    # the same model, and a few images that come with the checkout

Needs the extra `serving` (python -m pip install '.[serving]') for the warm-up requests of TensorFlow Serving.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import logging

from cnnf_tf import data, serving
from cnnf_tf.utils.tables import aligned
from cnnf_tf.zoo import load_model

MINI = pathlib.Path(__file__).resolve().parent.parent / "tests" / "testdata" / "fashion_mnist_mini"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", action="store_true", help="images that come with the checkout")
parser.add_argument("--model", default="pretrained:fashion_mnist_standard", help="or a .keras file")
parser.add_argument("--output", type=pathlib.Path, help="folder of the versions; default: a temporary one")
options = parser.parse_args()

logging.set_verbosity(logging.ERROR)  # TensorFlow warns that a loaded graph may have no gradients; none is wanted
name = f"idx:{MINI}" if options.smoke else "fashion_mnist"
facts = data.info(name)
images, labels = (array[:8] for array in data.load_arrays(name, "test"))
model = load_model(options.model)

# 1. Export. A version becomes visible only after it was reloaded in two fresh processes, by `tf.saved_model.load` and
#    by TensorFlow's C API, and gave the answers of the original. What is fixed now: the iterations of a plain request,
#    and the most that a request may ask for.
base = options.output or pathlib.Path(tempfile.mkdtemp(prefix="serving-")) / "cnnf"
exported = serving.export_model(
    model,
    base,
    options=serving.ServingOptions.for_model(model, iterations=1, max_iterations=5),
    class_names=facts.class_names,
    images=images,
)
for loader, difference in exported.differences.items():
    print(f"reloaded with {loader}: largest difference {difference:.1e}")

# 2. The same directory in a process that never imports cnnf_tf: any program that has TensorFlow can run it.
PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
from absl import logging

logging.set_verbosity(logging.ERROR)
model = tf.saved_model.load(sys.argv[1])
answer = model.signatures["serving_default"](images=tf.constant(np.load(sys.argv[2])))
print("labels, from a process without cnnf_tf:", answer["label"].numpy().tolist())
assert "cnnf_tf" not in sys.modules
"""
with tempfile.NamedTemporaryFile(suffix=".npy") as file:
    np.save(file.name, images)
    subprocess.run([sys.executable, "-c", PROGRAM, str(exported.directory), file.name], check=True)

# 3. The client. It sends batches, retries while a server is busy, and gives plain values; here it asks the SavedModel
#    in this process. For a server, take GrpcTransport("localhost:8500", "cnnf") or RestTransport(...) instead.
#    An image stops by itself once it is self-consistent: how many feedback passes did each one use?
client = serving.Client(serving.SavedModelTransport(base))
rows = [("true", "said", "probability", "passes used")]
for label, answer in zip(labels, client.classify(images, max_iterations=5, tolerance=0.3), strict=True):
    rows.append(
        (facts.class_names[label], answer.class_name, f"{100 * answer.probability:.1f} %", str(answer.iterations_used))
    )
print(f"\n{aligned(rows)}")
print(f"\nwrote {exported.directory}")
print("For TensorFlow Serving see docs/serving.md; from the shell: bin/export.py and bin/predict.py.")
