"""The pages of packaged models."""

import copy
import pathlib

import huggingface_hub
import jinja2
import tensorflow as tf

from cnnf_tf.experiments.model_cards import card as model_card
from cnnf_tf.experiments.model_cards import page as model_page
from cnnf_tf.zoo import preset_info, pretrained_names
from tests.models import fixtures_models

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent

_DATA = "fashion_mnist"
_SCORE = {"attack": "PGD-40", "num_images": 200, "interval_95": [0, 1]}
_METRICS = {
    "clean": {
        "num_images": 1000,
        "correct": {"last": [900, 910], "average": [900, 905]},
        "accuracy": {"last": [0.9, 0.91], "average": [0.9, 0.905]},
        "cross_entropy": [0.1, 0.2],
    },
    "robustness": {
        "epsilon": 0.05,
        "seed": 0,
        "iterations": 1,
        "num_images": 200,
        "settings": {"step_size": 0.003125},
        "clean_accuracy": {"last": 0.9, "average": 0.91},
        "scores": [
            _SCORE | {"gradient_path": path, "readout": readout, "robust_accuracy": share}
            for path, readout, share in (
                ("first_pass", "last", 0.5),
                ("full_unroll", "last", 0.4),
                ("first_pass", "average", 0.6),
                ("full_unroll", "average", 0.55),
            )
        ],
        "minimum": {"last": 0.39, "average": 0.545},
        "failed_checks": {"last": [], "average": []},
    },
    "restoration": {
        "dotted_line": {
            "num_images": 30,
            "severity": 3,
            "seed": 0,
            "iterations": [1, 5],
            "corrupted": {"psnr": 10.0, "ssim": 0.25},
            "baselines": {"median 3x3": {"psnr": 11.0, "ssim": 0.5}},
            "restored": {
                "reconstruction": [{"psnr": 20.0, "ssim": 0.75}, {"psnr": 21.0, "ssim": 0.8}],
                "features": [{"psnr": 12.0, "ssim": 0.6}, {"psnr": 13.0, "ssim": 0.7}],
            },
        }
    },
}
_SESSION = {
    "command": "python bin/train.py --config=c.py --workdir=/x",
    "commit": "a" * 40,
    "dirty": True,
    "versions": {"python": "3.11.7"},
    "hardware": {"cpu": "Fast CPU", "cores": 2, "gpus": [], "replicas": 2},
    "started": "2024-01-02T03:04:05+00:00",
}


def info(metrics, sessions, **changes):
    """What `preset_info` says of a model, with its card."""
    config = {"seed": 4, "data": {"name": "fashion_mnist", "train_split": "train[:9]|x", "validation_split": "test"}}
    config["model"] = {"name": "fashion_cnn", "network": {"rule": "map", "encoder_blocks": 0}}
    history = [{"epoch": 3, "step": 1200, "seconds": 1800.0}]
    card = model_card.make_card(
        "new_one",
        data={"name": "fashion_mnist", "split": "test"},
        training=model_card.training_facts(config, history, sessions, name="new_one", which="best"),
        metrics=metrics,
        measured={"versions": {"keras": "3.1"}, "hardware": {"cpu": "CPU", "cores": 4, "gpus": ["H100"]}},
        limits="Not for shoes.",
    )
    loop = {"image_shape": [28, 28, 1], "iterations": 1, "eta": 0.1, "learn_eta": False, "readout": "last"}
    facts = {"class_names": ["hat", "shoe"], "num_classes": 2, "tolerance": None, "parameter_count": 3_298_962}
    weights = {"bytes": 6_000_000, "dtype": "float16"}
    return {"name": "new_one", "weights": weights, "dtype": "float32", "card": card, **loop, **facts, **changes}


