"""A screening of training recipes on one accelerator, in JAX: many short runs, one small budget, one measure for all.

Works with Keras on JAX alone (`KERAS_BACKEND=jax`), without TensorFlow. `bin/screening.py` runs it.

    recipes    one row each, with what was predicted of it before it was run
    loop       the loop of cnnf_tf.models.unroll as a pure function of the weights, under `jax.lax.scan`
    images     reading Fashion-MNIST, and corruptions drawn on the device
    training   epochs as one compiled scan; what recipes with the same structure differ in is an argument
    measures   accuracy per pass, under attack and under noise; quality of restored images
    report     the table
"""
