"""Packaging of cnnf_tf: one wheel that holds the package `cnnf_tf`, pretrained models included, and nothing else.

`bin/`, `configs/` and `tests/` are run from a checkout (they are in the source distribution, not in the wheel).
"""

import pathlib
import re

import setuptools

_ROOT = pathlib.Path(__file__).resolve().parent


def _version() -> str:
    """Reads `__version__` as text: importing the package would need TensorFlow at build time."""
    source = (_ROOT / "cnnf_tf" / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise RuntimeError('cnnf_tf/version.py must contain a line of the form __version__ = "1.2.3".')
    return match.group(1)


def _readme() -> str:
    path = _ROOT / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


# Lower bounds are versions the test suite was run with (see CONTRIBUTING.md, "Versions"); upper bounds are set only
# where the next release is known to break, or is tied to another package here.
INSTALL_REQUIRES = [
    "absl-py>=2.1",
    # TensorFlow Datasets 4.9 imports this at run time, but declares it only for Python < 3.9.
    "importlib_resources>=6.0",
    # Locks on Linux, macOS and Windows.
    "filelock>=3.16",
    # Files of activations are read with it; Keras needs it too.
    "h5py>=3.11",
    # The first release that TensorFlow 2.21 accepts, and the last for Python 3.10.
    "keras>=3.12,<4",
    "matplotlib>=3.8",
    # 1.0 words the errors of bad overrides differently.
    "ml_collections>=1.1",
    "numpy>=1.26",
    "pillow>=10.0",
    # How much memory there is; TensorFlow Datasets needs it too.
    "psutil>=5.9",
    # tensorflow-metadata, under TensorFlow Datasets, needs it without saying so; TensorFlow 2.20 would take less.
    "protobuf>=6.31",
    # ROC curves in cnnf_tf.evaluation and the baselines of the learning curves: 40 MB beside TensorFlow's 600, and no
    # second way to run `bin/` without them.
    "scikit-learn>=1.4",
    # Blurs, distortions and outlines in cnnf_tf.data.corruptions; scikit-learn needs it too.
    "scipy>=1.11",
    # TensorFlow 2.21 no longer brings TensorBoard along, and tf.summary needs it.
    "tensorboard>=2.20",
    # Plain `tensorflow`, never `tensorflow-cpu`: tf-keras and tensorflow-serving-api require the former, and pip would
    # install both into the same folder. Releases before 2.20 do not go with that protobuf; the upper bound is the
    # newest release that the tests have seen.
    "tensorflow>=2.20,<2.22",
    "tensorflow-datasets>=4.9.9",
    # 0.25 is the first release that accepts these TensorFlow releases.
    "tensorflow-probability>=0.25,<0.26",
    # TensorFlow Probability imports it but does not declare it. Each tf-keras 2.N requires TensorFlow 2.N, so that pip
    # picks the pair by itself.
    "tf-keras>=2.20,<2.22",
    # One thread for the decoders of cnnf_tf.evaluation.representations; scikit-learn needs it too.
    "threadpoolctl>=3.1",
    "tqdm>=4.66",
    # Tells this package when Keras is imported; TensorFlow needs it too.
    "wrapt>=1.16",
]

# The formatter's output changes between releases: one minor version for everybody.
RUFF = "ruff>=0.17,<0.18"

# Other people's attacks, for `attacks.as_art` and `attacks.as_foolbox`.
TOOLBOXES = [
    # 1.20 is the first release that takes Keras 3 models and NumPy 2.
    "adversarial-robustness-toolbox>=1.20",
    # Releases before 3.3.4 use aliases that NumPy 2 removed.
    "foolbox>=3.3.4",
]

SERVING = [
    "grpcio>=1.74",
    "requests>=2.31",
    # Generated for the protobuf of the TensorFlow of the same number; pip picks the pair.
    "tensorflow-serving-api>=2.20,<2.22",
]

# ONNX files: tf2onnx makes them, onnxruntime runs them. tf2onnx 1.17 is the first that goes with this protobuf.
ONNX = ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"]

# The interpreter of LiteRT files; TensorFlow itself writes them.
LITERT = ["ai-edge-litert>=2.0"]

# Presets on the Hugging Face hub, `CNNF.from_preset("hf://USER/MODEL")`. Its errors moved between modules before 1.0.
HUB = ["huggingface_hub>=1.0"]

# Keras' other backends (docs/backends.md). PyTorch also reads the authors' checkpoints, and is compared with; JAX also
# runs the screening of recipes (bin/screening.py). `torch.func` is there since 2.0.
TORCH = ["torch>=2.0"]
JAX = ["jax>=0.6"]

# What cnnf_tf.experiments needs beyond the library. The wheel leaves that folder out, so a user of the library never
# installs this; the Makefile installs it with the core, so that `make demo` stays one command.
EXPERIMENTS = ["jinja2>=3.1", "jsonschema>=4.20"]

# Trackers of training. The skinny package writes all that the whole one does; SQLAlchemy and Alembic are for a run
# without a server. 3.17 is the release that the tests have seen.
MLFLOW = ["alembic>=1.13", "mlflow-skinny>=3.17", "sqlalchemy>=2.0"]
WANDB = ["wandb>=0.31"]

# `evaluation.BrainScoreModel`. It wants NumPy before 2 and an xarray of 2022: an environment of its own, without `dev`.
BRAINSCORE = ["brainscore_core>=2.4", "brainscore_vision>=2.4"]

# The page of bin/playground.py. Not Gradio: 6.31 wants a Pillow before 13.
PLAYGROUND = [*EXPERIMENTS, "nicegui>=3.18,<4"]

# Drives that page in Debian's chromium, by its chromium-driver; for a test, and for the picture of the guide.
BROWSER = ["selenium>=4.51"]

# What `make docs` needs: the site is made from the sources' text, so that these stay out of everybody's way.
DOCS = [
    # Draws the formulas of docs/theory.md as MathML.
    "latex2mathml>=3.81",
    # 10 would follow MkDocs 2, which has another configuration and no plugins.
    "mkdocs-material>=9.8,<10",
    "mkdocstrings>=1.0",
    "mkdocstrings-python>=2.0",
    # Breaks the lines of long signatures.
    RUFF,
]

# What runs examples/tour.ipynb, and makes it of its text.
NOTEBOOK = ["ipykernel>=6.29", "jupytext>=1.16", "nbclient>=0.10", "nbformat>=5.10"]

# Files of activations (bin/activations.py): h5netcdf writes them, xarray opens them.
ACTIVATIONS = ["h5netcdf>=1.6", "xarray>=2025.1"]

# What `make test`, `make lint`, `make typecheck` and `make wheel-check` need. It holds the light extras, so that
# their tests run and are not skipped; PyTorch, with gigabytes of GPU libraries on Linux, stays apart.
DEV = [
    *ACTIVATIONS,
    *TOOLBOXES,
    *EXPERIMENTS,
    *HUB,
    *JAX,
    *LITERT,
    *MLFLOW,
    *NOTEBOOK,
    *ONNX,
    *SERVING,
    "build>=1.0",
    "import-linter>=2.3",
    "mypy>=1.11",
    # Reads requirements, for `make lock`.
    "packaging>=24.0",
    "pytest>=8.0",
    "pytest-xdist>=3.7",
    RUFF,
]

setuptools.setup(
    name="cnnf_tf",
    version=_version(),
    description="CNN-F in Keras 3 and TensorFlow: convolutional networks with recurrent generative feedback",
    long_description=_readme(),
    long_description_content_type="text/markdown",
    author="cnnf_tf contributors",
    license="MIT",
    license_files=["LICENSE"],
    packages=setuptools.find_packages(include=["cnnf_tf", "cnnf_tf.*"], exclude=["cnnf_tf.experiments*"]),
    package_data={"cnnf_tf": ["zoo/presets/*/*"]},
    python_requires=">=3.10",
    install_requires=INSTALL_REQUIRES,
    extras_require={
        "activations": ACTIVATIONS,
        "brainscore": BRAINSCORE,
        "browser": BROWSER,
        "dev": DEV,
        "docs": DOCS,
        "experiments": EXPERIMENTS,
        "hub": HUB,
        "litert": LITERT,
        "playground": PLAYGROUND,
        "mlflow": MLFLOW,
        "notebook": NOTEBOOK,
        "onnx": ONNX,
        "serving": SERVING,
        "jax": JAX,
        "toolboxes": TOOLBOXES,
        "torch": TORCH,
        "wandb": WANDB,
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
