"""The random numbers of `tf.random.stateless_uniform`, without TensorFlow: the same seed means the same everywhere.

The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): ten rounds turn a
counter of four words of 32 bits into four random ones. All of it is arithmetic on arrays of uint32, NumPy's or JAX's,
so that a step that JAX compiles can draw from it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Words = Sequence[Any]
"""Words of 32 bits, each an array of uint32; all of NumPy, or all of JAX, and of shapes that go together."""

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_SCRAMBLE = 0x3EC8F720, 0x02461E29  # the key under which TensorFlow turns a seed into a key and a counter


def philox(counter: Words, key: Words) -> list[Any]:
    """Four random words for a counter of four words and a key of two."""
    for turn in range(10):
        turned = [word + np.uint32(turn * weyl % 2**32) for word, weyl in zip(key, _WEYL, strict=True)]
        high0, low0 = _product(counter[0], _MULTIPLIERS[0])
        high1, low1 = _product(counter[2], _MULTIPLIERS[1])
        counter = [high1 ^ counter[1] ^ turned[0], low1, high0 ^ counter[3] ^ turned[1], low0]
    return list(counter)


def integer(seed: Words, high: int) -> Any:
    """A whole number in [0, high): `tf.random.stateless_uniform([], seed, 0, high, tf.int32)`.

    Args:
      seed: two whole numbers >= 0 and below 2**32, each as an array of uint32.
      high: above 0 and below 2**31.
    """
    none = seed[0] ^ seed[0]
    scramble = [none + np.uint32(word) for word in _SCRAMBLE]
    mixed = philox([seed[0], none, seed[1], none], scramble)
    return philox([none, none, mixed[2], mixed[3]], mixed[:2])[0] % np.uint32(high)


def _product(word: Any, multiplier: int) -> tuple[Any, Any]:
    """The high and the low word of a product of 64 bits, made of products of 32."""
    low, high = word & np.uint32(0xFFFF), word >> np.uint32(16)
    factor_low, factor_high = np.uint32(multiplier & 0xFFFF), np.uint32(multiplier >> 16)
    lowest, middle = low * factor_low, low * factor_high
    middle = middle + (lowest >> np.uint32(16))
    carried = high * factor_low + (middle & np.uint32(0xFFFF))
    return high * factor_high + (middle >> np.uint32(16)) + (carried >> np.uint32(16)), word * np.uint32(multiplier)
