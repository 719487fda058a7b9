"""Gaussian naive Bayes and logistic regression, by scikit-learn: the generative-discriminative pair of Ng & Jordan.

A. Y. Ng and M. I. Jordan, "On discriminative vs. generative classifiers: a comparison of logistic regression and naive
Bayes", NIPS 14, 2002. With variances shared by the classes, as in that paper, the posterior of naive Bayes is a softmax
of linear functions of the pixels: logistic regression is the same family of classifiers, fitted to p(y | x) alone. With
a variance for each class the posterior is quadratic. Neither ever predicts a class that no training image has.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB


def gaussian_naive_bayes(
    pixels: np.ndarray, labels: np.ndarray, *, var_smoothing: float, shared_variance: bool = False
) -> GaussianNB:
    """p(x, y) with independent Gaussian pixels in each class, of maximum likelihood.

    Args:
      pixels: `[m, pixels]`.
      labels: `[m]`.
      var_smoothing: this times the largest variance of any pixel over all images is added to every variance.
      shared_variance: whether one variance per pixel, pooled within the classes, serves all of them.
    """
    model = GaussianNB(var_smoothing=var_smoothing).fit(np.asarray(pixels, np.float64), labels)
    if shared_variance:
        model.var_[:] = model.class_prior_ @ model.var_
    return model


def logistic_regression(
    pixels: np.ndarray, labels: np.ndarray, *, l2: float, tolerance: float = 1e-5, max_iterations: int = 2000
) -> LogisticRegression:
    """Minimises  sum over images of -log p(y | x)  +  l2 / 2 |W|^2  by L-BFGS: the MAP estimate under W ~ N(0, 1 / l2).

    Args:
      pixels: `[m, pixels]`.
      labels: `[m]`, of at least two classes.
      l2: > 0.
      tolerance: of every component of the gradient of the function above, divided by m.
      max_iterations: a fit that takes more has failed.

    Raises:
      ConvergenceWarning: as an error, for a fit that is not finished is not a result.
    """
    model = LogisticRegression(C=1 / l2, tol=tolerance, max_iter=max_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        return model.fit(np.asarray(pixels, np.float64), labels)
