"""What only this checkout runs, for `bin/`: studies, benchmark, demo, model cards, results. Not installed."""
