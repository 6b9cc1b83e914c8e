"""Tests of imbreg_jax.study.overrides by values; `command_line_test` has those by texts."""

import numpy as np
from absl.testing import absltest

import imbreg_jax
from imbreg_jax import study
from imbreg_jax.study import overrides

# A shipped config, values, and what is said of them.
_REFUSALS = (
    ('paper', {'repeets': 3}, 'config.repeets = 3: there is no such field; did you mean repeats.'),
    ('paper', {'lerning_rate': 1.0}, 'did you mean training.learning_rate.'),
    ('paper', {'training': {'epochs': 3}}, 'it is a section; set one of its fields, training.'),
    ('paper', {'repeats': 'three'}, "config.repeats = 'three': it must be an integer"),
    ('paper', {'repeats': 1.5}, 'config.repeats = 1.5: it must be an integer'),
    ('paper', {'training.learning_rate': 'fast'}, 'it must be a number, above 0 and at most 10'),
    ('paper', {'model.conv_features': 'x'}, "config.model.conv_features = 'x': it must be 1 to 16"),
    ('paper', {'train_distribution': 'u1_5'}, 'it has no effect, as each condition of this config'),
    ('training_size', {'training.epochs': 3}, 'it has no effect, as config.sweep sets it'),
    ('paper', {'conditions.u1_5.epochs': 3}, 'config.conditions.u1_5.epochs = 3: there is no such'),
    ('paper', {'sweep': {'a b': object()}}, 'config.sweep = '),
)


class ByValuesTest(absltest.TestCase):
    def test_sets_values_of_every_kind(self):
        values = {
            'repeats': 3,
            'training.learning_rate': 1,
            'model.conv_features': [4, 8],
            'compute.tensorboard': False,
            'data.train_size': np.int64(500),
            'conditions.u1_5.train_distribution': 'uniform(1, 4)',
            'sweep': {'model.conv_dropout_rate': (0, 0.5)},
        }
        made = overrides.by_values(imbreg_jax.config('paper'), values)
        self.assertEqual(made.repeats, 3)
        self.assertIs(type(made.training.learning_rate), float)
        self.assertEqual(made.model.conv_features, (4, 8))
        self.assertFalse(made.compute.tensorboard)
        self.assertEqual(made.conditions.u1_5.train_distribution, 'uniform(1, 4)')
        self.assertLen(study.resolve(made).conditions, 6)
        self.assertStartsWith(made.name, 'paper-')

    def test_other_conditions_take_the_place_of_those_of_the_file(self):
        made = overrides.by_values(
            imbreg_jax.config('paper'), {'conditions': {'b': {}, 'a': {'task': {'ddof': 1}}}}
        )
        self.assertEqual([c.name for c in study.resolve(made).conditions], ['b', 'a'])

    def test_says_what_is_wrong_with_a_value(self):
        for name, values, message in _REFUSALS:
            with self.subTest(values), self.assertRaises(study.ConfigError) as caught:
                overrides.by_values(imbreg_jax.config(name), values)
            self.assertIn(message, str(caught.exception))

    def test_without_any_the_name_stays(self):
        self.assertEqual(overrides.by_values(imbreg_jax.config('quick'), {}).name, 'quick')


if __name__ == '__main__':
    absltest.main()
