"""What a GPU says of this project in nine minutes: agreement, speed, memory and adversarial training, in JAX.

Works with Keras on JAX alone (`KERAS_BACKEND=jax`), without TensorFlow. tools/gpu_check.py runs it.

    parts        four parts, a process each, and the minutes divided among them
    plan         what is timed, in order of importance
    programs     its functions
    lower_bound  the floor: bare convolutions and matrix products
    speed        times them, and asks the compiler for their memory
    authors      the authors' PyTorch code on the same cases
    cifar        adversarial training of WRN-40-2, CNN and CNN-F in turns, and attacks on both
    data         its images
    report       the page
    arithmetic   what to expect, without a GPU
"""
