"""Generative against discriminative classifiers, on few and on many images."""

from cnnf_tf.experiments.learning_curves.baselines import GaussianNaiveBayes, LogisticRegression

__all__ = ["GaussianNaiveBayes", "LogisticRegression"]
