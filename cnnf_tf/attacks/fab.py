"""FAB: the nearest adversarial image, found by steps to linearised decision boundaries (arXiv:1907.02044)."""

from typing import Any

import tensorflow as tf

from cnnf_tf.attacks import attack_arguments
from cnnf_tf.attacks.base import Attack, Found
from cnnf_tf.attacks.losses import LOSSES
from cnnf_tf.attacks.norms import Norm
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.attacks.programs.tensorflow import any_batch, put_rows, row_numbers
from cnnf_tf.utils.validation import integer, positive_int

_ALPHA_MAX, _ETA, _BETA = 0.1, 1.05, 0.9  # the paper's: pull to the clean image, overshoot, step back
_ETA_AT_LAST, _BISECTIONS = 1.001, 14
_SLACK = 1.0002  # on the boundary itself, rounding would decide the class


class FAB(Attack):
    """Fast adaptive boundary attack (Croce and Hein, arXiv:1907.02044), targeted as in AutoAttack (arXiv:2003.01690).

    With z the logits, y the label and c a rival of it, the boundary z_c = z_y is taken for the hyperplane that it would
    be if the network were linear around the iterate x. With d and d' the shortest ways to it, within [0, 1], from x
    and from the clean image x0,

        x <- clip((1 - a) (x + 1.05 d) + a (x0 + 1.05 d')),   a = min(|d| / (|d| + |d'|), 0.1)

    An x that is adversarial is a candidate, and goes back towards x0, x <- x0 + 0.9 (x - x0). At the end the nearest
    candidate is brought as near as it goes: to the straight way from x0 to its own boundary if that is shorter, then to
    the smallest ball in which it remains adversarial.

    With `early_stop` an image is done once a candidate is within `epsilon`. Without it all steps are taken, the nearest
    candidate is the result, and `epsilon` may be as large as one likes: the distance is then an upper bound, most often
    a close one, of the distance to the nearest adversarial image. An image that has no candidate within `epsilon` is
    returned as it is.

    Any class but the label is success, whichever rival the steps lead to; if the call names targets, the steps lead to
    the target of each image and nothing else is success. Where the surrogate is not `predict`, it gives the slopes,
    and `predict` the logits.

    Args:
      epsilon: how far the adversarial image may be, on the [0, 1] pixel scale.
      norm: "linf" or "l2".
      targets: how many of the rivals of the label are tried, one after the other, the likeliest for the clean image
        first; all, if the model has fewer. 0 is the untargeted form, where each step leads to the nearest of all
        boundaries: its steps cost a gradient for each rival.
      steps: for each target and restart.
      restarts: starts for each target, the first at the clean image, others at random in half of the ball.
      early_stop: see `Attack`, and above.

    Raises:
      ValueError: an argument out of its range; an objective, as there is no boundary in a loss.
    """

    def __init__(
        self,
        *,
        epsilon: float,
        norm: str = "linf",
        targets: int = 9,
        steps: int = 100,
        restarts: int = 1,
        early_stop: bool = True,
    ):
        super().__init__(epsilon=epsilon, norm=norm, early_stop=early_stop)
        self.targets = integer("targets", targets)
        self.steps = positive_int("steps", steps)
        self.restarts = positive_int("restarts", restarts)

    def settings(self) -> dict[str, Any]:
        settings = super().settings() | {"targets": self.targets, "steps": self.steps, "restarts": self.restarts}
        del settings["loss"]
        return settings

    def search(self, problem: Problem, working: tf.Tensor) -> Found:
        if problem.objective is not None:
            raise ValueError("FAB goes to boundaries between logits and takes no objective; use PGD.")
        images = problem.images
        if not self.early_stop:  # an image that is misclassified is its own nearest one
            working = tf.logical_and(working, tf.logical_not(problem.check(images)))
        rows = row_numbers(working)
        turns, width, queries = 1, 1, tf.zeros_like(problem.labels)
        rivals = problem.labels[:, None]  # of no use where the call names targets
        if problem.targets is None:
            rivals, queries = problem.rivals(), tf.cast(working, tf.int32)
            turns, width = (min(self.targets, rivals.shape[1]), 1) if self.targets else (1, rivals.shape[1])

        def step(number: Any, rows: Any, iterates: Any, nearest: Any, distances: Any, queries: Any) -> Any:
            work, reach = problem.rows(rows), tf.gather(distances, rows)
            turn, restart = number // self.steps // self.restarts, number // self.steps % self.restarts
            points = tf.cond(
                number % self.steps == 0,
                lambda: self._start(work, turn, restart, tf.minimum(reach, self.epsilon)),
                lambda: tf.gather(iterates, rows),
            )
            aims = tf.slice(tf.gather(rivals, rows), [0, turn * width], [-1, width])
            moved = self._move(work, points, aims)
            found = work.check(moved)
            distance = self.norm.distance(moved - work.images)
            nearer = tf.logical_and(found, distance < reach)
            nearest = put_rows(nearest, rows, _where(nearer, moved, tf.gather(nearest, rows)))
            distances = put_rows(distances, rows, tf.where(nearer, distance, reach))
            moved = _where(found, work.images + _BETA * (moved - work.images), moved)
            asked = tf.fill(tf.shape(rows), 1 + problem.shared)
            queries = tf.tensor_scatter_nd_add(queries, rows[:, None], asked)
            iterates = put_rows(iterates, rows, moved)
            if self.early_stop:
                rows = tf.boolean_mask(rows, tf.logical_not(nearer & (distance <= self.epsilon)))
            return number + 1, rows, iterates, nearest, distances, queries

        furthest = tf.fill(tf.shape(problem.labels), images.dtype.max)
        start = (tf.constant(0), rows, images, images, furthest, queries)
        _, rows, _, nearest, distances, queries = tf.while_loop(
            lambda number, rows, *rest: tf.size(rows) > 0,
            step,
            start,
            shape_invariants=tuple(map(any_batch, start)),
            parallel_iterations=1,
            maximum_iterations=turns * self.restarts * self.steps,
        )
        rows = tf.boolean_mask(rows, tf.gather(distances, rows) < images.dtype.max)
        nearest = put_rows(nearest, rows, self._finish(problem.rows(rows), tf.gather(nearest, rows)))
        asked = tf.fill(tf.shape(rows), 1 + problem.shared * (2 + _BISECTIONS))
        queries = tf.tensor_scatter_nd_add(queries, rows[:, None], asked)
        near = self.norm.distance(nearest - images) <= self.epsilon
        return Found(images=_where(near, nearest, images), losses=tf.zeros([0]), queries=queries)

    def _start(self, problem: Problem, turn: tf.Tensor, restart: tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
        """The clean images, and for restarts a point within half of `reach` of each."""
        images = problem.images
        shape, dtype = tuple(images.shape[1:]), images.dtype

        def anywhere() -> tf.Tensor:
            spec = tf.TensorSpec(shape, dtype)
            delta = problem.draw([turn, restart], lambda seed: self.norm.uniform(shape, seed, dtype), spec)
            return tf.clip_by_value(images + delta * reach[:, None, None, None] / 2, 0, 1)

        return tf.cond(restart > 0, anywhere, lambda: images) if self.restarts > 1 else images

    def _finish(self, problem: Problem, nearest: tf.Tensor) -> tf.Tensor:
        """Adversarial images that are still nearer: the shortest way to the boundary found, no further than needed."""
        logits = attack_arguments.logits("predict", problem.predict(nearest))
        slope, _, rise = self._boundary(problem, nearest, tf.argmax(logits, 1, output_type=tf.int32)[:, None])
        direct = _ETA_AT_LAST * to_hyperplane(problem.images, slope, rise, self.norm)
        direct = tf.clip_by_value(problem.images + direct, 0, 1) - problem.images
        delta = nearest - problem.images
        nearer = self.norm.distance(direct) < self.norm.distance(delta)
        delta = _where(nearer & problem.check(problem.images + direct), direct, delta)

        def within(radius: tf.Tensor) -> tf.Tensor:
            return problem.images + self.norm.project(delta, radius[:, None, None, None])

        def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            middle = (low + high) / 2
            broken = problem.check(within(middle))
            return tf.where(broken, low, middle), tf.where(broken, middle, high)

        size = self.norm.distance(delta)
        start = tf.zeros_like(size), size
        _, high = tf.while_loop(lambda low, high: tf.size(low) > 0, halve, start, maximum_iterations=_BISECTIONS)
        return within(tf.minimum(_SLACK * high, size))

    def _move(self, problem: Problem, points: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """The next points: over the nearest of the boundaries to `rivals`, int32 `[batch, k]`, or close to it."""
        slope, rise, rise_from_clean = self._boundary(problem, points, rivals)
        twice = tf.concat([points, problem.images], 0), tf.concat([slope, slope], 0)
        deltas = to_hyperplane(*twice, tf.concat([rise, rise_from_clean], 0), self.norm)
        delta, delta_from_clean = tf.split(deltas, 2)
        lengths = tf.maximum(self.norm.distance(deltas), 1e-8)[:, None, None, None]
        length, length_from_clean = tf.split(lengths, 2)
        alpha = tf.minimum(length / (length + length_from_clean), _ALPHA_MAX)
        moved = (1 - alpha) * (points + _ETA * delta) + alpha * (problem.images + _ETA * delta_from_clean)
        return tf.clip_by_value(moved, 0, 1)

    def _boundary(self, problem: Problem, points: tf.Tensor, rivals: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The nearest of the boundaries: its slope, and how far a lead must rise along it from points and images."""
        leads, slopes = self._linearise(problem, points, rivals)
        every = tf.reshape(slopes, [-1, *points.shape[1:]])
        # How fast a lead can rise with the distance: the dual norm of its slope.
        speeds = tf.reshape(tf.reduce_sum(every * self.norm.steepest(every), (1, 2, 3)), tf.shape(leads))
        away = tf.where(speeds > 0, tf.abs(leads) / tf.where(speeds > 0, speeds, 1), leads.dtype.max)
        nearest = tf.argmin(away, 1, output_type=tf.int32)
        lead, slope = (tf.gather(values, nearest, axis=1, batch_dims=1) for values in (leads, slopes))
        return slope, -lead, tf.reduce_sum(slope * (points - problem.images), (1, 2, 3)) - lead

    def _linearise(self, problem: Problem, points: tf.Tensor, rivals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """How far rivals lead over the label, `[batch, k]`, and the slopes of that, `[batch, k, height, ...]`."""

        def leads_of(name: str, function: Any) -> tf.Tensor:
            logits = attack_arguments.logits(name, function(points))
            if problem.targets is not None:
                leads = LOSSES["margin"](logits, problem.labels, problem.targets)[:, None]
            else:
                own = tf.gather(logits, problem.labels[:, None], batch_dims=1)
                leads = tf.gather(logits, rivals, batch_dims=1) - own
            return tf.cast(leads, points.dtype)

        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(points)
            leads = leads_of("surrogate", problem.surrogate)

        def slope(rival: tf.Tensor) -> tf.Tensor:
            only = tf.zeros_like(leads) + tf.one_hot(rival, leads.shape[1], dtype=leads.dtype)
            gradient = tape.gradient(leads, points, output_gradients=only)
            if gradient is None:
                raise ValueError(
                    "no gradient reaches the images: the surrogate must be made of differentiable TensorFlow ops of "
                    "its images; use Square for one that is not."
                )
            return gradient

        slopes = tf.map_fn(slope, tf.range(leads.shape[1]), fn_output_signature=points.dtype, parallel_iterations=1)
        slopes = tf.transpose(slopes, [1, 0, 2, 3, 4])
        if not problem.shared:
            leads = leads_of("predict", problem.predict)
        return _finite(leads), _finite(slopes)


def to_hyperplane(points: tf.Tensor, normals: tf.Tensor, rises: tf.Tensor, norm: Norm) -> tf.Tensor:
    """The smallest deltas with normal . delta = rise that leave pixels in [0, 1]; all are per image.

    Such a delta is t times the direction along which normal . delta rises fastest, but for pixels that stop at 0 or 1:
    normal . delta is concave and piecewise linear in t, so that Newton's method from t = 0 ends at the right t after
    finitely many steps.

    Args:
      points: in [0, 1], `[batch, height, width, channels]`.
      normals: of the same shape.
      rises: `[batch]`. For one out of reach, each pixel with a normal other than 0 goes to 0 or 1.
      norm: in which delta is to be small.

    Returns:
      The deltas, in the shape of the points.
    """
    axes = (1, 2, 3)
    largest = tf.reduce_max(tf.abs(normals), axes)
    scale = tf.where(largest > 0, largest, 1)  # no square below underflows
    none = tf.zeros([], points.dtype)
    weights, wanted = tf.abs(normals) / scale[:, None, None, None], tf.abs(rises) / scale
    directions = norm.steepest(normals) * tf.sign(rises)[:, None, None, None]
    rates, rooms = tf.abs(directions), tf.where(directions > 0, 1 - points, points)

    def newton(lengths: tf.Tensor, moving: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del moving
        stopped = rates * lengths[:, None, None, None] >= rooms
        speed = tf.reduce_sum(tf.where(stopped, none, weights * rates), axes)
        rest = wanted - tf.reduce_sum(tf.where(stopped, weights * rooms, none), axes)
        further = tf.where(speed > 0, rest / tf.where(speed > 0, speed, 1), tf.where(rest > 0, rest.dtype.max, none))
        further = tf.clip_by_value(further, lengths, rest.dtype.max)
        return further, tf.reduce_any(further > lengths)

    start = tf.zeros_like(rises), tf.constant(True)
    lengths, _ = tf.while_loop(lambda lengths, moving: moving, newton, start, maximum_iterations=100)
    return tf.sign(directions) * tf.minimum(rates * lengths[:, None, None, None], rooms)


def _where(chosen: tf.Tensor, images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    return tf.where(chosen[:, None, None, None], images, others)


def _finite(values: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.math.is_finite(values), values, 0)
