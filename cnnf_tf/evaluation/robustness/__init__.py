"""Robustness: accuracy under a suite of attacks, the minimum over them, and checks of the evaluation itself."""
