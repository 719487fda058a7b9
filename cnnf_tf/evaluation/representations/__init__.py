"""What people ask of activations over time: RSA, CKA, linear decoding, arrival of information, dimensionality.

Activations are arrays `[passes, images, ...]` by name, as `cnnf_tf.evaluation.activations` records them; pass 0 is the
plain CNN. Intervals are over images, 95 %. docs/representations.md has the formulas.
"""

from cnnf_tf.evaluation.representations.arrival import (
    NEVER,
    Arrival,
    arrival,
    arrival_difference,
    arrival_passes,
    challenge_images,
)
from cnnf_tf.evaluation.representations.cka import cka, linear_cka
from cnnf_tf.evaluation.representations.decoding import Decoding, decodability, decode
from cnnf_tf.evaluation.representations.dimensionality import Dimensionality, dimensionality, participation_ratio
from cnnf_tf.evaluation.representations.estimates import Estimate, estimate_table, mean_over_images, share_of_images
from cnnf_tf.evaluation.representations.figures import Curves, curves_figure, similarity_figure
from cnnf_tf.evaluation.representations.files import check_same_images, file_activations
from cnnf_tf.evaluation.representations.report import ANALYSES, Finding, analyse
from cnnf_tf.evaluation.representations.rsa import compare_dissimilarities, dissimilarities, rsa
from cnnf_tf.evaluation.representations.similarity import Similarity
from cnnf_tf.evaluation.representations.study import Study

__all__ = [
    "ANALYSES",
    "NEVER",
    "Arrival",
    "Curves",
    "Decoding",
    "Dimensionality",
    "Estimate",
    "Finding",
    "Similarity",
    "Study",
    "analyse",
    "arrival",
    "arrival_difference",
    "arrival_passes",
    "challenge_images",
    "check_same_images",
    "cka",
    "compare_dissimilarities",
    "curves_figure",
    "decodability",
    "decode",
    "dimensionality",
    "dissimilarities",
    "estimate_table",
    "file_activations",
    "linear_cka",
    "mean_over_images",
    "participation_ratio",
    "rsa",
    "share_of_images",
    "similarity_figure",
]
