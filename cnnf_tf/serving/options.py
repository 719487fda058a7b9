"""What is fixed at export."""

import dataclasses

from cnnf_tf.models import CNNF, check_tolerance
from cnnf_tf.utils.validation import positive_int

DEFAULT_MAX_ITERATIONS = 10


@dataclasses.dataclass(frozen=True)
class ServingOptions:
    """Defaults and limits that go into the exported graph; `ServingOptions.for_model` fills them in.

    Attributes:
      iterations: most feedback passes of `serving_default`; also those of `reconstruct` (at least 1 there).
      tolerance: of `serving_default`: an image stops once it is self-consistent; 0 runs all `iterations`.
      max_iterations: most feedback passes a request may ask for; those of `trajectory`.
      chunk_size: images that are in work at once. More in one request are done in turn, so that memory stays flat.
      max_images: most images in one request.

    Raises:
      ValueError: a value out of its range.
    """

    iterations: int
    tolerance: float = 0.0
    max_iterations: int = DEFAULT_MAX_ITERATIONS
    chunk_size: int = 128
    max_images: int = 16_384

    def __post_init__(self) -> None:
        for name in ("max_iterations", "chunk_size", "max_images"):
            positive_int(name, getattr(self, name))
        whole = isinstance(self.iterations, int) and not isinstance(self.iterations, bool)
        if not whole or not 0 <= self.iterations <= self.max_iterations:
            raise ValueError(
                f"iterations must be an integer from 0 to max_iterations ({self.max_iterations}), "
                f"got {self.iterations!r}."
            )
        check_tolerance(self.tolerance)

    @classmethod
    def for_model(
        cls,
        model: CNNF,
        *,
        iterations: int | None = None,
        tolerance: float = 0.0,
        max_iterations: int | None = None,
        chunk_size: int = 128,
        max_images: int = 16_384,
    ) -> "ServingOptions":
        """Fills in what is None: the model's own iterations, and a limit of 10 or, if more, those iterations."""
        iterations = model.iterations if iterations is None else iterations
        if max_iterations is None:
            max_iterations = max(DEFAULT_MAX_ITERATIONS, iterations)
        return cls(iterations, tolerance, max_iterations, chunk_size, max_images)
