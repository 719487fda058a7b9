"""The sections that come from the study: values against independent arithmetic, verdicts that follow the numbers."""

import tensorflow as tf

from cnnf_tf import evaluation
from cnnf_tf.experiments.results import clean, iterations, standard_attacks
from cnnf_tf.experiments.results.section import NOT_MEASURED
from tests.experiments.results.made_up import ReportingTestCase, accuracy, cell, needed, robustness, score, study

FAR = 8 / 255


def text(correct, num_images=100):
    """A share of one seed, as the page prints it."""
    low, high = evaluation.wilson_interval(correct, num_images)
    return f"{100 * correct / num_images:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


class AttackedTest(ReportingTestCase):
    def cells(self, *, ahead=0):
        cells = []
        for seed, correct in ((0, 50), (1, 54)):
            cells += [cell("clean", "cnn", 90 + seed, seed=seed), cell("clean", "cnnf_1", 88, seed=seed)]
            for radius, gain in ((0.02, 2 + seed), (FAR, ahead)):
                cells.append(cell("radii", "cnn", correct, seed=seed, radius=radius))
                cells.append(cell("radii", "cnnf_1", correct + gain, seed=seed, radius=radius))
        return cells

    def test_level(self):
        self.put("study/results.json", study(self.cells(), seeds=(0, 1)))
        section = standard_attacks.section(self.results)
        self.assert_row(section, "CNN", "", "2 seeds", "90.5 ± 0.7", "52.0 ± 2.8", "52.0 ± 2.8")
        self.assert_row(section, "CNN-F, K = 1", "last", "2 seeds", "88.0 ± 0.0", "54.5 ± 3.5", "52.0 ± 2.8")
        self.assert_row(section, "CNN-F, K = 1", "average", "2 seeds", "–", "–", "–")
        self.assert_says(
            section,
            "CNN-F, K = 1, readout last: level within the intervals everywhere. Its largest lead is at radius "
            "0.02, +2.5 points (+2.0 and +3.0 with seeds 0 and 1).",
            "radius 8/255",
            "PGD-40, l-inf, one random start, seed 0; gradients through full unroll and first pass",
            "### The whole table of attacks **Not measured yet.**",
        )
        self.assertEqual(
            section.summary, "CNN-F, K = 1 (readout last) against the CNN: level within the intervals everywhere."
        )

    def test_higher_and_lower(self):
        for ahead, word in ((30, "higher"), (-40, "lower")):
            self.put("study/results.json", study(self.cells(ahead=ahead), seeds=(0, 1)))
            words = [f"{word} at 8/255", "level within the intervals at 0.02"]
            found = standard_attacks.section(self.results).summary
            self.assertIn("; ".join(words if ahead > 0 else words[::-1]), found)

    def test_flattered_by_one_path(self):
        both = [cell("radii", "cnnf_1", 50, radius=0.02), cell("tested", "cnnf_1", 40, iterations=3, radius=0.02)]
        alone = [cell("radii", "cnnf_1", 53, radius=0.02), cell("tested", "cnnf_1", 60, iterations=3, radius=0.02)]
        self.put("study/results.json", study(both))
        self.put("study/full_unroll_only.json", study([*alone, cell("radii", "cnn", 99, radius=0.02)]))
        section = standard_attacks.section(self.results)
        self.assert_says(section, "look 3.0 points better at K' = 1 and 20.0 points better at K' > 1")
        self.put("study/full_unroll_only.json", study(both))
        self.assertNotIn("points better", standard_attacks.section(self.results).markdown())

    def test_all_attacks(self):
        self.put("study/results.json", study(self.cells()))
        rows = [
            score("PGD-40", "first_pass", "last", 0.52),
            score("SPSA-10", "first_pass", "last", 0.7, num_images=30, black_box=True),
            score("PGD-40", "first_pass", "average", 0.6),
        ]
        self.put("standard_attacked/cnnf/seed0/robustness.json", robustness({"last": 0.5, "average": 0.6}, rows))
        rows = [score("PGD-40", "full_unroll", "last", 0.95)]
        self.put("standard_attacked/cnn/seed0/robustness.json", robustness({"last": 0.94}, rows, failed=["loss rises"]))
        section = standard_attacks.section(self.results)
        self.assert_row(section, "PGD-40", "first pass", text(52), text(60), "–")
        self.assert_row(section, "SPSA-10 (30 images)", "first pass", text(21, 30), "–", "–")
        self.assert_row(
            section, "**minimum: stands all of them**", "", f"**{text(50)}**", f"**{text(60)}**", f"**{text(94)}**"
        )
        self.assert_says(
            section,
            'checks of the evaluation: 1 of 6 did not pass: "loss rises" (CNN: loss rises seen)',
            "40 steps of 2.5 radius / 40, 1 random start",
            f"CNN-F, last: {text(50)} %, 44.0 points lower; CNN-F, average: {text(60)} %, 34.0 points lower",
        )


