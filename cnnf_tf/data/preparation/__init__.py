"""Making data sets ready for TensorFlow Datasets, offline where their files are on this machine."""
