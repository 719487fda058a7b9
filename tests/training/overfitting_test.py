"""When the guard against catastrophic overfitting trips, and what training does then."""

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.training.overfitting import OverfittingGuard, build_curriculum
from tests.training import fixtures_training


class GuardTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ([0.1, 0.3, 0.5, 0.45, 0.36, 0.6], None),
        ([0.1, 0.5, 0.34, 0.0, 0.5, 0.0], 2),
        ([0.5, 0.45, 0.4, 0.36, 0.34], 4),
        ([0.0, 0.0, 0.0], None),
        ([0.14, 0.0], None),
    )
    def test_trips_once_where_accuracy_falls_by_more_than_the_drop(self, accuracies, wanted):
        guard = OverfittingGuard(0.15)
        trips = [guard.update(accuracy) for accuracy in accuracies]
        self.assertEqual(trips, [place == wanted for place in range(len(accuracies))])
        self.assertEqual(guard.tripped, wanted is not None)
        self.assertEqual(guard.best, max(accuracies))

    def test_a_fall_around_chance_does_not_count(self):
        guard = OverfittingGuard(0.04, chance=0.1)
        self.assertFalse(any(guard.update(accuracy) for accuracy in (0.13, 0.02, 0.139, 0.0, 0.15)))
        self.assertFalse(guard.update(0.111))
        self.assertTrue(guard.update(0.109))


class CurriculumTest(tf.test.TestCase, parameterized.TestCase):
    def curriculum(self, **changes):
        """Of a training of 10 steps, and the objective it begins with."""
        config = fixtures_training.config(
            "adversarial", adversarial__guard_steps=3, adversarial__guard_drop=0.2, **changes
        )
        found = build_curriculum(fixtures_training.model(), config, total_steps=10)
        return found, found.at(0)

    def changes(self, curriculum, accuracies, every=2):
        """The decision of each evaluation."""
        found = []
        for place, accuracy in enumerate(accuracies):
            change = curriculum.evaluated(range(place * every, (place + 1) * every), {"robust_accuracy": accuracy})
            found.append(change and change.record["guard"])
        return found

    def test_without_a_guard_nothing_changes(self):
        for kind in ("standard", "adversarial"):
            curriculum = build_curriculum(fixtures_training.model(), fixtures_training.config(kind), total_steps=10)
            self.assertIsNone(curriculum.evaluated(range(2), {}))
            self.assertEqual(curriculum.state, {})
            self.assertIs(curriculum.at(0), curriculum.at(10))

    def test_feedback_starts_the_guard_anew(self):
        """A plain network may have stood more attacks than the first one with feedback: that is no fading."""
        curriculum, first = self.curriculum(train__feedback_from=0.35)
        self.assertEqual([curriculum.is_plain(step) for step in (0, 3, 4, 9)], [True, True, False, False])
        self.assertIsNone(curriculum.evaluated(range(4), {"robust_accuracy": 0.95}))
        joined = curriculum.evaluated(range(4, 6), {"robust_accuracy": 0.7})
        self.assertEqual(joined.record, {"feedback": {"step": 4, "iterations": 1}})
        self.assertIsNot(curriculum.at(4), first)
        self.assertIsNone(curriculum.evaluated(range(6, 7), {"robust_accuracy": 0.65}))
        faded = curriculum.evaluated(range(7, 9), {"robust_accuracy": 0.2})
        self.assertEqual(faded.record["guard"], {"step": 9, "why": "fade", "best": 0.7})

    def test_both_changes_are_written(self):
        curriculum, _ = self.curriculum(train__feedback_from=0.3, adversarial__guard_from=0.3)
        change = curriculum.evaluated(range(2, 4), {"robust_accuracy": 0.5})
        guard = {"step": 3, "why": "due"}
        self.assertEqual(change.record, {"feedback": {"step": 3, "iterations": 1}, "guard": guard})
        self.assertLen(change.message.splitlines(), 2)

    def test_the_plain_cnn_has_nothing_to_join_in(self):
        config = fixtures_training.config(train__feedback_from=0.5)
        curriculum = build_curriculum(fixtures_training.model(iterations=0), config, total_steps=10)
        self.assertFalse(curriculum.is_plain(0))
        self.assertIsNone(curriculum.evaluated(range(10), {}))

    def test_fade(self):
        curriculum, first = self.curriculum()
        self.assertEqual(self.changes(curriculum, [0.6]), [None])
        self.assertIs(curriculum.at(2), first)
        wanted = {"step": 4, "why": "fade", "best": 0.6}
        self.assertEqual(curriculum.evaluated(range(2, 4), {"robust_accuracy": 0.1}).record, {"guard": wanted})
        stronger = curriculum.at(4)
        self.assertIsNot(stronger, first)
        self.assertIs(curriculum.at(5), stronger)
        self.assertIsNone(curriculum.evaluated(range(4, 6), {"robust_accuracy": 0.0}))

    @parameterized.parameters((0.5, 5, 2), (0.35, 4, 2), (0.0, 0, 0), (0.55, 6, 3))
    def test_due(self, guard_from, step, place):
        curriculum, first = self.curriculum(adversarial__guard_from=guard_from)
        wanted = [None] * 5
        wanted[place] = {"step": step, "why": "due"}
        self.assertEqual(self.changes(curriculum, [0.5] * 5), wanted)
        self.assertIs(curriculum.at(step), curriculum.at(9))
        if step:
            self.assertIs(curriculum.at(step - 1), first)
            self.assertIsNot(curriculum.at(step), first)

    def test_only_the_first_reason_counts(self):
        curriculum, _ = self.curriculum(adversarial__guard_from=0.6)
        fade = {"step": 4, "why": "fade", "best": 0.6}
        self.assertEqual(self.changes(curriculum, [0.6, 0.1, 0.1, 0.1, 0.1]), [None, fade, None, None, None])
        curriculum, _ = self.curriculum(adversarial__guard_from=0.2)
        due = {"step": 2, "why": "due"}
        self.assertEqual(self.changes(curriculum, [0.6, 0.1, 0.0]), [None, due, None])
        curriculum, _ = self.curriculum(adversarial__guard_from=0.4)
        due = {"step": 4, "why": "due"}
        self.assertEqual(self.changes(curriculum, [0.6, 0.1, 0.0]), [None, None, due])

    def test_goes_on_from_its_state(self):
        first, other = self.curriculum()[0], self.curriculum()[0]
        self.changes(first, [0.6, 0.5])
        other.restore({"sums": {}} | first.state)
        self.assertEqual(other.state, {"best_robust": 0.6, "guard_tripped": False})
        for curriculum in (first, other):
            self.assertEqual(curriculum.evaluated(range(4, 6), {"robust_accuracy": 0.3}).record["guard"]["best"], 0.6)
        self.assertTrue(other.state["guard_tripped"])


if __name__ == "__main__":
    tf.test.main()
