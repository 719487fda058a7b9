"""Prepared TensorFlow Datasets, never downloaded from here: a missing one is an error that says how to prepare it."""

import difflib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.data.sources import base, decoding, locations, splits

# NAME[/CONFIGURATION][:VERSION]. The namespaces of TFDS, NAMESPACE:NAME, are left out: they ask the network.
_NAME = re.compile(r"[A-Za-z]\w*(/[\w.+-]+)*(:\d[\d.*]*)?")
# Named first in errors; `bin/prepare_data.py` prepares them.
COMMON_NAMES = ("fashion_mnist", "mnist", "cifar10")


class TfdsSource(base.Source):
    """A TFDS data set with one uint8 image and one class label per example."""

    def __init__(
        self,
        name: str,
        *,
        image_size: tuple[int, int] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        must_be_prepared: bool = True,
    ):
        """Opens the builder; reads no example.

        Without `must_be_prepared`, a data set that is known but not prepared is one without examples. A name may have a
        configuration and a version (`cifar10_corrupted/fog_1`, `mnist:3.0.1`).
        """
        root = locations.resolve_data_dir(data_dir)
        self._builder = _open_builder(name, root, must_be_prepared)
        info = self._builder.info
        self._image_key, self._label_key = _find_keys(name, info)
        height, width, channels = info.features[self._image_key].shape
        self._resize = image_size is not None
        labels = info.features[self._label_key]
        shape = (*(image_size or (height, width)), channels)
        counts = {split: split_info.num_examples for split, split_info in info.splits.items()}
        self.info = base.DatasetInfo(name, shape, labels.num_classes, tuple(labels.names), counts)

    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        import tensorflow_datasets as tfds

        image, label = self._image_key, self._label_key
        skip = {image: tfds.decode.SkipDecoding()}
        dataset = self._builder.as_dataset(
            split=tfds.core.ReadInstruction(part.name, from_=part.start, to=part.stop, unit="abs"),
            decoders=tfds.decode.PartialDecoding({image: True, label: True}, decoders=skip),
            read_config=tfds.ReadConfig(try_autocache=False),
            shuffle_files=False,
        )
        return dataset.map(lambda example: {"image": example[image], "label": example[label]})

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return decoding.decode_batch(elements["image"], shape=self.info.image_shape, resize_to_shape=self._resize)


def _open_builder(name: str, root: pathlib.Path, must_be_prepared: bool) -> Any:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "name: wanted a TFDS name such as 'fashion_mnist', 'idx:PATH' or 'image_folder:PATH[:HxW[xC]]', got "
            f"{name!r}."
        )
    base = re.split(r"[/:]", name)[0]
    folders = locations.prepared_versions(base, root)  # raises where files are damaged
    import tensorflow_datasets as tfds

    check_configuration(name, [folder.parent.name for folder in folders if folder.parent.name != base])
    try:
        builder = tfds.builder(name, data_dir=root)
    except tfds.core.registered.DatasetNotFoundError:
        prepared = locations.prepared_names(root)
        known = sorted({*prepared, *COMMON_NAMES, *tfds.list_builders(with_community_datasets=False)})
        close = difflib.get_close_matches(base, known, n=3, cutoff=0.75)
        did_you_mean = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(
            f"name: unknown data set {name!r}.{did_you_mean} Prepared in {root}: {', '.join(prepared) or 'none'}. "
            f"Others: {', '.join(COMMON_NAMES)}, any other TFDS name, idx:PATH or image_folder:PATH[:HxW[xC]]. A data "
            "set prepared elsewhere is found through data_dir or the environment variable "
            f"{locations.DATA_DIR_VARIABLE}."
        ) from None
    except (ValueError, AssertionError, KeyError, RuntimeError) as error:  # unknown configuration or version
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(f"name: TFDS cannot open {name!r}: {reason}") from None
    if must_be_prepared and not (pathlib.Path(builder.data_path) / "dataset_info.json").is_file():
        command = f"python bin/prepare_data.py --dataset={name}"
        if root != locations.resolve_data_dir():
            command += f" --data_dir={root}"
        needs = "needs the network"
        if name == "fashion_mnist":
            needs = "no network needed where Debian's package dataset-fashion-mnist is installed"
        else:
            command += " --download"
        raise FileNotFoundError(f"{name} is not prepared in {root}. Run `{command}` once ({needs}).")
    return builder


def configurations(name: str) -> tuple[str, ...]:
    """The configurations of a TFDS data set by the code of TFDS; none where it has no configurations or no code."""
    import tensorflow_datasets as tfds

    try:
        return tuple(tfds.builder_cls(re.split(r"[/:]", name)[0]).builder_configs)
    except tfds.core.registered.DatasetNotFoundError:
        return ()


def check_configuration(name: str, prepared: Sequence[str] = ()) -> None:
    """Raises ValueError for a data set of several configurations if none is named: each holds other images.

    Args:
      name: TFDS name.
      prepared: the configurations that are there, where TFDS has no code for the data set.
    """
    known = configurations(name) or tuple(dict.fromkeys(prepared))
    if len(known) > 1 and "/" not in name:
        raise ValueError(
            f"name: {name} has {len(known)} configurations, each with its own images, and TFDS would take {known[0]}; "
            f"wanted one by name, such as {name.partition(':')[0]}/{known[0]}. Known: {', '.join(known)}."
        )


def _find_keys(name: str, info: Any) -> tuple[str, str]:
    """Keys of the image and the label: TFDS's supervised pair, else `image` and `label`."""
    import tensorflow_datasets as tfds

    pair = info.supervised_keys if info.supervised_keys and len(info.supervised_keys) == 2 else ("image", "label")
    features = info.features
    image, label = (features[key] if isinstance(key, str) and key in features else None for key in pair)
    if (
        not isinstance(image, tfds.features.Image)
        or not isinstance(label, tfds.features.ClassLabel)
        or image.np_dtype != np.uint8
        or len(image.shape) != 3
        or image.shape[-1] not in (1, 3)
    ):
        raise ValueError(
            f"{name}: wanted a uint8 image with 1 or 3 channels and a class label per example, got the features "
            f"{' '.join(str(features).split())}."
        )
    return pair
