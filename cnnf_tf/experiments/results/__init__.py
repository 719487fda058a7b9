"""The page of results, docs/results.md, made from result files: no number of it, and no verdict, is typed by hand.

Needs the standard library only. Each section is a module of its own, a function from `Results` to `Section`.
"""

from cnnf_tf.experiments.results.page import relative_link, render_page, render_readme_block, replace_block
from cnnf_tf.experiments.results.results import Results

__all__ = ["Results", "relative_link", "render_page", "render_readme_block", "replace_block"]
