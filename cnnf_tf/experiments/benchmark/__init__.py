"""Speed and memory against the bare convolutions, and against the authors' code."""
