"""Tests of Threefry with its rounds written out, against JAX's own."""

import jax
import numpy as np
from absl.testing import absltest

from imbreg_jax.data import threefry
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.randomness import root_key

_DRAWS = {
    'bits': lambda key: jax.random.bits(key, (3, 5, 7)),
    'one': jax.random.bits,
    'none': lambda key: jax.random.bits(key, (0, 2)),
    'bytes': lambda key: jax.random.bits(key, (9,), 'uint8'),
    'folded': lambda key: jax.random.key_data(jax.random.fold_in(key, 2**31 + 5)),
    'split': lambda key: jax.random.key_data(jax.random.split(key, (2, 3))),
    'order': lambda key: jax.random.permutation(key, 50),
    **{
        law.name: lambda key, draw=law.draw: draw(jax.random.fold_in(key, 1), (11, 13))
        for law in PIXEL_LAWS.values()
    },
}


@jax.jit
def _drawn(key):
    return {name: draw(key) for name, draw in _DRAWS.items()}


class ThreefryTest(absltest.TestCase):
    def _assert_same(self, ours, expected):
        for name, value in expected.items():
            with self.subTest(name):
                np.testing.assert_array_equal(np.asarray(ours[name]), np.asarray(value))

    def test_draws_what_jax_draws(self):
        for seed in (0, 7, 2**32 - 1):
            key = jax.random.fold_in(root_key(seed), seed)
            self._assert_same(_drawn(threefry.written_out(key)), _drawn(key))

    def test_many_keys_draw_each_its_own(self):
        keys = jax.random.split(root_key(3), 4)
        ours = jax.vmap(lambda key: _drawn(threefry.written_out(key)))(keys)
        self._assert_same(ours, jax.vmap(_drawn)(keys))


if __name__ == '__main__':
    absltest.main()
