"""Restoration: how far feedback repairs corrupted images, beside the usual baselines."""
