"""Rows of a robustness leaderboard: one JSON for each model, checked by a schema, and a page of all of them.

    entry   what `bin/evaluate.py --leaderboard` writes, and what is read back: ours, or RobustBench's own
    page    the page that `bin/leaderboard.py` makes of a folder of such files

A row has the names that RobustBench's model information has (`clean_acc`, `autoattack_acc`, `eps`, ...; F. Croce et
al., arXiv:2010.09670), so that its files can be dropped in, and beyond these what stands behind the numbers.
"""

from cnnf_tf.experiments.leaderboard.entry import check, make, read_folder
from cnnf_tf.experiments.leaderboard.page import page

__all__ = ["check", "make", "page", "read_folder"]
