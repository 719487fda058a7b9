"""Your own images: a folder with one sub-folder for each class is all that is needed.

    python examples/image_folder.py            # draws 600 small pictures, and trains on them for a minute
    python examples/image_folder.py --smoke    # fewer of them: seconds
    python examples/image_folder.py --folder=PATH --height=32 --width=32 --channels=3    # pictures of your own

The layout is PATH/split/class/anything.png (or .jpg, .webp, ...): the splits "train" and "test" here, and as many
classes as there are folders, numbered in alphabetical order. Without --folder this script draws circles, crosses and
squares into a temporary folder, so that there is something to learn.
"""

import argparse
import pathlib
import tempfile

import keras
import numpy as np
from PIL import Image, ImageDraw

from cnnf_tf import CNNF, data
from cnnf_tf.utils.tables import aligned

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--smoke", action="store_true", help="few images, few steps")
parser.add_argument("--folder", type=pathlib.Path, help="your own PATH; by default pictures are drawn")
parser.add_argument("--height", type=int, default=16, help="images are resized to this")
parser.add_argument("--width", type=int, default=16)
parser.add_argument("--channels", type=int, default=1, choices=(1, 3), help="1: grey, 3: colour")
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()


def draw_folder(folder: pathlib.Path, *, per_class: dict[str, int], seed: int) -> None:
    """Writes PNG files of circles, crosses and squares at random places, in random greys, with some noise."""
    random = np.random.default_rng(seed)
    for split, count in per_class.items():
        for shape in ("circle", "cross", "square"):
            (folder / split / shape).mkdir(parents=True)
            for number in range(count):
                picture = Image.new("L", (24, 24))
                pen = ImageDraw.Draw(picture)
                x, y, radius = (int(random.integers(8, 16)), int(random.integers(8, 16)), int(random.integers(4, 8)))
                ink = int(random.integers(140, 256))
                box = (x - radius, y - radius, x + radius, y + radius)
                if shape == "circle":
                    pen.ellipse(box, outline=ink, width=2)
                elif shape == "square":
                    pen.rectangle(box, outline=ink, width=2)
                else:
                    pen.line(box, fill=ink, width=2)
                    pen.line((box[0], box[3], box[2], box[1]), fill=ink, width=2)
                noisy = np.asarray(picture) + random.normal(0, 12, (24, 24))
                Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / split / shape / f"{number}.png")


keras.utils.set_random_seed(0)
folder = options.folder
if folder is None:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="shapes-"))
    draw_folder(folder, per_class={"train": 60, "test": 15} if options.smoke else {"train": 200, "test": 50}, seed=0)
    print(f"drew pictures into {folder}")

# Height, width and channels are part of the name: images of any size are resized to it, colour becomes grey or back.
name = f"image_folder:{folder}:{options.height}x{options.width}x{options.channels}"
facts = data.info(name)
print(f"classes: {', '.join(facts.class_names)}; images: {dict(facts.num_examples)}")
train = data.load(name, "train", batch_size=20, shuffle_seed=0)
test = data.load(name, "test", batch_size=20)

# The same network as for Fashion-MNIST; `num_classes` and `image_shape` are those of the folder.
model = CNNF.from_name(
    "fashion_cnn", image_shape=facts.image_shape, network={"num_classes": facts.num_classes}, iterations=1
)
model.compile(optimizer=keras.optimizers.Adam(1e-3))
model.fit(train, validation_data=test, epochs=options.epochs, shuffle=False, verbose=2)  # `train` shuffles itself

# Where does it go wrong? Rows are the truth, columns what the model says.
counts = np.zeros((facts.num_classes, facts.num_classes), int)
for images, labels in test:
    for label, said in zip(labels.numpy(), model(images).numpy().argmax(-1), strict=True):
        counts[label, said] += 1
rows = [("truth \\ said", *facts.class_names)]
rows += [(facts.class_names[label], *map(str, counts[label])) for label in range(facts.num_classes)]
print(f"\n{aligned(rows)}\n")
print(f"{np.trace(counts)} of {counts.sum()} test images are right.")
print(f"""
From the shell, with checkpoints, for these images or yours:
  python bin/train.py --config=configs/fashion_mnist_standard.py --config.data.name={name} \\
    --config.data.train_split=train --config.data.validation_split=test --workdir=runs/own_images""")
