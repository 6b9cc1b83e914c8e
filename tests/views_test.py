"""Tests of imbreg_jax.data.views: images with their pixels moved have their targets still."""

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

from imbreg_jax.data import task as task_lib
from imbreg_jax.data import views
from imbreg_jax.data.tasks import TASKS, grating
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_SIDE = 28
_VALUES = np.float32([1.5, 4.0, 9.0])


def _drawn(task, seed=0):
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((3, _SIDE, _SIDE)).astype(np.float32)
    return noise, generator.uniform(size=(3, task.nuisance)).astype(np.float32)


def _of_grating(way, nuisance, values):
    """Direction and phase of a sinusoid that is turned: see `grating.sinusoid`.

    A half turn puts the end of the line along its direction at its start; a flip also mirrors the
    direction.
    """
    angle, phase = np.pi * nuisance[:, 0], nuisance[:, 1]
    columns, rows = (_SIDE - 1) * np.cos(angle), (_SIDE - 1) * np.sin(angle)
    period = grating.PIXELS * values
    share = nuisance[:, 0] if way == 'half_turn' else 1 - nuisance[:, 0]
    turned = {
        'left_right': phase + columns / period,
        'top_bottom': 0.5 - rows / period - phase,
        'half_turn': 0.5 - (columns + rows) / period - phase,
    }
    return np.stack([share, turned[way]], 1)


def _turned(name, way, nuisance):
    """The nuisance of the image that another one becomes."""
    if name == 'grating_period':
        return _of_grating(way, nuisance, _VALUES)
    # Which nuisances say a place from top to bottom, and which from left to right.
    count = nuisance.shape[1] // 2
    rows, columns = {
        'disc_radius': ([0], [1]),
        'needle_angle': ([0], [1]),
        'position': ([0], []),
        'blob_count': (range(1, 1 + count), range(1 + count, 1 + 2 * count)),
        'correlation_length': ([], []),
    }[name]
    turned = nuisance.copy()
    for place in rows if way in ('top_bottom', 'half_turn') else ():
        turned[:, place] = 1 - turned[:, place]
    for place in columns if way in ('left_right', 'half_turn') else ():
        turned[:, place] = 1 - turned[:, place]
    return turned


class TaskTest(absltest.TestCase):
    def test_a_statistic_of_pixels_stays_in_any_order(self):
        key = jax.random.key(0)
        for name, task in TASKS.items():
            if task.keeps != (views.PERMUTATION,):
                continue
            images = jax.jit(task.synthesize)(_VALUES, *_drawn(task))
            moved = views.moved(images, key, task.keeps)
            self.assertTrue((moved != images).any(), name)
            measure = jax.jit(lambda images, task=task: task.measure(images))
            found, wanted = measure(moved), measure(images)
            # Of the same pixels, summed in another order.
            np.testing.assert_allclose(found, wanted, rtol=12 * 2.0**-23, err_msg=name)

    def test_a_drawn_image_becomes_another_of_the_same_generating_value(self):
        for name, task in TASKS.items():
            for way in task.keeps:
                if way == views.PERMUTATION:
                    continue
                noise, nuisance = _drawn(task)
                make, flip = jax.jit(task.synthesize), views.FLIPS[way]
                wanted = flip(make(_VALUES, noise, nuisance))
                moved = np.asarray(flip(noise[..., None]))[..., 0]
                made = make(_VALUES, moved, _turned(name, way, nuisance))
                np.testing.assert_allclose(made, wanted, atol=2e-4, err_msg=f'{name}, {way}')

    def test_every_task_of_the_package_keeps_targets_in_some_way(self):
        self.assertTrue(all(task.keeps for task in TASKS.values()))

    def test_a_task_says_ways_that_there_are(self):
        task = task_lib.Task('of_this_test', 'an image', 'unit', lambda *_: None, keeps=('turn',))
        with self.assertRaisesRegex(
            ValueError, "in 'turn'; it may in any of permutation, left_right"
        ):
            task_lib.register(task)


class MovedTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.images = jnp.float32(np.random.default_rng(0).normal(size=(40, 6, 6, 2)))

    def test_each_image_is_turned_in_its_own_way(self):
        moved = np.asarray(views.moved(self.images, jax.random.key(1), tuple(views.FLIPS)))
        turned = np.stack([flip(self.images) for flip in views.FLIPS.values()])
        is_way = (turned == moved).all((2, 3, 4))
        np.testing.assert_array_equal(is_way.sum(0), 1)
        self.assertTrue((is_way.sum(1) > 4).all())

    def test_one_way_is_that_of_all(self):
        moved = views.moved(self.images, jax.random.key(1), ('top_bottom',))
        np.testing.assert_array_equal(moved, self.images[:, ::-1])

    def test_pixels_keep_their_channels_in_any_order(self):
        moved = np.asarray(views.moved(self.images, jax.random.key(2), (views.PERMUTATION,)))
        before, after = (np.reshape(x, (40, 36, 2)) for x in (self.images, moved))
        order = [int(np.flatnonzero((before[0] == pixel).all(1))[0]) for pixel in after[0]]
        self.assertEqual(sorted(order), list(range(36)))
        np.testing.assert_array_equal(after, before[:, order])
        other = views.moved(self.images, jax.random.key(3), (views.PERMUTATION,))
        self.assertTrue((np.asarray(other) != moved).any())

    def test_a_pair_has_the_images_as_they_are_first(self):
        found = views.pair(self.images, jax.random.key(1), ('left_right',))
        np.testing.assert_array_equal(found, [self.images, self.images[:, :, ::-1]])


if __name__ == '__main__':
    absltest.main()
