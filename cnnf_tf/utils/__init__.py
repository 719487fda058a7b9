"""Helpers that know nothing of CNN-F: argument checks, atomic files, tables, figures, intervals, the environment."""
