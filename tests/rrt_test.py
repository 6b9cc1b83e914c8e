"""Tests of imbreg_jax.remedies.rrt."""

import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax import remedies, study
from imbreg_jax.remedies import rrt

_LAYERS = ['conv1', 'conv2', 'dense1', 'dense2']


class ScheduleTest(parameterized.TestCase):
    def test_second_part_is_the_last_layers_alone(self):
        rates, redrawn, weighted = rrt.two_parts(5, _LAYERS, share=0.6, rate=7.0)
        np.testing.assert_array_equal(rates[:3], 1)
        np.testing.assert_array_equal(rates[3:], [[0, 0, 0, 7]] * 2)
        np.testing.assert_array_equal(np.argwhere(redrawn), [[3, 3]])
        np.testing.assert_array_equal(weighted, [False] * 3 + [True] * 2)

    @parameterized.parameters(
        (2, 0.5, 1), (2, 0.01, 1), (2, 0.99, 1), (3, 0.5, 2), (15, 0.7, 10), (15, 0.999, 14)
    )
    def test_both_parts_have_an_epoch_or_more(self, epochs, share, first):
        found = rrt.two_parts(epochs, _LAYERS, share, 1.0)
        self.assertEqual(int((~found.weighted).sum()), first)

    def test_of_a_combination_is_the_parts(self):
        found = remedies.parse('inverse + rrt(share=0.25)').schedule(8, _LAYERS)
        wanted = remedies.parse('rrt(share=0.25)').schedule(8, _LAYERS)
        for part, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(part, other)
        self.assertEqual(int((~found.weighted).sum()), 2)


class ConfigTest(absltest.TestCase):
    def test_shares_the_program_of_no_remedy(self):
        config = study.default_config()
        specs = ('', 'rrt', 'rrt(share=0.9) + inverse')
        config.conditions = {f'c{i}': {'remedy': spec} for i, spec in enumerate(specs)}
        self.assertEqual(study.resolve(config).programs(), ((0, 1, 2),))

    def test_one_epoch_is_refused(self):
        for spec in ('rrt', 'rrt + inverse', 'rnc', 'uvote'):
            config = study.default_config()
            config.remedy = spec
            config.training.epochs = 2
            study.resolve(config)
            config.training.epochs = 1
            with self.assertRaisesRegex(
                study.ConfigError,
                'does something else in later epochs than in the first, so that training.epochs '
                'must be at least 2',
            ):
                study.resolve(config)


if __name__ == '__main__':
    absltest.main()
