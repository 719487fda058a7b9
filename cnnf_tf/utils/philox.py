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
    key, counter = _stream([seed[0], none, seed[1], none])
    return philox([none, none, *counter], key)[0] % np.uint32(high)


def bits(seed: np.ndarray, count: int) -> np.ndarray:
    """Random words, uint32 `[count]`, from a seed of two whole numbers of 64 bits."""
    key, counter = _stream(list(np.asarray(seed, np.int64).view(np.uint32).reshape(4, 1)))
    blocks: np.ndarray = np.arange(-(-count // 4), dtype=np.uint32)
    return np.stack(philox([blocks, np.zeros_like(blocks), *counter], key), axis=1).reshape(-1)[:count]


def whole(words: np.ndarray) -> int:
    """A whole number of 64 bits with its sign, from two words."""
    return int(words.view(np.int64)[0])


def uniform(seed: np.ndarray, count: int, dtype: str) -> np.ndarray:
    """Numbers in [0, 1), `[count]`: `tf.random.stateless_uniform([count], seed, dtype=dtype)`."""
    return _fractions(bits(seed, count * _words(dtype)), dtype)


def normal(seed: np.ndarray, count: int, dtype: str) -> np.ndarray:
    """Normal numbers, `[count]`: `tf.random.stateless_normal([count], seed, dtype=dtype)` but for rounding."""
    pairs = _fractions(bits(seed, 2 * -(-count // 2) * _words(dtype)), dtype).reshape(-1, 2)
    length = np.sqrt(-2 * np.log(np.maximum(pairs[:, 0], np.array(1e-7, dtype))))
    angle = np.array(2 * np.pi, dtype) * pairs[:, 1]
    return np.stack([np.sin(angle) * length, np.cos(angle) * length], axis=1).reshape(-1)[:count]


def _stream(seed: Words) -> tuple[Words, Words]:
    """The key, and the upper half of the counter, that TensorFlow makes of a seed of four words."""
    none = seed[0] ^ seed[0]
    mixed = philox(seed, [none + np.uint32(word) for word in _SCRAMBLE])
    return mixed[:2], mixed[2:]


def _words(dtype: str) -> int:
    return np.dtype(dtype).itemsize // 4


def _fractions(words: np.ndarray, dtype: str) -> np.ndarray:
    """Words as the fractions of numbers in [1, 2), less 1; two words for each float64."""
    if np.dtype(dtype) == np.float32:
        return (words & np.uint32(0x7FFFFF) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    high, low = words.reshape(-1, 2).astype(np.uint64).T
    fraction = (high & np.uint64(0xFFFFF)) << np.uint64(32) | low
    return (fraction | np.uint64(0x3FF0000000000000)).view(np.float64) - 1


def _product(word: Any, multiplier: int) -> tuple[Any, Any]:
    """The high and the low word of a product of 64 bits, made of products of 32."""
    low, high = word & np.uint32(0xFFFF), word >> np.uint32(16)
    factor_low, factor_high = np.uint32(multiplier & 0xFFFF), np.uint32(multiplier >> 16)
    lowest, middle = low * factor_low, low * factor_high
    middle = middle + (lowest >> np.uint32(16))
    carried = high * factor_low + (middle & np.uint32(0xFFFF))
    return high * factor_high + (middle >> np.uint32(16)) + (carried >> np.uint32(16)), word * np.uint32(multiplier)
