"""`image_folder:PATH[:HxW[xC]]`: image files in `PATH/split/class/`, read by `image_files`."""

import concurrent.futures
import dataclasses
import os
import random
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf

from cnnf_tf.data import image_files
from cnnf_tf.data.sources import base, splits

PREFIX = "image_folder:"

_SIZE = r"(?P<size>:(?P<height>\d+)x(?P<width>\d+)(x(?P<channels>\d+))?)"
_NAME = re.compile(rf"{PREFIX}(?P<path>.*?){_SIZE}?", re.DOTALL)
_LAYOUT = "PATH/split/class/*.png (or other images), such as PATH/train/cat/1.png"
_CHUNK = 32  # files that a thread reads at a time
_Result = TypeVar("_Result")


@dataclasses.dataclass
class _ClassFolder:
    """A folder PATH/split/class: its images, and how many entries it has of other kinds."""

    path: str
    split: str
    class_name: str
    images: list[str]
    skipped: Counter[str]

    def __str__(self) -> str:
        return f"{self.path} ({image_files.describe(self.skipped) or 'empty'})"


class FolderSource(base.Source):
    """Every sub-folder of PATH is a split, every folder in it a class; classes are numbered in alphabetical order.

    Hidden entries, and those of file managers, are passed over; a class without images is an error. Height, width and
    channels come from the name (`:28x28x1`) or `image_size`; images of other sizes are then resized. What neither
    gives: the size is that of the first image, and another is an error; the images are grey if all of the folder are,
    else in colour. Transparency is dropped.
    """

    def __init__(self, name: str, *, image_size: tuple[int, int] | None = None, skip_bad: bool = False):
        """Lists the folder and, where the name leaves shape open, looks at images; with `skip_bad` it reads them all.

        Where both the name and `image_size` give a size, they must agree.
        """
        root, size, channels = _parse(name, image_size)
        folders, skipped = _list(root)
        if skip_bad:
            _drop_unreadable(root, folders)
        skipped = sum((folder.skipped for folder in folders), skipped)
        folders = _checked(root, folders, skipped)
        self._examples: dict[str, list[tuple[str, str]]] = {}  # by split: path and class
        for folder in folders:
            self._examples.setdefault(folder.split, []).extend((path, folder.class_name) for path in folder.images)
        for split, examples in self._examples.items():
            # An order that never changes, that of `tfds.folder_dataset.ImageFolder`.
            random.Random(split.encode("utf-8", "surrogateescape")).shuffle(examples)
        counts = {split: len(examples) for split, examples in self._examples.items()}
        paths = [path for split in sorted(counts) for path, _ in self._examples[split]]
        self._resize = size is not None
        (height, width), self._first = (size, "") if size else _first_size(paths)
        if channels is None:
            channels = 1 if all(map(image_files.is_grey, paths)) else 3
        class_names = tuple(sorted({folder.class_name for folder in folders}))
        self._shape = height, width, channels
        self.info = base.DatasetInfo(name, self._shape, len(class_names), class_names, counts, dict(skipped))

    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        paths, labels = self._rows(part)
        with tf.device("/CPU:0"):
            return tf.data.Dataset.from_tensor_slices({"image": [os.fsencode(path) for path in paths], "label": labels})

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        paths = elements["image"]
        # Not stateful, so that iterators can be checkpointed. An error raised there would bring its traceback along.
        images, problem = tf.numpy_function(self._read_batch, [paths], (tf.uint8, tf.string), stateful=False)
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(problem, ""), [problem])]):
            return tf.ensure_shape(images, (paths.shape[0], *self._shape))

    def read_all(self, ranges: Sequence[splits.SplitRange]) -> tuple[np.ndarray, np.ndarray]:
        parts = [self._rows(part) for part in ranges]
        paths = [path for part, _ in parts for path in part]
        images: np.ndarray = np.empty((len(paths), *self._shape), np.uint8)
        for index, image in enumerate(_in_threads(self._read, paths)):
            images[index] = image
        return images, np.concatenate([labels for _, labels in parts])

    def _rows(self, part: splits.SplitRange) -> tuple[list[str], np.ndarray]:
        """Paths and labels of some examples."""
        rows = self._examples[part.name][part.start : part.stop]
        number = {name: label for label, name in enumerate(self.info.class_names)}
        return [path for path, _ in rows], np.array([number[name] for _, name in rows], np.int32)

    def _read(self, path: str) -> np.ndarray:
        image = image_files.open_image(path)
        height, width, _ = self._shape
        if not self._resize and image.size != (width, height):
            raise ValueError(
                f"{path}: wanted {height}x{width} pixels (height x width) like {self._first}, got "
                f"{image.height}x{image.width}; with {PREFIX}PATH:HxW, or image_size, all are resized."
            )
        return image_files.to_array(image, self._shape)

    def _read_batch(self, paths: np.ndarray) -> tuple[np.ndarray, bytes]:
        """Images of a batch of encoded paths, and what is wrong with the first bad one; then there are no images."""
        try:
            return np.stack([self._read(os.fsdecode(path)) for path in paths]), b""
        except ValueError as error:
            return np.zeros((0, *self._shape), np.uint8), str(error).encode("utf-8", "backslashreplace")


