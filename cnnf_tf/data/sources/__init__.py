"""Sources of labelled images: IDX files, image folders, TensorFlow Datasets; found by name in `registry`."""
