"""Activations over time: what each layer computes in each pass. See `recording.activations` and docs/activations.md."""
