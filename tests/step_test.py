"""Tests of imbreg_jax.training.step, by a loop that a reader can check line by line.

What the default's steps give is in engine_test.py, and with remedies in remedy_test.py.
"""

import numpy as np
import optax
import pytest
from absl.testing import absltest

import plain_training
import small_study
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


@pytest.mark.slow
class FormsTest(absltest.TestCase):
    """Another network, optimiser and schedule, in one, against the same loop."""

    def test_are_what_the_plain_loop_gives(self):
        study = small_study.study(
            repeats=1,
            model__kernel_size=3,
            model__pool='max',
            model__activation='leaky_relu',
            model__normalization='batch',
            model__bias=False,
            training__optimizer='sgd',
            training__schedule='cosine',
            training__warmup=0.25,
            training__weight_decay=0.1,
            training__gradient_clip=1.0,
        )
        # Eight steps, two of them of the warm-up; optax's schedules give the size of the next step.
        rate = optax.warmup_cosine_decay_schedule(0.0, 1e-3, 2, 8)
        plain = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.trace(0.9),
            optax.add_decayed_weights(0.1),
            optax.scale_by_learning_rate(rate),
        )
        trained = small_study.train(study)
        start = small_study.flat(trained.engine.axis.fetch(trained.engine.initialize().params))
        with small_study.precision():
            _, params, losses = plain_training.train(
                study, study.conditions[0], 0, 2, optimizer=plain
            )
        np.testing.assert_allclose(trained.losses[..., 0].sum(), losses.sum(), rtol=1e-4)
        wanted = small_study.flat(params)
        self.assertContainsSubset({'conv1/mean', 'conv2/variance', 'conv2/scale'}, wanted)
        self.assertEqual(trained.params.keys(), wanted.keys())
        for name, value in wanted.items():
            way = np.abs(value - start[name][0]).max()
            self.assertGreater(way, 1e-5, name)
            delta = 1e-3 * way + 1e-7  # As in `small_study.rounding`; and of a weight of one.
            np.testing.assert_allclose(trained.params[name][0], value, atol=delta, err_msg=name)


if __name__ == '__main__':
    absltest.main()
