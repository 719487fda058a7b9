"""Shared set-up: two logical CPU devices, so that replicated training is always tested; absl flags at defaults."""

import gc
import pathlib

import pytest

import cnnf_tf  # noqa: F401 - before TensorFlow, whose kernels it chooses

# isort: split
import tensorflow as tf
from absl import flags

FOLDER = pathlib.Path(__file__).resolve().parent
# Files that take ten seconds of CPU time and more, the longest first: they start in this order, so that no process is
# left alone with one of them at the end, and `make test-fast` leaves them out.
SLOW = (
    "bin/train_test.py",
    "examples/examples_test.py",
    "attacks/contract_test.py",
    "training/loop_test.py",
    "models/from_keras_test.py",
    "models/from_keras_use_test.py",
    "evaluation/robustness_test.py",
    "bin/study_test.py",
    "models/cnnf_test.py",
    "models/keras_use_test.py",
    "experiments/demo/measures_test.py",
    "configs_test.py",
    "models/golden_test.py",
    "backends_test.py",
    "serving/export_test.py",
    "serving/model_files_test.py",
    "bin/package_model_test.py",
    "experiments/model_cards/card_test.py",
    "api_test.py",
    "bin/demo_test.py",
    "bin/playground_test.py",
    "bin/learning_curves_test.py",
    "bin/robustness_test.py",
    "experiments/benchmark/run_test.py",
    "serving/robustness_test.py",
    "data/corruptions_test.py",
    "data/public_corruptions_test.py",
    "training/run_test.py",
    "bin/convert_test.py",
    "bin/export_test.py",
    "bin/corruption_robustness_test.py",
    "bin/binaries_test.py",
    "bin/generative_binaries_test.py",
    "bin/restore_test.py",
    "experiments/benchmark/cases_test.py",
    "experiments/benchmark/first_result_test.py",
    "evaluation/out_of_distribution_test.py",
    "bin/benchmark_test.py",
    "training/step_test.py",
    "experiments/learning_curves/baselines_test.py",
    "experiments/accelerator_test.py",
    "experiments/benchmark/lower_bound_test.py",
    "evaluation/restoration_test.py",
    "attacks/query_test.py",
    "serving/server_test.py",
    "experiments/benchmark/memory_test.py",
    "generative/deconvolutional_test.py",
    "attacks/gradient_test.py",
    "attacks/model_functions_test.py",
    "zoo/pretrained_test.py",
    "bin/predict_test.py",
    "bin/report_test.py",
    "bin/attack_test.py",
    "bin/activations_test.py",
    "bin/representations_test.py",
    "evaluation/recordings/recording_test.py",
    "bin/batches_test.py",
    "evaluation/parts_test.py",
    "examples/tour_test.py",
)


def pytest_configure(config) -> None:  # noqa: ARG001
    """Runs before TensorFlow starts."""
    flags.FLAGS.mark_as_parsed()  # absl's create_tempdir reads a flag
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items) -> None:
    """Drops `test_session`, which every tf.test.TestCase inherits and skips, so that skips mean something; see SLOW."""
    missing = [name for name in SLOW if not (FOLDER / name).exists()]
    if missing:
        raise pytest.UsageError(f"SLOW in tests/conftest.py names files that do not exist: {', '.join(missing)}.")
    rank = {FOLDER / name: place for place, name in enumerate(SLOW)}
    items[:] = [item for item in items if item.name != "test_session"]
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    for item in items:
        if item.path in rank:
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """What was imported stays: without this, every sweep of the garbage collector walks TensorFlow again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # tracing makes many objects, nearly all of which stay