class IterationsTest(ReportingTestCase):
    def test_trained(self):
        clean_cells = [
            cell("clean", model, correct) for model, correct in (("cnn", 90), ("cnnf_1", 91), ("cnnf_2", 85))
        ]
        cells = [
            cell("trained", model, correct, radius=0.02)
            for model, correct in (("cnn", 20), ("cnnf_1", 40), ("cnnf_2", 70))
        ]
        self.put("study/results.json", study([*clean_cells, *cells]))
        section = iterations.trained_section(self.results)
        self.assert_row(section, "0 (CNN)", "1 seed", text(90), text(20))
        self.assert_row(section, "2", "1 seed", text(85), text(70))
        self.assert_says(
            section,
            "At radius 0.02, K = 2 is 50.0 points higher compared with K = 0; accuracy rises with every K.",
            "On clean images, K = 2 is level within the intervals (−5.0 points) compared with K = 0; accuracy goes up "
            "and down.",
        )

    def test_tested(self):
        cells = []
        for k, attacked, right in ((0, 55, 92), (1, 50, 90), (3, 20, 30)):
            cells.append(cell("tested", "cnnf_1", attacked, iterations=k, radius=0.02))
            cells += [cell("clean", "cnnf_1", right, iterations=k, seed=seed) for seed in (0, 1)]
        self.put("study/results.json", study(cells, seeds=(0, 1)))
        section = iterations.tested_section(self.results)
        self.assert_row(section, "CNN-F, K = 1", "clean", text(92), text(90), text(30))  # of the seed that was attacked
        self.assert_row(section, "", "attacked", text(55), text(50), text(20))
        self.assert_says(
            section,
            "under attack the best is K' = 3, 30.0 points lower compared with K' = 1, and clean accuracy is 60.0 "
            "points lower.",
        )

    def test_needed(self):
        rising = [needed("radius", level, level * 20, 0.05, (0.9 - level, 0.95)) for level in (0.0, 0.02)]
        flat = [needed("gaussian_noise", level, 0.5, 0.05, (0.9, 0.89)) for level in (1, 2)]
        tested = cell("tested", "cnnf_1", 40, iterations=3, radius=0.02)
        self.put("study/results.json", study([*rising, tested]))
        section = iterations.needed_section(self.results)
        self.assert_row(section, "radius", "0.02", "0.40 ± 0.05", "–", "88.0", "95.0")
        self.assert_says(
            section,
            "**Yes, by every measure of difficulty** (the hardest images settle later than the easiest by more than 2 "
            "standard errors); the number rises at every level for every one of them.",
            "accuracy changes by 7.0 points for what an attack on the first pass broke.",
            f"an attack of radius 0.02 leaves {text(40)} % (section 4), not these 95.0 %",
        )
        self.put("study/results.json", study([*rising, *flat]))
        section = iterations.needed_section(self.results)
        self.assert_says(
            section, "**By some measures**: radius; not by Gaussian noise", "by −1.0 points for corruptions"
        )
        self.put("study/results.json", study(flat))
        self.assertStartsWith(iterations.needed_section(self.results).summary, "No, by no measure of difficulty")

    def test_unfinished_study(self):
        self.put("study/results.json", study([cell("clean", "cnn", 90)]))
        self.assert_row(iterations.trained_section(self.results), "1", "0 seeds", "–", "–")
        self.assert_says(iterations.tested_section(self.results), "CNN-F, K = 1: –.")
        self.assertEqual(iterations.needed_section(self.results).summary, NOT_MEASURED)
        self.assertEqual(standard_attacks.section(self.results).summary, "Nothing to compare yet.")


class CleanTest(ReportingTestCase):
    def test_passes_and_seeds(self):
        for seed in (0, 1):
            report = accuracy({"last": [900 + seed, 890, 400], "average": [900, 895, 600]})
            self.put(f"standard/cnnf/seed{seed}/accuracy.json", report)
        self.put("standard/cnn/seed0/accuracy.json", accuracy({"last": [950], "average": [950]}, trained=0))
        section = clean.clean_section(self.results)
        self.assert_row(section, "CNN-F, K = 1", "last", "90.05 ± 0.07", "89.00 ± 0.00", "40.00 ± 0.00")
        low, high = evaluation.wilson_interval(950, 1000)
        self.assert_row(section, "CNN, K = 0", "", f"95.00 [{100 * low:.2f}, {100 * high:.2f}]", "", "")
        self.assert_says(
            section,
            "On clean images CNN-F with K = 1 is 6.0 points lower compared with the CNN; run for K' = 2, it is "
            "49.0 points lower compared with K' = 1.",
        )

    def test_stable(self):
        record = study([cell("clean", "cnnf_1", correct, iterations=k) for k, correct in ((0, 91), (1, 93), (10, 60))])
        record["config"]["study"]["models"]["cnnf_1"]["training_horizon"] = 10
        self.put("study/results.json", record)
        self.put("stable/seed0/accuracy.json", accuracy({"last": [910, 930, 900], "average": [910, 930, 900]}))
        section = clean.stable_section(self.results)
        self.assertIn("readout last, K' = 10 against the best (K' = 1): 33.0 points lower", section.summary)
        self.assert_says(section, "the error of g(0) still grows, from 0.10 at K' = 1 to 0.20 at K' = 2")


if __name__ == "__main__":
    tf.test.main()
