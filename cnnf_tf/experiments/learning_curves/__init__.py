"""Generative against discriminative classifiers, on few and on many images."""
