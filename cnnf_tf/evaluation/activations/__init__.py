"""Activations over time: what every layer computes in every pass. See `recording.activations` and docs/activations.md."""
