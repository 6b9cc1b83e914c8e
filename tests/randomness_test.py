"""Tests of imbreg_jax.data.randomness: keys that depend on (seed, repeat, purpose) alone."""

import itertools
import math

import jax
import numpy as np
from absl.testing import absltest

from imbreg_jax.data import randomness
from imbreg_jax.data.randomness import Purpose


def _data(key) -> tuple[int, ...]:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


class KeysTest(absltest.TestCase):
    def test_are_threefry(self):
        self.assertEqual(str(jax.random.key_impl(randomness.root_key(0))), 'threefry2x32')

    def test_are_threefry_whatever_the_default_is(self):
        before = jax.config.jax_default_prng_impl
        jax.config.update('jax_default_prng_impl', 'rbg')
        try:
            self.assertEqual(str(jax.random.key_impl(randomness.root_key(0))), 'threefry2x32')
        finally:
            jax.config.update('jax_default_prng_impl', before)

    def test_differ_in_seed_repeat_and_purpose(self):
        # The last repeat is the one that the dense set is drawn for.
        keys = {
            _data(randomness.purpose_key(randomness.root_key(seed), repeat, purpose))
            for seed, repeat, purpose in itertools.product(
                (0, 1, 2**31 - 1), (0, 1, 2**32 - 1), Purpose
            )
        }
        self.assertLen(keys, 3 * 3 * len(Purpose))

    def test_are_the_same_traced_and_under_vmap(self):
        root = randomness.root_key(3)
        repeats = np.arange(4, dtype=np.int32)
        draw = lambda r: randomness.purpose_key(root, r, Purpose.SHUFFLE)  # noqa: E731
        together = jax.random.key_data(jax.jit(jax.vmap(draw))(repeats))
        alone = [_data(draw(int(r))) for r in repeats]
        self.assertEqual([tuple(k) for k in np.asarray(together).tolist()], alone)

    def test_purposes_keep_their_numbers(self):
        # Another number for a purpose changes every result ever published with this package.
        self.assertEqual(
            {purpose.name: int(purpose) for purpose in list(Purpose)[:12]},
            {
                'INITIALIZATION': 0,
                'TRAIN_TARGETS': 1,
                'TRAIN_IMAGES': 2,
                'VALIDATION_TARGETS': 3,
                'VALIDATION_IMAGES': 4,
                'TEST_TARGETS': 5,
                'TEST_IMAGES': 6,
                'SHUFFLE': 7,
                'DROPOUT': 8,
                'RANDOM_GUESS': 9,
                'DENSE_IMAGES': 10,
                'MOMENT_MASKS': 11,
            },
        )


class UniformsTest(absltest.TestCase):
    def test_are_odd_multiples_of_two_to_the_minus_24(self):
        values = randomness.uniforms(0, 0, Purpose.TRAIN_TARGETS, 10_000)
        scaled = values * 2**24
        np.testing.assert_array_equal(scaled, np.round(scaled))
        np.testing.assert_array_equal(scaled % 2, 1)
        self.assertGreater(values.min(), 0)
        self.assertLess(values.max(), 1)
        self.assertEqual(values.dtype, np.float64)

    def test_are_uniform(self):
        count = 100_000
        values = np.sort(randomness.uniforms(0, 1, Purpose.TEST_TARGETS, count))
        # Kolmogorov's statistic exceeds sqrt(ln(2/p) / 2n) with probability p at most: p = 1e-6.
        distance = np.abs(values - (np.arange(count) + 0.5) / count).max() + 0.5 / count
        self.assertLess(distance, math.sqrt(math.log(2e6) / (2 * count)))

    def test_belong_to_seed_repeat_and_purpose(self):
        first = randomness.uniforms(0, 0, Purpose.TRAIN_TARGETS, 50)
        np.testing.assert_array_equal(first, randomness.uniforms(0, 0, Purpose.TRAIN_TARGETS, 50))
        for other in (
            (1, 0, Purpose.TRAIN_TARGETS),
            (0, 1, Purpose.TRAIN_TARGETS),
            (0, 0, Purpose.VALIDATION_TARGETS),
        ):
            self.assertEmpty(np.intersect1d(first, randomness.uniforms(*other, 50)))


if __name__ == '__main__':
    absltest.main()
