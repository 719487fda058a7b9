"""CNN-F as a Keras model: pixel normalisation, encoder, network, loop and readout."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops, tree

from cnnf_tf.layers import FeedbackComposite
from cnnf_tf.layers.base import Tensor, register
from cnnf_tf.models.batch_checks import check_image_spec, checked_images, nan_where_faulty, with_known_sizes
from cnnf_tf.models.conversion import convert
from cnnf_tf.models.keras_training import KerasTraining, seen_images
from cnnf_tf.models.networks import NETWORKS, Network
from cnnf_tf.models.pixels import Pixels, check_image_shape, fit_pixels
from cnnf_tf.models.presets import PackagedPresets, load_preset, save_preset
from cnnf_tf.models.rematerialization import rematerialized
from cnnf_tf.models.step_sizes import Eta, check_eta, constant_steps, initial_logits, learned_steps, learned_values
from cnnf_tf.models.unroll import FEEDBACK_STARTS, READOUTS, Trajectory, check_iterations, unroll
from cnnf_tf.utils import dtypes  # not a name of it, as it may be what is being imported
from cnnf_tf.utils.validation import one_of

_OPTIONS = (
    *("iterations", "eta", "learn_eta", "readout", "feedback_start", "reconstruction_weight", "training_horizon"),
    *("rematerialize", "pixel_mean", "pixel_scale", "bgr"),
)


@register
class CNNF(KerasTraining):
    """A CNN with recurrent generative feedback.

    Calling the model gives the logits of its readout, so `compile`, `fit`, `evaluate`, `predict` and `save` work as for
    any Keras classifier; `infer` gives the whole `Trajectory`. The weights do not depend on `iterations`: a model
    trained with K may be run with any K.

    Args:
      network: the layers inside the loop, from h to the logits.
      encoder: fixed front part, from the normalised image to h; None where h is the image.
      image_shape: `(height, width, channels)` of the images; height and width may be None, for any size.
      iterations: K, feedback passes after the first pass; 0 is the plain CNN.
      eta: step size of the loop, in [0, 1]; or a mapping from patterns to such, as `{"h": 0.5, "tap*": 0.2, "*": 0.1}`:
        one for h and one for each adaptive layer, of whose path or name the first pattern that matches decides.
      learn_eta: make these step sizes weights, which start from `eta` (clipped to [0.001, 0.999]) and stay in (0, 1).
      readout: "last" takes the logits of the final pass, "average" the mean over all K + 1 passes.
      feedback_start: what goes down from the top: "logits", "softmax" or "one_hot".
      reconstruction_weight: r >= 0, weight of the reconstruction term in `fit`.
      training_horizon: passes up to which `fit` keeps the loop stable, or 0: after the K iterations each training step
        goes on for a random number of iterations without gradients and then for one with, which ends between K + 1 and
        the horizon. Without it accuracy falls when a model is run for more iterations than it was trained with.
      rematerialize: see `unroll`; for training with many iterations where memory is short.
      pixel_mean: images in [0, 1] enter the network as `(image - pixel_mean) / pixel_scale`; a number, or one for each
        channel.
      pixel_scale: see `pixel_mean`; the defaults give [-1, 1], the authors' range.
      bgr: whether the network wants the channels of images the other way round: blue, green, red.

    Raises:
      ValueError: an argument out of its range, or layers that do not fit `image_shape`.
    """

    def __init__(
        self,
        network: FeedbackComposite,
        encoder: FeedbackComposite | None = None,
        *,
        image_shape: Sequence[int | None],
        iterations: int = 1,
        eta: float | Mapping[str, float] = 0.1,
        learn_eta: bool = False,
        readout: str = "last",
        feedback_start: str = "logits",
        reconstruction_weight: float = 0.1,
        training_horizon: int = 0,
        rematerialize: bool = False,
        pixel_mean: float | Sequence[float] = 0.5,
        pixel_scale: float | Sequence[float] = 0.5,
        bgr: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.iterations = check_iterations(iterations)
        self.eta = check_eta(network, eta)
        self.learn_eta = bool(learn_eta)
        self.readout = one_of("readout", readout, READOUTS)
        self.feedback_start = one_of("feedback_start", feedback_start, FEEDBACK_STARTS)
        if reconstruction_weight < 0:
            raise ValueError(f"reconstruction_weight must be >= 0, got {reconstruction_weight!r}.")
        self.training_horizon = _check_horizon(training_horizon, self.iterations)
        self.rematerialize = bool(rematerialize)
        self.pixels = Pixels.checked(pixel_mean, pixel_scale, bgr, channels=self.image_shape[-1])
        self.reconstruction_weight = float(reconstruction_weight)
        self.encoder, self.network = encoder, network
        self.eta_logits = self._add_eta_logits() if learn_eta else None
        self.build((None, *self.image_shape))

    @classmethod
    def from_name(
        cls, name: str, *, image_shape: Sequence[int], network: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> "CNNF":
        """Builds one of the paper's networks, `NETWORKS[name](**network)`, and wraps it.

        Args:
          name: "fashion_cnn" or "wide_resnet".
          image_shape: `(height, width, channels)`.
          network: arguments of the network's function, `encoder_blocks` and `rule` among them; its defaults otherwise.
          **kwargs: arguments of `CNNF`. A `dtype`, such as "mixed_bfloat16", is that of the network's layers as well,
            of which the last is never in half precision.
        """
        with dtypes.dtype_policy(kwargs.get("dtype") or keras.config.dtype_policy()):
            parts: Network = NETWORKS[one_of("network name", name, NETWORKS)](**(network or {}))
        return cls(parts.network, parts.encoder, image_shape=image_shape, **kwargs)

    @classmethod
    def from_keras(
        cls,
        model: keras.Model,
        *,
        start: str | None = None,
        iterations: int = 1,
        eta: float | Mapping[str, float] = 0.1,
        feedback_norm: bool = True,
        preprocessing: Any = None,
        frozen: bool = True,
        dtype: Any = None,
        **loop: Any,
    ) -> "CNNF":
        """Gives feedback to a Keras CNN: its layers, up as they are and down transposed, with copies of its weights.

        With `iterations=0` it gives the original's logits. A final softmax is left away.

        Args:
          model: Functional or Sequential, from images `[batch, height, width, channels]` to `[batch, classes]`; nested
            models and layers that are used twice are welcome. Height and width may be None.
          start: name of the layer whose output is h; what lies below runs once and may be anything that Keras can run.
            "backbone/conv1" is a layer of a nested model. None: h is the image.
          iterations: see `CNNF`, also for `eta`.
          feedback_norm: whether the signal is divided by its root mean square (per image and channel, as in the paper)
            on top of each block of convolution, activation and pool. Without it what comes down is exactly the
            gradient, whose scale in a deep network may be anything.
          preprocessing: what the model expects instead of images in [0, 1]: "caffe", "tf" or "torch", as
            `keras.applications` call them, or `(mean, scale)` on the [0, 1] scale, numbers or one for each channel.
            None: just that, or what its own first `Rescaling` and `Normalization` layers say; they then go out of the
            loop, so that h is what they make.
          frozen: whether batch norm uses its moving statistics in training, too, and leaves them as they are; see
            `layers.FeedbackBatchNorm`. Below `start` they always are.
          dtype: a dtype policy, such as "mixed_bfloat16"; None for that of each of the model's layers.
          **loop: further arguments of `CNNF`.

        Raises:
          ValueError: a model of another kind; layers that cannot come down, all of them by name; an unknown `start`
            or `preprocessing`.
        """
        choices = {"feedback_norm": feedback_norm, "preprocessing": preprocessing, "frozen": frozen, "dtype": dtype}
        parts = convert(model, start=start, **choices)
        pixels = {"pixel_mean": parts.pixels.mean, "pixel_scale": parts.pixels.scale, "bgr": parts.pixels.bgr}
        options = {"name": model.name, "dtype": dtype or model.dtype_policy} | pixels | loop
        shape = parts.image_shape
        return cls(parts.network, parts.encoder, image_shape=shape, iterations=iterations, eta=eta, **options)

    def _add_eta_logits(self) -> Any:
        if not self.iterations and not self.training_horizon:
            raise ValueError("learn_eta wants iterations >= 1: the plain CNN makes no step.")
        start = initial_logits(self.network, self.eta)
        return self.add_weight(
            shape=start.shape,
            initializer=lambda *_, **__: ops.convert_to_tensor(start),
            dtype="float32",
            autocast=False,
            name="eta_logits",
        )

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = tuple(input_shape)
        if self.encoder is not None:
            self.encoder.build(shape)
            shape = self.encoder.output_shape_for(shape)
        self.network.build(shape)
        logits_shape = self.network.output_shape_for(shape)
        if len(logits_shape) != 2:
            raise ValueError(f"the network must end in logits [batch, classes], but ends in shape {logits_shape}.")
        self.num_classes = int(logits_shape[-1])
        self.built = True

    @property
    def pixel_mean(self) -> Any:
        """See `CNNF`; part of `pixels`, as are the next two."""
        return self.pixels.mean

    @property
    def pixel_scale(self) -> Any:
        return self.pixels.scale

    @property
    def bgr(self) -> bool:
        return self.pixels.bgr

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """`(None, height, width, channels)`."""
        return (None, *self.image_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """`(None, classes)`."""
        return (None, self.num_classes)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return self.compute_output_spec(keras.KerasTensor(input_shape)).shape

    def compute_output_spec(self, images: Any, training: bool = False, mask: Any = None) -> keras.KerasTensor:
        del training
        _check_no_mask(mask)
        images = seen_images(images)
        check_image_spec(images, self.image_shape)
        top: Any = self.network
        while isinstance(top, FeedbackComposite):
            top = top.children()[-1]
        dtype = "float64" if top.compute_dtype == "float64" else "float32"
        return keras.KerasTensor((images.shape[0], self.num_classes), dtype)

    # Inference.

    def call(self, images: Tensor, training: bool = False, mask: Any = None) -> Tensor:
        """Images in [0, 1], `[batch, *image_shape]`, to the readout's logits, `[batch, classes]` in float32."""
        _check_no_mask(mask)
        return READOUTS[self.readout](self.infer(images, training=training).logits)

    def infer(
        self,
        images: Tensor,
        *,
        iterations: int | None = None,
        eta: float | Mapping[str, float] | None = None,
        training: bool = False,
        burn_in: Tensor | None = None,
    ) -> Trajectory:
        """Runs the loop and returns everything it did.

        Args:
          images: floats in [0, 1], `[batch, *image_shape]`.
          iterations: K; the model's own by default.
          eta: a number or a mapping, as in `CNNF`; the model's own step sizes by default.
          training: as in Keras.
          burn_in: see `unroll`.

        Raises:
          ValueError: wrong rank, size, channels or dtype of the images, or a bad `iterations` or `eta`.
          tf.errors.InvalidArgumentError: pixels outside [0, 1] by more than 0.001, NaN, or no image at all; on JAX and
            PyTorch a ValueError. Compiled by XLA or PyTorch, which know no errors, logits and reconstructions are all
            NaN instead.
        """
        images = ops.convert_to_tensor(seen_images(images))
        trajectory = unroll(
            self.network,
            self.encode(images, training=training),
            iterations=self.iterations if iterations is None else iterations,
            eta=self.step_sizes(eta),
            feedback_start=self.feedback_start,
            training=training,
            burn_in=burn_in,
            rematerialize=self.rematerialize and training,
        )
        kept = nan_where_faulty((trajectory.logits, trajectory.reconstructions), images)
        return trajectory._replace(logits=kept[0], reconstructions=kept[1])

    def step_sizes(self, eta: float | Mapping[str, float] | None = None) -> Eta:
        """What `unroll` takes for `eta`: the model's own step sizes, learned or given, or else those of `eta`."""
        if eta is None and self.eta_logits is not None:
            return learned_steps(self.network, self.eta_logits)
        return constant_steps(self.network, self.eta if eta is None else eta)

    def reported_eta(self) -> float | dict[str, float]:
        """The model's own step sizes for people: the number or mapping given, or the learned numbers, h first."""
        if self.eta_logits is not None:
            return learned_values(self.network, self.eta_logits)
        return dict(self.eta) if isinstance(self.eta, Mapping) else self.eta

    def accepts(self, shape: Sequence[int | None]) -> bool:
        """Whether images of this shape, `(height, width, channels)`, can go in."""
        wanted = self.image_shape
        return len(shape) == 3 and all(want in (None, size) for want, size in zip(wanted, shape, strict=True))

    def normalize(self, images: Tensor) -> Tensor:
        """Checks images in [0, 1] and maps them to the network's own pixel range and dtype."""
        images = ops.convert_to_tensor(seen_images(images))
        check_image_spec(images, self.image_shape)
        images = with_known_sizes(images, self.image_shape)
        return ops.cast(self.pixels.to_network(checked_images(images)), self.compute_dtype)

    def encode(self, images: Tensor, *, training: bool = False) -> Tensor:
        """h of the first pass: images in [0, 1], normalised, and through the encoder if there is one."""
        features, encoder = self.normalize(images), self.encoder
        if encoder is None:
            return features

        def encode(features: Tensor) -> list[Tensor]:
            return [encoder(features, training=training)[0]]

        (features,) = (rematerialized(encode) if self.rematerialize and training else encode)(features)
        return features

    def to_pixels(self, features: Tensor) -> Tensor:
        """The inverse of `normalize`, clipped to [0, 1]; for h and g(0) of a model whose h is the image."""
        return self.pixels.from_network(features)

    def reconstruct(self, images: Tensor, *, iterations: int | None = None) -> Tensor:
        """g(0) of every feedback pass as pictures, `[K, *images.shape]` in [0, 1].

        Where h is the image this is what the generative model renders. Where h is the output of the encoder, g(0) is
        sent further down through the encoder's transposed weights and latents; nothing was trained to make those
        pixels, so each picture is scaled and shifted to fit its image best: read it as a sketch.
        """
        trajectory = self.infer(images, iterations=iterations)
        if not trajectory.reconstructions:
            raise ValueError("reconstruct wants at least 1 iteration, got 0.")
        return ops.stack(self.pictures(trajectory.reconstructions, images))

    def pictures(self, features: Sequence[Tensor], images: Tensor) -> list[Tensor]:
        """Several h or g(0) of the same images as pictures in [0, 1], or as sketches; see `reconstruct`.

        Args:
          features: of a `Trajectory`.
          images: what it is of, floats in [0, 1], `[batch, *image_shape]`.
        """
        if self.encoder is None:
            return [self.to_pixels(entry) for entry in features]
        _, latents = self.encoder(self.normalize(images))
        return [fit_pixels(self.encoder.feedback(entry, latents)[0], images) for entry in features]

    # Serialisation.

    presets = PackagedPresets()
    """Those that come with the package, by name: `{"metadata": {"description": ..., "params": ...}}`."""

    @classmethod
    def from_preset(cls, preset: Any, *, load_weights: bool = True, **options: Any) -> "CNNF":
        """A model that `save_to_preset` wrote, uncompiled; see docs/presets.md.

        Args:
          preset: a name of `CNNF.presets`, or "pretrained:NAME" with one; a folder; or "hf://USER/MODEL[@REVISION]" of
            the Hugging Face hub.
          load_weights: whether it gets the weights of the preset, or random ones.
          **options: of `CNNF`, in place of those of the preset; such as `iterations=5`. `eta=...` and `learn_eta=False`
            drop step sizes that it learned; `learn_eta=True` starts from its `eta` where it learned none. Each layer
            keeps the dtype policy that it was saved with, whatever the global one is.

        Raises:
          ValueError: no such preset, or a name that a folder has, too; one that is damaged, newer than this version,
            or no CNNF; one that wants code of its author to run; weights that do not fit or are not finite. Nothing is
            built before the files are checked.
          ImportError, FileNotFoundError, PermissionError, ConnectionError: "hf://..." without the extra `hub`; no such
            repository or revision; a gated one; no network.
        """
        return load_preset(cls, preset, load_weights=load_weights, **options)

    save_to_preset = save_preset

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.network),
            "encoder": None if self.encoder is None else keras.saving.serialize_keras_object(self.encoder),
            "image_shape": list(self.image_shape),
            **{name: getattr(self, name) for name in _OPTIONS},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CNNF":
        parts = {
            name: config[name] and keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("network", "encoder")
        }
        return cls(**(config | parts))


def _check_no_mask(mask: Any) -> None:
    if any(part is not None for part in tree.flatten(mask)):
        raise ValueError("CNNF takes no mask, which leaves out steps of a sequence; weigh images by sample_weight.")


def _check_horizon(horizon: Any, iterations: int) -> int:
    if isinstance(horizon, bool) or not isinstance(horizon, int) or (horizon != 0 and horizon <= iterations):
        raise ValueError(
            f"training_horizon must be 0 (only the K = {iterations} iterations) or an integer above K, got {horizon!r}."
        )
    return horizon