def _parse(name: str, image_size: tuple[int, int] | None) -> tuple[str, tuple[int, int] | None, int | None]:
    """Folder, size and channels, the last two as far as they are given."""
    match = _NAME.fullmatch(name)
    if match is None or not match["path"]:
        raise ValueError(f"name: wanted {PREFIX}PATH[:HxW[xC]], got {name!r}.")
    whole = os.path.expanduser(name.removeprefix(PREFIX))
    if os.path.isdir(whole):  # of a folder whose name ends like a size
        return whole, image_size, None
    path = os.path.expanduser(match["path"])
    size = (int(match["height"]), int(match["width"])) if match["size"] else None
    channels = int(match["channels"]) if match["channels"] else None
    if (size and 0 in size) or channels not in (None, 1, 3):
        wanted = "a size HxW or HxWxC with H, W at least 1 and C 1 or 3"
        raise ValueError(f"name: wanted {wanted}, got {match['size']!r}.")
    if size and image_size and size != tuple(image_size):
        raise ValueError(f"image_size: {tuple(image_size)} contradicts the size {size} in the name {name!r}.")
    if not os.path.isdir(path):
        raise FileNotFoundError(f"image_folder: there is no folder {path}; wanted {_LAYOUT}.")
    return path, size or image_size, channels


def _list(root: str) -> tuple[list[_ClassFolder], Counter[str]]:
    """All class folders, and what was passed over beside them; a file that is no image is not missed there."""
    found: list[_ClassFolder] = []
    skipped: Counter[str] = Counter()

    def folders_in(path: str) -> list[str]:
        entries = image_files.list_folder(path)
        kept = (image_files.HIDDEN, image_files.BROKEN_LINK)
        skipped.update({kind: count for kind, count in entries.skipped.items() if kind in kept})
        if entries.images:
            skipped["image outside of a class folder"] += len(entries.images)
        return entries.folders

    for split in folders_in(root):
        for path in folders_in(split):
            entries = image_files.list_folder(path)
            entries.skipped.update({"folder": len(entries.folders)} if entries.folders else {})
            split_name, class_name = (splits.plain(os.path.basename(folder)) for folder in (split, path))
            found.append(_ClassFolder(path, split_name, class_name, entries.images, entries.skipped))
    return found, skipped


def _drop_unreadable(root: str, folders: list[_ClassFolder]) -> None:
    problems: list[str] = []
    for folder in folders:
        found = list(_in_threads(_problem, folder.images))
        folder.images = [path for path, problem in zip(folder.images, found, strict=True) if not problem]
        bad = [problem for problem in found if problem]
        folder.skipped.update({"unreadable": len(bad)} if bad else {})
        problems += bad
    if problems:
        without = f"{len(problems):,} of {sum(len(folder.images) for folder in folders) + len(problems):,} images"
        warnings.warn(f"{root}: went on without {without}. First: {problems[0]}", stacklevel=5)


def _problem(path: str) -> str:
    try:
        image_files.open_image(path)
    except ValueError as error:
        return str(error)
    return ""


def _checked(root: str, folders: list[_ClassFolder], skipped: Counter[str]) -> list[_ClassFolder]:
    """The folders with images; says what else there is, and raises ValueError for a class that has none."""
    full = [folder for folder in folders if folder.images]
    counted = image_files.describe(skipped)
    readable = f"read are {', '.join(image_files.SUFFIXES)}"
    if not full:
        passed = f" Passed over: {counted}; {readable}." if counted else ""
        raise ValueError(f"{root}: no images found; wanted {_LAYOUT}.{passed}")
    used_splits, classes = ({getattr(folder, key) for folder in full} for key in ("split", "class_name"))
    missing = [folder for folder in folders if not folder.images]
    nowhere = [folder for folder in missing if folder.split in used_splits and folder.class_name not in classes]
    if nowhere:
        names = ", ".join(sorted({repr(folder.class_name) for folder in nowhere}))
        places = ", ".join(map(str, nowhere))
        raise ValueError(f"{root}: wanted images of every class, got none of {names}: {places}; {readable}.")
    if missing:
        warnings.warn(f"{root}: folders without images: {', '.join(map(str, missing))}.", stacklevel=5)
    noteworthy = {kind: count for kind, count in skipped.items() if kind not in (image_files.HIDDEN, "unreadable")}
    if noteworthy:
        warnings.warn(f"{root}: passed over what is no image: {image_files.describe(noteworthy)}.", stacklevel=5)
    return full


def _first_size(paths: Sequence[str]) -> tuple[tuple[int, int], str]:
    """Height and width of the first image that can be read, and its path."""
    problem = ""
    for path in paths:
        try:
            image = image_files.open_image(path)
        except ValueError as error:
            problem = problem or str(error)
        else:
            return (image.height, image.width), path
    raise ValueError(problem)


def _in_threads(function: Callable[[str], _Result], paths: Sequence[str]) -> Iterator[_Result]:
    """The results in order; Pillow lets other threads run while it decodes."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
        for results in pool.map(lambda chunk: [function(path) for path in chunk], chunks):
            yield from results