class ModelPageTest(tf.test.TestCase):
    def test_step_sizes(self):
        learned = info(_METRICS, [_SESSION], eta={"h": 0.5, "*": 0.1}, learn_eta=True)
        self.assertIn("CNN-F, K = 1, eta learned from 0.5 (h), 0.1 (*), readout", model_page.model_page(learned))

    def assert_has(self, page, *lines):
        for line in lines:
            self.assertIn(line, page)

    def test_says_everything(self):
        page = model_page.model_page(info(_METRICS, [_SESSION]))
        self.assert_has(
            page,
            "# new_one\n",
            'model = cnnf_tf.CNNF.from_preset("new_one")',
            "`--model=pretrained:new_one`",
            '"license": "mit"\n',
            "Network `fashion_cnn` (encoder_blocks 0, rule",
            "CNN-F, K = 1, eta = 0.1, readout `last`, for `fashion_mnist` (28 x 28 x 1, 2 classes)",
            "3,298,962 parameters, 6.0 MB of\nfloat16, computed in float32.",
            "Labels: 0 hat, 1 shoe.",
            "## Limits\n\nNot for shoes.\n",
            "| 0 (plain CNN) | 90.00 % [88.0, 91.7] | 90.00 % [88.0, 91.7] |",
            "| 1 | 91.00 % [89.1, 92.6] | 90.50 % [88.5, 92.2] |",
            "python bin/evaluate.py --model=pretrained:new_one\n",
            "| PGD-40 | first_pass | 50.00 % [43.1, 56.9] | 60.00 % [53.1, 66.5] |",
            "| PGD-40 | full_unroll | 40.00 % [33.5, 46.9] | 55.00 % [48.1, 61.7] |",
            "| **stands all of them** |  | **39.00 % [32.5, 45.9]** | **54.50 % [47.6, 61.3]** |",
            "epsilon 0.05 on the [0, 1] pixel scale, step size 0.003125",
            "Every check of the evaluation itself passed.",
            "--robustness=0.05 --attacked_images=200 --spsa_images=0 --noadaptive\n",
            "| image | dotted line |",
            "| corrupted | 10.00, 0.250 |\n| median 3x3 | 11.00, 0.500 |\n| g(0), iteration 1 | 20.00, 0.750 |",
            "| h, iteration 5 | 13.00, 0.700 |",
            "bin/restore.py --model=pretrained:new_one --severity=3 --score_images=0\n",
            "keras 3.1; 4 cores of CPU, H100.",
            "| command | `python bin/train.py --config=c.py --workdir=runs/new_one` |",
            r"| data | `fashion_mnist` `train[:9]\|x`, held out: `test` |",
            f"| commit | `{'a' * 40}` with local changes |",
            "| hardware | 2 cores of Fast CPU, no GPU, 2 replicas |",
            "| length | 3 epochs, 1,200 steps |",
            "| time | 0.5 hours, evaluations not counted |",
            "| seed | 4 |",
            '  "seed": 4,\n',
        )
        self.assertEndsWith(page, "```\n")

    def test_leaves_out_what_was_not_measured_and_says_what_was_not_recorded(self):
        without = info({"clean": _METRICS["clean"]}, [])
        without["card"]["limits"] = None
        page = model_page.model_page(without)
        self.assertNotIn("## Robustness", page)
        self.assertNotIn("## Restoration", page)
        unknown = (f"| {row} | not recorded |" for row in ("command", "commit", "starts"))
        self.assert_has(page, "None were stated.", *unknown)
        without["card"] |= {"measured": {}, "metrics": {}}
        self.assertNotIn("Measured", model_page.model_page(without))

    def test_plain_cnn_other_data_failed_checks_and_resumed_runs(self):
        metrics = copy.deepcopy(_METRICS)
        check = {"check": "the loss rises", "evidence": "it fell", "cause": "too large a step"}
        metrics["robustness"]["failed_checks"]["average"] = [check]
        other = info(metrics, [_SESSION, _SESSION | {"commit": "b" * 40}], iterations=0)
        other["card"]["data"] |= {"name": "mnist", "split": "test[:1000]"}
        page = model_page.model_page(other)
        self.assert_has(
            page,
            "Plain CNN (K = 0), readout",
            "--model=pretrained:new_one --dataset=mnist '--split=test[:1000]'\n",
            "- readout average, the loss rises: it fell. Likely cause: too large a step.",
            f'| starts | 2; with other versions, hardware or commit: [{{"commit": "{"b" * 40}"',
        )
        self.assertNotIn("Every check", page)

    def test_front_matter_is_what_the_hub_reads(self):
        card = huggingface_hub.ModelCard(model_page.model_page(info(_METRICS, [_SESSION])))
        self.assertEqual((card.data.license, card.data.library_name, card.data.datasets), ("mit", "cnnf_tf", [_DATA]))
        self.assertEqual((card.data.model_name, card.data.metrics), ("new_one", ["accuracy"]))
        (result,) = card.data.eval_results
        self.assertEqual((result.dataset_name, result.dataset_split, result.metric_type), (_DATA, "test", "accuracy"))
        self.assertEqual(result.metric_value, 0.91)
        self.assertStartsWith(card.text.lstrip(), "# new_one\n")

    def test_writes_a_page_for_every_preset(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        self.assertEqual(model_page.write_pages(folder / "pages", folder=folder), [])
        model, preset = fixtures_models.smaller_model(), folder / "new_one"
        model.save_to_preset(preset, card={"name": "new_one"})
        with self.assertRaises((jinja2.UndefinedError, KeyError)):  # a card without its facts: no half a page
            model_page.write_pages(folder / "pages", folder=folder)
        model.save_to_preset(preset, card=info(_METRICS, [])["card"], overwrite=True)
        (path,) = model_page.write_pages(folder / "pages", folder=folder)
        self.assertEqual(path, folder / "pages" / "new_one.md")
        self.assertEqual(path.read_text(), model_page.model_page(preset_info(preset)))
        self.assertEqual(path.read_text(), (preset / "README.md").read_text())

    def test_pages_of_the_package_are_up_to_date(self):
        for name in pretrained_names():
            page = model_page.model_page(preset_info(name))
            for path in (f"docs/models/{name}.md", f"cnnf_tf/zoo/presets/{name}/README.md"):
                with self.subTest(path):
                    found = (ROOT / path).read_text(encoding="utf-8")
                    self.assertEqual(found, page, "run `python bin/package_model.py --pages_only`")


if __name__ == "__main__":
    tf.test.main()
