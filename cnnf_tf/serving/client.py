"""Asking a served model: batches, retries with back-off, deadlines, and answers as plain values.

The client does not care how a request travels; `transports` has gRPC, REST and the same thing in process.
"""

import dataclasses
import functools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

# Codes after which the same request may well succeed a moment later.
_RETRIED = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


class ServingError(OSError):
    """A request that was not answered; `message` says why.

    Attributes:
      code: name of gRPC's status code: "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE", "DEADLINE_EXCEEDED", ...
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class Transport(Protocol):
    """One way to reach a model. Failures are `ServingError`s."""

    def predict(self, signature: str, inputs: dict[str, np.ndarray], *, timeout: float) -> dict[str, np.ndarray]:
        """Calls a signature, waiting at most `timeout` seconds."""

    def image_shape(self, *, timeout: float) -> tuple[int, int, int]:
        """`(height, width, channels)` of the images that the model takes."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Attributes:
      label: class id.
      class_name: its name.
      probability: of the label, by softmax.
      iterations_used: feedback passes the image went through.
      label_changed: whether its last iteration still moved the label; None, like the next two, where it used none.
      latent_flip_rate: share of the latents that its last iteration flipped.
      feature_residual: |h - g(0)| / |h| at the start of its last iteration.
    """

    label: int
    class_name: str
    probability: float
    iterations_used: int
    label_changed: bool | None
    latent_flip_rate: float | None
    feature_residual: float | None


@dataclasses.dataclass(frozen=True)
class Retries:
    """How often to try, and how long to wait in between: `first_wait`, twice that, ..., each times 0.5 to 1 at random.

    Attributes:
      attempts: tries in all, at least 1.
      first_wait: seconds.
      longest_wait: seconds.
    """

    attempts: int = 4
    first_wait: float = 0.25
    longest_wait: float = 8.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_wait < 0 or self.longest_wait < 0:
            raise ValueError(f"retries want at least 1 attempt and waits >= 0, got {self}.")

    def wait_after(self, attempt: int) -> float:
        """Seconds to wait after attempt 1, 2, ..."""
        return min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)) * random.uniform(0.5, 1)


class Client:
    """Sends images to a model in batches.

    Args:
      transport: the way to the model.
      batch_size: images in a request.
      timeout: seconds that one request may take.
      retries: what to do when the server is busy or not there; other errors are raised at once.
      sleep: called with the seconds to wait before another try.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        batch_size: int = 32,
        timeout: float = 30.0,
        retries: Retries | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}.")
        if not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, got {timeout!r}.")
        self._transport, self._batch_size, self._timeout = transport, batch_size, timeout
        self._retries, self._sleep = retries or Retries(), sleep

    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` that the model takes."""
        return self._try("metadata", lambda: self._transport.image_shape(timeout=self._timeout))

    def classify(
        self, images: np.ndarray, *, max_iterations: int | None = None, tolerance: float = 0.0
    ) -> Iterator[Prediction]:
        """Labels images, one request for each batch, answers as they come.

        Args:
          images: uint8, or float32 in [0, 1], `[count, height, width, channels]`.
          max_iterations: most feedback passes; None for what the server was exported with.
          tolerance: an image stops once it moves less than this; only with `max_iterations`.

        Raises:
          ValueError: images of another type.
          ServingError: no answer, the code says why.
        """
        images = np.asarray(images)
        if images.dtype not in (np.uint8, np.float32):
            raise ValueError(f"images must be uint8, or float32 in [0, 1]; got {images.dtype}.")
        names = ("serving_uint8", "classify_uint8") if images.dtype == np.uint8 else ("serving_default", "classify")
        signature = names[0 if max_iterations is None else 1]
        if max_iterations is not None and not -(2**31) <= max_iterations < 2**31:
            raise ValueError(f"max_iterations must fit into 32 bits, got {max_iterations}.")
        for start in range(0, len(images), self._batch_size):
            inputs = {"images": images[start : start + self._batch_size]}
            count = len(inputs["images"])
            if max_iterations is not None:
                # One for each image, so that the server may put requests together.
                inputs["max_iterations"] = np.full(count, max_iterations, np.int32)
                inputs["tolerance"] = np.full(count, tolerance, np.float32)
            request = functools.partial(self._transport.predict, signature, inputs, timeout=self._timeout)
            outputs = self._try(f"{count} images", request)
            for i, label in enumerate(outputs["label"]):
                used, name = int(outputs["iterations_used"][i]), outputs["class_name"][i]
                changed, flips, residual = (float(value) for value in outputs["self_consistency"][i])
                yield Prediction(
                    label=int(label),
                    class_name=name.decode() if isinstance(name, bytes) else str(name),
                    probability=float(outputs["probabilities"][i][label]),
                    iterations_used=used,
                    label_changed=bool(changed) if used else None,
                    latent_flip_rate=flips if used else None,
                    feature_residual=residual if used else None,
                )

    def _try(self, what: str, request: Callable[[], Any]) -> Any:
        attempt = 0
        while True:
            attempt += 1
            try:
                return request()
            except ServingError as error:
                if error.code == "DEADLINE_EXCEEDED":
                    raise ServingError(
                        error.code,
                        f"no answer for {what} within the timeout of {self._timeout:g} s: the server is overloaded, or "
                        "the batch is too large for it; raise the timeout, send smaller batches or ask for fewer "
                        "iterations.",
                    ) from error
                if error.code not in _RETRIED:
                    raise
                if attempt == self._retries.attempts:
                    raise ServingError(error.code, f"gave up after {attempt} tries: {error}") from error
                self._sleep(self._retries.wait_after(attempt))
