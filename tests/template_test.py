"""Tests of imbreg_jax.data.template: where forms lie, and what noise leaves of them."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from imbreg_jax.data import template
from imbreg_jax.data.tasks import TASKS, disc, position
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class PlaceTest(absltest.TestCase):
    def test_is_away_from_both_ends_if_it_can_be(self):
        uniform = np.array([0.0, 0.5, 1.0])
        np.testing.assert_allclose(template.place(3, 21, uniform), [3, 10, 17])
        np.testing.assert_allclose(template.place(50, 21, uniform), [10, 10, 10])

    def test_offsets_are_counted_from_it(self):
        noise = np.zeros((2, 3, 4))
        down, right = template.offsets(noise, np.array([1.0, 0.5]), np.array([0.0, 2.0]))
        np.testing.assert_array_equal(down, [[[-1], [0], [1]], [[-0.5], [0.5], [1.5]]])
        np.testing.assert_array_equal(right, [[[0, 1, 2, 3]], [[-2, -1, 0, 1]]])


class FloorTest(absltest.TestCase):
    def test_of_a_disc_and_a_position_is_the_integral_of_their_derivatives(self):
        # A logistic edge of width s: the square of its slope integrates to 1 / (6 s).
        around = 2 * np.pi * 8 * disc.CONTRAST**2 / (6 * disc.SOFTNESS / 2)
        found = TASKS['disc_radius'].floor(8.0, 52**2)
        np.testing.assert_allclose(found, around**-0.5, rtol=0.01)
        # The square of a Gaussian's slope along an axis integrates to pi / 2, whatever its width.
        along = position.CONTRAST * (np.pi / 2) ** 0.5 * 51 / position.UNITS
        found = TASKS['position'].floor(np.array([[3.0], [5.5]]), 52**2)
        np.testing.assert_allclose(found, np.full((2, 1), 1 / along), rtol=0.001)

    def test_is_what_the_likeliest_values_scatter_by(self):
        task, side, count = TASKS['needle_angle'], 32, 300
        generator = np.random.default_rng(5)
        noise = generator.standard_normal((count, side, side)).astype(np.float32)
        truth = generator.uniform(0.2, 0.8, (count, 3)).astype(np.float32)
        truth[:, 0] = generator.uniform(3, 8, count)

        def form(parameters):
            flat = np.zeros((1, side, side), np.float32)
            return task.synthesize(parameters[:1], flat, parameters[None, 1:]).ravel()

        @jax.jit
        @jax.vmap
        def likeliest(true, noise):
            image, found = form(true) + noise.ravel(), true
            for _ in range(3):
                slope = jax.jacfwd(form)(found)
                change = jnp.linalg.solve(slope.T @ slope, slope.T @ (image - form(found)))
                found = found + change
            return found[0] - true[0]

        spread = np.asarray(likeliest(truth, noise)).std()
        floor = task.floor(5.5, side**2)
        # The needle's curvature adds a little to the bound, which is of small errors.
        self.assertAlmostEqual(spread / floor, 1, delta=5 / np.sqrt(2 * count))

    def test_is_infinite_where_nothing_tells_the_target(self):
        # One blob of unknown height may be any fraction of one.
        floor = TASKS['blob_count'].floor
        self.assertEqual(floor(0.5, 12**2), np.inf)
        self.assertBetween(floor(1.5, 12**2), 0.05, 0.5)


if __name__ == '__main__':
    absltest.main()
