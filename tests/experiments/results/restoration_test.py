"""The section on repaired images: what is above the corrupted input, in both measures and for every seed."""

import math

import tensorflow as tf

from cnnf_tf.experiments.results import restoration
from cnnf_tf.experiments.results.section import NOT_MEASURED
from tests.experiments.results.made_up import ReportingTestCase, restored
from tests.experiments.results.made_up import restoration as report

SHOT = restored(
    (16.0, 0.50),
    reconstruction=[(17.0, 0.40), (15.0, 0.30)],
    features=[(18.0, 0.60), (17.5, 0.55)],
    median=(17.0, 0.55),
    autoencoder=(20.0, 0.70),
)
GAUSSIAN = restored((18.0, 0.60), [(17.0, 0.70), (19.0, 0.50)], [(18.0, 0.60), (17.0, 0.5)], median=(18.5, 0.7))


class RestorationTest(ReportingTestCase):
    def test_table_and_verdict(self):
        self.put("restoration/seed0/restoration.json", report({"shot_noise": SHOT, "gaussian_noise": GAUSSIAN}))
        section = restoration.section(self.results)
        self.assert_row(section, "corrupted", "16.0", "0.500", "18.0", "0.600", "–", "–")
        self.assert_row(section, "autoencoder", "**20.0**", "**0.700**", "–", "–", "–", "–")
        self.assert_row(section, "reconstruction, iteration 1", "**17.0**", "0.400", "17.0", "**0.700**", "–", "–")
        self.assert_row(section, "features, iteration 2", "**17.5**", "**0.550**", "17.0", "0.500", "–", "–")
        self.assert_says(
            section,
            "Shot noise: **yes**, features after iteration 1 and 2; one of its readings is also above "
            "the median in both; none is above the autoencoder in both.",
            "Gaussian noise: **no**, neither reading after any of these iterations.",
            "Dotted line: not measured yet.",
            "corrupted at severity 3, seed 0",
            "training seed 0",
        )
        self.assertEqual(
            section.summary,
            "Restored images are above the corrupted ones in both PSNR and SSIM for shot noise, but not for "
            "Gaussian noise.",
        )

    def test_every_seed_must_be_above(self):
        worse = SHOT | {"restored": SHOT["restored"] | {"features": [{"psnr": 15.0, "ssim": 0.7}] * 2}}
        for seed, scores in enumerate((SHOT, worse)):
            self.put(f"restoration/seed{seed}/restoration.json", report({"shot_noise": scores}))
        section = restoration.section(self.results)
        self.assert_row(section, "features, iteration 1", "16.5 ± 2.1", "**0.650 ± 0.071**", *["–"] * 4)
        self.assert_says(section, "Shot noise: **no**", "training seeds 0 and 1")
        self.assertEqual(
            section.summary, "Restored images are not above the corrupted ones in both PSNR and SSIM for shot noise."
        )

    def test_not_a_number_is_absent_and_never_above(self):
        strange = restored((16.0, 0.5), [(math.nan, 0.9)], [(math.nan, 0.9)])
        self.put("restoration/restoration.json", report({"dotted_line": strange}, severity=2))
        section = restoration.section(self.results)
        self.assert_row(section, "features, iteration 1", *["–"] * 5, "**0.900**")
        self.assert_says(section, "Dotted line: **no**", "severity 2", "training seed not recorded")

    def test_training_and_picture(self):
        self.put("restoration/seed0/restoration.json", report({"shot_noise": SHOT}))
        self.put("restoration/seed0/config.json", {"train": {"epochs": 2, "dtype_policy": "float32"}})
        self.put("restoration/seed0/metrics.jsonl", [{"seconds": 600}, {"seconds": 600}])
        self.put("restoration/provenance.json", {"commands": ["python bin/mine.py"], "hardware": "an abacus"})
        self.assertNotIn("all.png", restoration.section(self.results).markdown())
        (self.folder / "restoration/seed0/all.png").write_bytes(b"")
        section = restoration.section(self.results)
        self.assert_says(
            section,
            "CNN-F, K = 1, eta = 0.5: training seed 0, 2 epochs, float32, 20 min of training",
            "hardware: an abacus",
            "restoration/seed0/all.png",
            "python bin/mine.py",
        )
        self.assertNotIn("bin/restore.py", section.markdown())

    def test_missing(self):
        section = restoration.section(self.results)
        self.assertEqual(section.summary, NOT_MEASURED)
        self.assert_says(section, "**Not measured yet.**", "python bin/restore.py")


if __name__ == "__main__":
    tf.test.main()
