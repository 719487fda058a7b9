"""Files of activations: one NetCDF-4 file, which is HDF5, for any number of images.

    with open_activations("v4.nc") as found:
        found.names                  # ["block3_0.f", "block3_0.g", "h.g"]
        found["block3_0.f"]          # [K + 1, images, height, width, channels], float32
        found.labels, found.image_ids

`xarray.open_dataset` opens it too, and so does h5py. Dimensions are `pass`, `image` and the axes of each variable;
`class` and `image_id` are coordinates of the images. NetCDF has no "/" in names: the variable of "tap3/ada_relu3.f" is
"tap3.ada_relu3.f", and its attribute `long_name` has the name. A file appears whole or not at all, and is written batch
by batch.
"""

import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np

from cnnf_tf.utils.environment import bytes_text
from cnnf_tf.utils.files import atomic_path
from cnnf_tf.utils.validation import one_of

DTYPES = ("float32", "float16")
"""Of the numbers in a file."""
_FORMAT = "cnnf_tf activations 1"
_CHUNK_BYTES, _CHUNK_IMAGES = 2**18, 32  # few images in each, as the last one takes the room of a full one
_DAMAGE = (OSError, KeyError, RuntimeError, AttributeError, TypeError)  # what h5py raises on bytes that were changed
_ABSENT = {"float32": b"\xfe\xca\xc0\x7f", "float16": b"\xca\x7e"}
"""What HDF5 reads where it does not find a part: a NaN with bits that no computation gives."""
_DISK_MARGIN = 2**23  # what HDF5 has not written yet
_AXES = {1: ("unit",), 3: ("height", "width", "channel")}


class Batch(NamedTuple):
    """The activations of some images."""

    values: Mapping[str, np.ndarray]
    """`[K + 1, images, ...]` by name."""
    labels: np.ndarray | None
    """`[images]`, integers; None where there are none."""
    image_ids: Sequence[str]
    """Of each image, such as "test[17]" or the name of its file."""


class ActivationFile:
    """A file of activations, open for reading; a context manager. Arrays are read when they are asked for.

    Attributes:
      path: of the file.
      names: of what it holds, such as "block3_0.f".
      iterations: K.
      labels: integers `[images]`; None where the images have none.
      class_names: what the labels mean, or None.
      image_ids: texts `[images]`.
      attributes: what else it says about its making: `eta`, `reduce`, `seed`, `cnnf_tf`, ...

    Args:
      path: of the file.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a damaged file, or one of another kind.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "does not exist"
            raise FileNotFoundError(f"the file of activations {str(self.path)!r} {what}; wanted a .nc file.")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ValueError(f"{self.path} is damaged, or no NetCDF-4 file: {error}.") from error
        try:
            self._read_head()
        except BaseException:
            self._file.close()
            raise

    def _read_head(self) -> None:
        try:
            attributes = {name: _plain(value) for name, value in self._file.attrs.items() if not name.startswith("_")}
            kind = attributes.pop("format", None)
            if kind != _FORMAT:
                raise ValueError(
                    f"{self.path} is no file of activations of this version of cnnf_tf: wanted the global attribute "
                    f"format = {_FORMAT!r}, got {kind!r}; write_activations and bin/activations.py make one."
                )
            self._variables = {
                _plain(variable.attrs["long_name"]): variable
                for variable in self._file.values()
                if "long_name" in variable.attrs
            }
            self.labels = self._file["class"][:] if "class" in self._file else None
            self.image_ids: list[str] = self._file["image_id"].asstr()[:].tolist()
            self.iterations = len(self._file["pass"]) - 1
        except _DAMAGE as error:
            raise ValueError(f"{self.path} is damaged: {error}.") from error
        self.names = list(self._variables)
        self.class_names: list[str] | None = attributes.pop("class_names", None)
        self.attributes: dict[str, Any] = attributes

    def __enter__(self) -> "ActivationFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.image_ids)

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __getitem__(self, name: str) -> np.ndarray:
        """`[K + 1, images, ...]`, float32."""
        return self.read(name)

    def read(self, name: str, images: slice = slice(None)) -> np.ndarray:
        """Some images, `[K + 1, images, ...]`, float32, where all would not fit into memory.

        Raises:
          KeyError: an unknown name.
          ValueError: damage, a file that was closed, or images that are no slice.
        """
        if not self._file:
            raise ValueError(f"{self.path} was closed.")
        if not isinstance(images, slice):
            raise ValueError(f"images must be a slice, such as slice(0, 100), got {images!r}.")
        variable = self._variable(name)
        try:
            found = variable[:, images]
            absent = np.frombuffer(_ABSENT[found.dtype.name], found.dtype.str.replace("f", "u"))
            if np.any(found.view(absent.dtype) == absent):
                raise RuntimeError("parts of it are missing")
            return found.astype(np.float32, copy=False)
        except _DAMAGE as error:
            raise ValueError(f"{self.path} is damaged: {name!r} cannot be read ({error}).") from error

    def shape(self, name: str) -> tuple[int, ...]:
        """`(K + 1, images, ...)`; raises KeyError for an unknown name."""
        return tuple(self._variable(name).shape)

    def details(self, name: str) -> dict[str, Any]:
        """The attributes of a variable: `kind`, `layer`, `reduce`; raises KeyError for an unknown name."""
        hidden = ("DIMENSION_LIST", "coordinates", "long_name")
        variable = self._variable(name)
        try:
            attributes = list(variable.attrs.items())
        except _DAMAGE as error:
            raise ValueError(
                f"{self.path} is damaged: {name!r} has attributes that cannot be read ({error})."
            ) from error
        return {key: _plain(value) for key, value in attributes if key not in hidden and not key.startswith("_")}

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _variable(self, name: str) -> Any:
        if name not in self._variables:
            raise KeyError(f"{self.path} has no {name!r}; it has {', '.join(self.names)}.")
        return self._variables[name]


def open_activations(path: str | os.PathLike[str]) -> ActivationFile:
    """Opens a file of activations; for the errors see `ActivationFile`."""
    return ActivationFile(path)


def read_activations(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All that is in a file of activations, `{name: [K + 1, images, ...]}`; for the errors see `ActivationFile`."""
    with open_activations(path) as found:
        return {name: found[name] for name in found.names}


