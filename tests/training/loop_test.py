"""The loop: kills, damage, a full disk, a loss that is not a number, the guard, averages, replicas."""

import contextlib
import errno
import io
import pathlib
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training import loop, objectives
from cnnf_tf.training.checkpoints import Checkpoints
from cnnf_tf.training.step import TrainingStep
from cnnf_tf.training.validator import Validator
from cnnf_tf.zoo import load_model
from tests.training import fixtures_training

REPORT = {"loss": tf.constant(1.0), "accuracy": tf.constant(0.5), "gradient_norm": tf.constant(1.0)}
EVERY = {"train__steps_per_epoch": 6, "train__checkpoint_every": 2, "train__evaluate_every": 2}


class Killed(BaseException):
    """Nothing but the end of the process should catch a kill."""


class LoopTest(tf.test.TestCase, parameterized.TestCase):
    def workdir(self):
        return pathlib.Path(self.create_tempdir().full_path) / "run"

    def run_small(self, workdir=None, kind="standard", *, strategy=None, **changes):
        """Runs; returns the folder and what was said."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            folder = fixtures_training.run(
                fixtures_training.config(kind, **(EVERY | changes)),
                workdir or self.workdir(),
                strategy=strategy,
                progress=False,
            )
        return folder, said.getvalue()

    def killed_after(self, steps):
        """Within, the training dies in the step after that many."""
        call = TrainingStep.__call__

        def die(self, images, labels, *, step, seed):
            if step == steps:
                raise Killed
            return call(self, images, labels, step=step, seed=seed)

        return mock.patch.object(TrainingStep, "__call__", die)

    def assert_same_end(self, first, second, tolerance=1e-6):
        """The same weights, and the same of everything that a next step would depend on."""
        ends = [Checkpoints(folder.checkpoints).read_newest() for folder in (first, second)]
        self.assertEqual(ends[0][0], ends[1][0])
        for ours, theirs in zip(ends[0][1], ends[1][1], strict=True):
            self.assertAllClose(ours, theirs, rtol=tolerance, atol=tolerance)
        pairs = [load_model(folder.last).get_weights() for folder in (first, second)]
        for ours, theirs in zip(*pairs, strict=True):
            self.assertAllClose(ours, theirs, rtol=tolerance, atol=tolerance)

    @parameterized.parameters(
        ("standard", {"train__dtype_policy": "mixed_float16", "train__ema_decay": 0.9, "train__evaluate_every": 3}),
        ("adversarial", {"data__crop_padding": 1, "data__horizontal_flip": True, "data__validation_split": ""}),
    )
    def test_killed_runs_end_with_the_same_state(self, kind, changes):
        unbroken, _ = self.run_small(kind=kind, **changes)
        workdir = self.workdir()
        for steps, after in ((1, 0), (5, 4)):
            with self.killed_after(steps), self.assertRaises(Killed):
                self.run_small(workdir, kind, **changes)
            self.assertEqual(max(Checkpoints(workdir / "checkpoints").steps(), default=0), after)
        folder, said = self.run_small(workdir, kind, **changes)
        self.assertIn(f"{workdir}: going on after step 4 of 6.", said)
        self.assert_same_end(folder, unbroken)
        # With evaluations after steps 3 and 6 the second line is a mean of which one step was before the kill.
        every = changes.get("train__evaluate_every", 2)
        self.assertEqual([entry["step"] for entry in folder.history()], list(range(every, 7, every)))
        self.assertEqual(folder.history()[0]["epoch"], round(every / 6, 4))
        times = ("seconds", "images_per_second")
        for ours, theirs in zip(folder.history(), unbroken.history(), strict=True):
            self.assertEqual(set(ours), set(theirs))
            for name in set(ours) - set(times):
                self.assertAllClose(ours[name], theirs[name], rtol=1e-4, atol=1e-5, msg=name)

    def test_a_damaged_checkpoint_costs_the_steps_after_the_one_before(self):
        workdir = self.workdir()
        with self.killed_after(5), self.assertRaises(Killed):
            self.run_small(workdir)
        trained = Checkpoints(workdir / "checkpoints").read_newest()[1]
        newest = Checkpoints(workdir / "checkpoints").path(4)
        newest.write_bytes(newest.read_bytes()[:-50])
        folder, said = self.run_small(workdir)
        self.assertIn("step-00000004.npz is damaged", said)
        self.assertIn("going on after step 2 of 6", said)
        self.assertEqual([entry["step"] for entry in folder.history()], [2, 4, 6])
        Checkpoints(workdir / "checkpoints").path(6).unlink()
        for ours, theirs in zip(Checkpoints(workdir / "checkpoints").read_newest()[1], trained, strict=True):
            self.assertAllClose(ours, theirs, rtol=1e-6, atol=1e-6)

        # All damaged: nothing is trained, nothing is lost.
        for path in folder.checkpoints.iterdir():
            path.write_bytes(b"")
        before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
        with self.assertRaisesRegex(ValueError, r"all checkpoints in .* are damaged \(2, 4\)"):
            self.run_small(workdir)
        self.assertEqual(before, {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()})

    def test_a_checkpoint_that_does_not_fit(self):
        workdir = self.workdir()
        folder = training.open_workdir(workdir, fixtures_training.config(**EVERY))
        Checkpoints(folder.checkpoints).write(2, [np.zeros(3)], state="{}")
        with self.assertRaisesRegex(ValueError, "step-00000002.npz does not fit the model; give another --workdir"):
            self.run_small(workdir)

    def test_full_disk_keeps_the_older_checkpoints(self):
        workdir = self.workdir()
        savez = np.savez

        def full(file, **arrays):
            if "step-00000004" in str(file.name):
                file.write(b"PK")
                raise OSError(errno.ENOSPC, "No space left on device")
            savez(file, **arrays)

        wanted = r"step 4 could not be written \(No space left on device\); the newest checkpoint is that of step 2"
        with mock.patch.object(np, "savez", full), self.assertRaisesRegex(OSError, wanted):
            self.run_small(workdir)
        self.assertEqual([path.name for path in (workdir / "checkpoints").iterdir()], ["step-00000002.npz"])
        self.assertEmpty(list(workdir.rglob(".*")))

        def full_as_well(self, path, **kwargs):
            path.write_bytes(b"PK")
            raise OSError(errno.ENOSPC, "No space left on device")

        wanted = r"best.keras could not be written \(No space left on device\)"
        with mock.patch.object(keras.Model, "save", full_as_well), self.assertRaisesRegex(OSError, wanted):
            self.run_small(workdir)
        self.assertEmpty(list(workdir.rglob(".*")))
        self.assertEqual([entry["step"] for entry in self.run_small(workdir)[0].history()], [2, 4, 6])

    @parameterized.parameters("loss", "gradient_norm")
    def test_a_loss_that_is_not_a_number_names_its_batch(self, what):
        workdir = self.workdir()
        call = TrainingStep.__call__
        seen = {}

        def spoil(self, images, labels, *, step, seed):
            report = call(self, images, labels, step=step, seed=seed)
            if step == 3:
                seen.update(images=images.numpy(), labels=labels.numpy())
                report[what] = tf.constant(np.nan)
            return report

        message = (
            rf"the {what.replace('_', ' ')} became nan in step 4; the batch is in .*bad_batch.npz, and the checkpoint "
            "of step 2 is kept. A lower config.train.optimizer.learning_rate usually helps"
        )
        with mock.patch.object(TrainingStep, "__call__", spoil), self.assertRaisesRegex(ValueError, message):
            self.run_small(workdir)
        with np.load(workdir / "bad_batch.npz") as batch:
            self.assertAllEqual(batch["images"], seen["images"])
            self.assertAllEqual(batch["labels"], seen["labels"])
            self.assertEqual(batch["step"], 3)
        kept = Checkpoints(workdir / "checkpoints")
        self.assertEqual(kept.steps(), [2])
        for array in kept.read_newest()[1]:
            self.assertAllEqual(np.isfinite(array), np.ones_like(array, bool))
        # Whatever it was, the run goes on from there.
        self.assertEqual(len(self.run_small(workdir)[0].history()), 3)

    def test_a_bad_batch_of_pairs_on_two_replicas_is_whole(self):
        workdir = self.workdir()
        report = {name: tf.constant(np.inf) for name in ("loss", "accuracy", "gradient_norm")}
        config = fixtures_training.config("restore", **EVERY)
        config.data.corruptions.corruptions = ("gaussian_noise",)
        strategy = fixtures_training.mirrored()
        with (
            mock.patch.object(TrainingStep, "__call__", return_value=report),
            self.assertRaisesRegex(ValueError, "became inf in step 1; .* and there is no checkpoint yet"),
        ):
            fixtures_training.run(config, workdir, strategy=strategy)
        with np.load(workdir / "bad_batch.npz") as batch:
            self.assertEqual(batch["images"].shape, (8, *fixtures_training.IMAGE_SHAPE))
            self.assertEqual(batch["clean"].shape, (8, *fixtures_training.IMAGE_SHAPE))
            self.assertEqual(batch["labels"].shape, (8,))

    def test_the_attack_of_the_guard_is_due_late_in_any_case(self):
        changes = {"adversarial__guard_steps": 3, "adversarial__guard_from": 0.5, "adversarial__guard_drop": 1.0}
        attacks = []
        build = objectives.build_objective

        def build_and_note(model, config, **options):
            objective = build(model, config, **options)
            if options.get("guarded"):
                attacks.append(objective._attack.attack.steps)
            return objective

        def run(workdir):
            with mock.patch.object(objectives, "build_objective", build_and_note):
                return self.run_small(workdir, "adversarial", **changes)

        unbroken, said = run(self.workdir())
        self.assertEqual(attacks, [3])
        self.assertEqual(said.count("step 3: training goes on with attacks of 3 steps.\n"), 1)
        decisions = {entry["step"]: entry["guard"] for entry in unbroken.history() if "guard" in entry}
        self.assertEqual(decisions, {4: {"step": 3, "why": "due"}})
        workdir = self.workdir()
        with self.killed_after(4), self.assertRaises(Killed):
            run(workdir)
        attacks.clear()
        resumed, _ = run(workdir)
        self.assertEqual(attacks, [3])
        self.assertEqual([entry.get("guard") for entry in resumed.history()], [None, {"step": 3, "why": "due"}, None])
        self.assert_same_end(resumed, unbroken)

    def test_feedback_joins_in_later(self):
        """With 6 steps, half of them plain: evaluated after steps 2, 4 and 6."""
        unbroken, said = self.run_small(self.workdir(), "adversarial", train__feedback_from=0.5)
        self.assertEqual(said.count("step 3: training goes on with feedback, K = 1.\n"), 1)
        history = unbroken.history()
        joined = {"step": 3, "iterations": 1}
        self.assertEqual([entry.get("feedback") for entry in history], [None, joined, None])
        self.assertEqual([entry.get("plain") for entry in history], [True, None, None])
        self.assertEqual(history[0]["reconstruction_loss"], 0)
        self.assertGreater(history[2]["reconstruction_loss"], 0)
        workdir = self.workdir()
        with self.killed_after(4), self.assertRaises(Killed):
            self.run_small(workdir, "adversarial", train__feedback_from=0.5)
        self.assert_same_end(self.run_small(workdir, "adversarial", train__feedback_from=0.5)[0], unbroken)

    def test_a_model_without_feedback_is_never_the_best_of_one_with(self):
        plain = {"plain": True, "val_robust_accuracy": 0.9, "val_accuracy": 0.9}
        self.assertLess(loop._score(plain), loop._score({"val_robust_accuracy": 0.1, "val_accuracy": 0.1}))

    def test_guard_changes_the_attack_once_and_for_good(self):
        changes = {"adversarial__guard_steps": 3, "adversarial__guard_drop": 0.2}
        accuracies = [0.5, 0.1, 0.0]
        attacks = []
        build = objectives.build_objective

        def build_and_note(model, config, **options):
            objective = build(model, config, **options)
            if options.get("guarded"):
                attacks.append(objective._attack.attack.steps)
            return objective

        def run(workdir, steps):
            score = [{"accuracy": 0.5, "robust_accuracy": accuracy} for accuracy in accuracies[steps // 2 :]]
            with (
                mock.patch.object(Validator, "score", side_effect=score),
                mock.patch.object(Validator, "attacked", return_value=None),
                mock.patch.object(objectives, "build_objective", build_and_note),
            ):
                return self.run_small(workdir, "adversarial", **changes)

        unbroken, said = run(self.workdir(), 0)
        self.assertEqual(attacks, [3])
        message = (
            "step 4: held-out robust accuracy fell from 50.0% to 10.0%: catastrophic overfitting to the 1-step "
            "attack. Training goes on with 3 steps.\n"
        )
        self.assertEqual(said.count(message), 1)
        self.assertEqual(said.count("catastrophic"), 1)
        workdir = self.workdir()
        with self.killed_after(5), self.assertRaises(Killed):
            run(workdir, 0)
        attacks.clear()
        resumed, said = run(workdir, 4)
        self.assertEqual(attacks, [3])
        self.assertNotIn("catastrophic", said)
        for folder in (unbroken, resumed):
            decision = {"step": 4, "why": "fade", "best": 0.5}
            self.assertEqual([entry.get("guard") for entry in folder.history()], [None, decision, None])
        self.assert_same_end(resumed, unbroken)
        # The best model is the one before.
        best, last = (load_model(path).get_weights()[0] for path in (resumed.best, resumed.last))
        self.assertNotAllClose(best, last, rtol=0, atol=1e-6)

    def test_robust_accuracy_decides_which_model_is_best(self):
        scores = [(0.3, 0.9), (0.4, 0.1), (0.4, 0.0)]
        for key, best in (("robust_accuracy", 2), ("other", 1)):
            score = [{key: robust, "accuracy": accuracy} for robust, accuracy in scores]
            saved = []
            with (
                mock.patch.object(TrainingStep, "__call__", return_value=REPORT),
                mock.patch.object(Validator, "score", side_effect=score),
                mock.patch.object(loop, "save_model", lambda model, path: saved.append(path.name)),  # noqa: B023
            ):
                self.run_small()
            rounds = " ".join(saved).split("last.keras")
            self.assertEqual([place + 1 for place, files in enumerate(rounds) if "best" in files][-1], best)

    def test_the_average_of_the_weights_is_what_is_saved(self):
        changes = {"train__steps_per_epoch": 3, "train__evaluate_every": 3, "train__checkpoint_every": 1}
        trail = []
        write = Checkpoints.write

        def note(checkpoints, step, arrays, **extra):
            trail.append(arrays)
            write(checkpoints, step, arrays, **extra)

        with mock.patch.object(Checkpoints, "write", note):
            plain, _ = self.run_small(**changes)
        weights = len(load_model(plain.last).get_weights())
        averages = trail[0][:weights]
        for arrays in trail[1:]:
            averages = [0.6 * old + 0.4 * new for old, new in zip(averages, arrays, strict=False)]
        for strategy in (None, fixtures_training.mirrored()):
            folder, _ = self.run_small(train__ema_decay=0.6, strategy=strategy, **changes)
            for path in (folder.last, folder.best):
                for saved, wanted in zip(load_model(path).get_weights(), averages, strict=True):
                    self.assertAllClose(saved, wanted, atol=1e-5)
            # Training itself went on with the weights, not with their average.
            for ours, theirs in zip(
                Checkpoints(folder.checkpoints).read_newest()[1][:weights], trail[-1], strict=False
            ):
                self.assertAllClose(ours, theirs, atol=1e-5)

    def test_goes_on_with_another_number_of_replicas(self):
        changes = {"train__steps_per_epoch": 20, "train__checkpoint_every": 5, "train__evaluate_every": 10}
        changes["data__validation_split"] = ""
        alone, _ = self.run_small(kind="adversarial", **changes)
        workdir = self.workdir()
        with self.killed_after(13), self.assertRaises(Killed):
            self.run_small(workdir, "adversarial", strategy=fixtures_training.mirrored(), **changes)
        folder, said = self.run_small(workdir, "adversarial", **changes)
        self.assertIn("going on after step 10 of 20", said)
        self.assert_same_end(folder, alone, 1e-5)
        for ours, theirs in zip(folder.history(), alone.history(), strict=True):
            for name in ("loss", "clean_accuracy", "gradient_norm"):
                self.assertAllClose(ours[name], theirs[name], rtol=1e-4)


if __name__ == "__main__":
    tf.test.main()
