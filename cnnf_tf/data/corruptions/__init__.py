"""Corruptions of images: our own, and those of CIFAR-10-C, ImageNet-C and MNIST-C with their strengths.

    images = corrupt(images, "shot_noise", 3, seed=0)
    images = corrupt(images, "fog", 3, seed=0, strengths="cifar10_c")
    dataset = corrupted(dataset, "shot_noise", 3, seed=0)     # batches of (corrupted images, labels)
    dataset = noisy_pairs(dataset, ["shot_noise"], seed=0)    # to train a model that repairs

What happens to an image is a function of the image, the seed and the image's place in its data set: batch size, number
of threads and earlier calls do not matter. Equal seeds draw equally at every severity, so that severities can be
compared image by image.

`strengths` names a set. "ours" has eight kinds in five severities for images of any size and number of channels, with
strengths of our own: results are not those of a published set, even where a kind has the same name. "cifar10_c" (for
images of 32x32) and "imagenet_c" (224x224) have the 15 kinds of their benchmark and 4 extras, "mnist_c" (28x28) 15
kinds in one severity. These three take and give images of 8 bits with 1 or 3 channels; lengths in pixels do not follow
the size of the image. Each is made as the authors' code makes it, with their constants but other random numbers:
results are to be compared on average, and the published files are to be had by `cnnf_tf.data.premade_corruptions`.
Motion blur is ImageMagick's formula, the outlines under drops of water are not OpenCV's to the pixel, and images of
"imagenet_c" are not stored as JPEG at the end. "frost" needs photographs that do not come with this package (see
`weather.check_frost_pictures`); without them it is refused.

Sources. D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019, arXiv:1903.12261. N. Mu and J. Gilmer, "MNIST-C: a robustness benchmark for computer vision",
2019, arXiv:1906.02337. Of ours, the strengths of the noises, brightness and contrast are those of ImageNet-C; those of
the line, the blur and the occlusion are our own.
"""

from cnnf_tf.data.corruptions.apply import corrupt, corrupted, find_corruption
from cnnf_tf.data.corruptions.base import Corruption
from cnnf_tf.data.corruptions.ours import blur_matrix
from cnnf_tf.data.corruptions.pairs import noisy_pairs
from cnnf_tf.data.corruptions.sets import CORRUPTION_SETS, CORRUPTIONS, benchmark_corruptions, lacking, severities_of

SEVERITIES = severities_of("ours")
"""The severities of our own corruptions, from slight to strong."""

__all__ = [
    "CORRUPTIONS",
    "CORRUPTION_SETS",
    "SEVERITIES",
    "Corruption",
    "benchmark_corruptions",
    "blur_matrix",
    "corrupt",
    "corrupted",
    "find_corruption",
    "lacking",
    "noisy_pairs",
    "severities_of",
]