def write_batches(
    path: str | os.PathLike[str],
    batches: Iterable[Batch],
    *,
    class_names: Sequence[str] | None = None,
    dtype: str = "float32",
    attributes: Mapping[str, Any] | None = None,
    details: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Writes a file of activations, atomically; holds one batch at a time.

    Args:
      path: of the file, which is replaced.
      batches: with the same names, passes and shapes but for the number of images.
      class_names: what the labels mean.
      dtype: "float32" or "float16", whose largest number is 65504.
      attributes: what the file says about its making: texts, numbers, lists of texts; anything else as JSON.
      details: the same for each name.

    Returns:
      The number of images.

    Raises:
      ImportError: the extra is not installed.
      ValueError: no batch, or batches that do not go together; another dtype; numbers too large for float16; a folder
        in the place of the file; attributes that no file can hold.
      OSError: the disk is nearly full.
    """
    one_of("dtype", dtype, DTYPES)
    h5netcdf = need_h5netcdf()
    if os.path.isdir(path):
        raise ValueError(f"{os.fspath(path)!r} is a folder; wanted a file, such as activations.nc in it.")
    head = _head(class_names, attributes or {}) | {"format": _FORMAT}
    with atomic_path(path) as temporary:
        with h5netcdf.File(temporary, "w", track_order=True) as file:
            writer = _Writer(file, temporary.parent, dtype, details or {})
            for batch in batches:
                writer.add(batch)
            if not writer.images:
                raise ValueError("there are no activations to write: the data set is empty; wanted at least one image.")
            for key, value in head.items():
                file.attrs[key] = value
        return writer.images


def _head(class_names: Sequence[str] | None, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of itself, as attributes hold it; raises ValueError for what they cannot hold."""
    if class_names is not None:
        class_names = list(class_names)
        if not class_names or not all(isinstance(name, str) for name in class_names):
            raise ValueError(f"class_names must be texts, one for each class, got {class_names!r}.")
    try:
        given = {"class_names": class_names, **attributes}
        return {key: _attribute(value) for key, value in given.items() if value is not None}
    except (TypeError, ValueError) as error:
        raise ValueError(f"attributes must be texts, numbers or what goes into JSON: {error}.") from error


def file_bytes(shapes: Mapping[str, Sequence[int]], *, images: int, dtype: str = "float32") -> int:
    """About how many bytes a file takes.

    Args:
      shapes: `(K + 1, ...)` by name: without the axis of the images.
      images: how many.
      dtype: of the numbers in the file.
    """
    total = 2**16 + 64 * images
    for shape in shapes.values():
        size = np.dtype(dtype).itemsize * int(np.prod(shape[1:], dtype=np.int64))
        chunk = _images_per_chunk(size, images)
        total += shape[0] * -(-images // chunk) * chunk * size
    return total


def need_h5netcdf() -> Any:
    """The package that writes NetCDF; raises ImportError that names the extra."""
    try:
        import h5netcdf
    except ImportError as error:
        raise ImportError(
            "a file of activations is written with h5netcdf, which is not installed; run "
            "`pip install 'cnnf_tf[activations]'` (in a checkout: `.venv/bin/pip install -e '.[activations]'`)."
        ) from error
    return h5netcdf


class _Writer:
    """Puts batches behind one another."""

    def __init__(self, file: Any, folder: pathlib.Path, dtype: str, details: Mapping[str, Mapping[str, Any]]):
        self._file, self._folder, self._dtype, self._details = file, folder, dtype, details
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._labelled = False
        self.images = 0

    def add(self, batch: Batch) -> None:
        count = len(batch.image_ids)
        shapes = {name: (len(value), *value.shape[2:]) for name, value in batch.values.items()}
        if not self._shapes:
            self._start(batch, shapes)
        passes = len(self._file.dimensions["pass"])
        for name, value in batch.values.items():
            if shapes[name] != self._shapes.get(name) or value.shape[:2] != (passes, count):
                raise ValueError(
                    f"{name!r}: wanted (passes, images, ...) = {(passes, count, *self._shapes.get(name, ())[1:])}, as "
                    f"in the first batch, got {value.shape}; images of several sizes go into one file only with "
                    'reduce="mean".'
                )
        if shapes.keys() != self._shapes.keys():
            raise ValueError(f"wanted {list(self._shapes)} in each batch, got {list(shapes)}.")
        if (batch.labels is not None) != self._labelled or (batch.labels is not None and len(batch.labels) != count):
            raise ValueError(f"wanted a label for each of the {count} images of each batch, or for none.")
        self._check_disk(sum(value.size for value in batch.values.values()) * np.dtype(self._dtype).itemsize)
        new = slice(self.images, self.images + count)
        self._file.resize_dimension("image", new.stop)
        self._file["image"][new] = np.arange(new.start, new.stop)
        self._file["image_id"][new] = np.array([_text(name) for name in batch.image_ids], dtype=object)
        if batch.labels is not None:
            self._file["class"][new] = np.asarray(batch.labels)
        for name, value in batch.values.items():
            with np.errstate(over="ignore"):
                stored: np.ndarray = value.astype(self._dtype, copy=False)
            if not np.array_equal(np.isinf(stored), np.isinf(value)):
                raise ValueError(f"{name!r} holds {np.abs(value).max():g}, and float16 ends at 65504; take float32.")
            self._file[_variable_name(name)][:, new] = stored
        self.images = new.stop

    def _check_disk(self, needed: int) -> None:
        """Raises OSError while HDF5 can still close the file: on a full disk it ends the process, some time later."""
        free = shutil.disk_usage(self._folder).free
        if free < needed + _DISK_MARGIN:
            room = f"{bytes_text(free)} are free in {str(self._folder)!r}, and the next images need "
            raise OSError(errno.ENOSPC, f"{room}{bytes_text(needed + _DISK_MARGIN)}")

    def _start(self, batch: Batch, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Makes dimensions and variables, of the first batch."""
        if not shapes or len({_variable_name(name) for name in shapes}) < len(shapes):
            raise ValueError(f"wanted names that differ, also with '.' in place of '/', got {list(shapes)}.")
        self._shapes, self._labelled = dict(shapes), batch.labels is not None
        passes = next(iter(shapes.values()))[0]
        self._file.dimensions = {"pass": passes, "image": None}
        self._variable("pass", ("pass",), "int32", "0 is the plain CNN")[:] = np.arange(passes)
        self._variable("image", ("image",), "int64", "number in the data set")
        self._variable("image_id", ("image",), h5py.string_dtype(), "name in the data set")
        if self._labelled:
            self._variable("class", ("image",), "int64", "label")
        for name, (_, *shape) in shapes.items():
            axes = _AXES.get(len(shape)) or tuple(f"axis{index + 1}" for index in range(len(shape)))
            sized = {f"{axis}_{size}": size for axis, size in zip(axes, shape, strict=True)}
            for axis, size in sized.items():
                if axis not in self._file.dimensions:
                    self._file.dimensions[axis] = size
            chunk = _images_per_chunk(np.dtype(self._dtype).itemsize * int(np.prod(shape)), len(batch.image_ids))
            variable = self._file.create_variable(
                _variable_name(name),
                ("pass", "image", *sized),
                dtype=self._dtype,
                chunks=(1, chunk, *shape),
                fillvalue=np.frombuffer(_ABSENT[self._dtype], self._dtype)[0],
                fletcher32=True,  # a checksum, for damage to be noticed
            )
            variable.attrs["long_name"] = name
            variable.attrs["coordinates"] = "class image_id" if self._labelled else "image_id"
            for key, value in self._details.get(name, {}).items():
                variable.attrs[key] = _attribute(value)

    def _variable(self, name: str, dimensions: tuple[str, ...], dtype: Any, what: str) -> Any:
        # Texts take no checksum.
        variable = self._file.create_variable(name, dimensions, dtype=dtype, fletcher32=isinstance(dtype, str))
        variable.attrs["description"] = what
        return variable


def _images_per_chunk(bytes_per_image: int, most: int) -> int:
    return max(1, min(_CHUNK_BYTES // max(1, bytes_per_image), _CHUNK_IMAGES, most))


def _variable_name(name: str) -> str:
    return name.replace("/", ".")


def _attribute(value: Any) -> Any:
    """What an attribute can hold."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (float, np.number)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(entry, str) for entry in value):
        return [_text(entry) for entry in value]
    if isinstance(value, str):
        return _text(value)
    return _text(json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, default=str))


def _text(text: str) -> str:
    """What Unicode can hold of a text; bytes in the name of a file that are none are told by their numbers."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    """An attribute as Python's own kinds."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray) and value.shape == (1,) and value.dtype.kind in "iuf":  # NetCDF's way with numbers
        return value.item()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
