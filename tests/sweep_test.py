"""Tests of imbreg_jax.study.sweep, and of the conditions that a config makes of one."""

import pathlib

import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax import study
from imbreg_jax.study import command_line, sweep

_CONFIGS = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def _config(expression, **conditions):
    config = study.default_config()
    config.conditions = conditions
    config.sweep = expression
    return config


class ExpressionTest(parameterized.TestCase):
    @parameterized.parameters(
        ({}, [{}]),
        ({'a.b': (1, 2.5)}, [{'a.b': 1}, {'a.b': 2.5}]),
        ({'a': ('x(1, 2)', 'y', '')}, [{'a': 'x(1, 2)'}, {'a': 'y'}, {'a': ''}]),
        ({'a': ("f('b  c')", 'true')}, [{'a': "f('b  c')"}, {'a': True}]),
        ({'a': ((1, 2), (3, 4))}, [{'a': (1, 2)}, {'a': (3, 4)}]),
        (
            {'a': (1, 2), 'b': (True, False)},
            [{'a': 1, 'b': True}, {'a': 1, 'b': False}, {'a': 2, 'b': True}, {'a': 2, 'b': False}],
        ),
        (
            {('a', 'b'): [(1, 'x(1, 2)'), (2, 'y')]},
            [{'a': 1, 'b': 'x(1, 2)'}, {'a': 2, 'b': 'y'}],
        ),
    )
    def test_of_values_gives_them_back(self, values, wanted):
        text = sweep.spec(values)
        self.assertEqual(sweep.spec(text), text)
        self.assertEqual(sweep.combinations(sweep.parse(text) if text else ()), wanted)

    @parameterized.parameters(
        ('a', "'a' is no part of a sweep"),
        ('a' * 9999, 'is no part of a sweep'),
        ('a =', 'is no part of a sweep'),
        ('= 1', "'= 1' is no part of a sweep"),
        ('a = 1,, 2', "something is missing beside a ','"),
        ('a = 1;', "something is missing beside a ';'"),
        ('a = (1', 'a bracket or quote is not closed'),
        ("a = 'x", 'a bracket or quote is not closed'),
        ('(a, b) = 1, 2', "'1' must be 2 values in brackets, one for each of a, b"),
        ('a = 1; (a, b) = (1, 2)', 'a is swept twice'),
    )
    def test_that_is_none_is_refused(self, text, message):
        with self.assertRaisesRegex(ValueError, message.replace('(', r'\(')):
            sweep.parse(text)


class ConditionsTest(parameterized.TestCase):
    def test_are_every_combination_of_every_condition(self):
        made = study.resolve(
            _config(
                {'model.conv_dropout_rate': (0, 0.2), 'task.ddof': (0, 1)},
                balanced={},
                missing={'train_distribution': 'u1_5'},
            )
        )
        found = [
            (c.distribution.name, c.model.conv_dropout_rate, c.task.ddof) for c in made.conditions
        ]
        laws = ('u1_10', 'u1_5')
        self.assertEqual(
            found, [(law, rate, ddof) for law in laws for rate in (0, 0.2) for ddof in (0, 1)]
        )
        self.assertEqual(made.conditions[5].name, 'missing-conv_dropout_rate_0.0-ddof_1')
        # All of it is data to one program.
        self.assertLen(made.programs(), 1)
        self.assertEqual(made.varied, ('task.ddof', 'model.conv_dropout_rate'))

    def test_of_a_law_are_called_after_it(self):
        made = study.resolve(_config('train_distribution = u1_5, normal(5.5, 0.5)'))
        self.assertEqual([c.name for c in made.conditions], ['u1_5', 'normal_5.5_0.5'])
        self.assertEqual(made.varied, ())

    def test_are_all_that_a_resolved_study_knows(self):
        made = study.resolve(_config('data.train_size = 500, 5000'))
        again = study.resolve(made.resolved)
        self.assertEqual(again, made)
        self.assertEmpty(study.differences(again, made))

    @parameterized.parameters(
        ('model.conv_dropout_rat = 0', 'no field .* did you mean model.conv_dropout_rate'),
        ('repeats = 3, 5', 'repeats holds for the whole study'),
        ('compute.profile = True', 'compute.profile holds for the whole study'),
        ('model.conv_dropout_rate = 0, 1.5', r'model.conv_dropout_rate = 1.5: it must be a number'),
        (
            'data.image_size = 52, 3',
            'image_size = 3: .* it must be at least 16',
        ),
        ('task.ddof = 1, 1', 'it makes a-ddof_1 twice'),
        ('train_distribution = u1_5', 'the condition b sets train_distribution for itself'),
        ('task.ddof = 0, 2', 'sweep, task.ddof = 2: it must be one of 0, 1'),
        ('task.ddof', 'is no part of a sweep'),
    )
    def test_that_cannot_work_are_refused_by_name(self, expression, message):
        config = _config(expression, a={}, b={'train_distribution': 'n5_5_1'})
        with self.assertRaisesRegex(study.ConfigError, message):
            study.resolve(config)

    def test_from_python_are_checked_where_they_are_given(self):
        config = study.default_config()
        config.sweep = {'remedy': ('', 'inverse(bins=20)'), 'model.bias': (True, False)}
        self.assertLen(study.resolve(config).conditions, 4)
        config.sweep = {'model.conv_dropout_rate': np.linspace(0, 0.5, 3)}
        rates = [c.model.conv_dropout_rate for c in study.resolve(config).conditions]
        self.assertEqual(rates, [0, 0.25, 0.5])
        for wrong in (
            {'training.epochs': 5},
            {'model.pool': 'max'},
            {('a', 'b'): [1, 2]},
            {1: [2]},
        ):
            with self.assertRaisesRegex(study.ConfigError, 'is no part of a sweep'):
                config.sweep = wrong

    def test_name_an_overridden_study_by_all_their_values(self):
        for sweep_, name in (
            ('model.conv_dropout_rate=0, 0.5', 'smoke-conv_dropout_rate_0.0_0.5'),
            ('task.ddof=0,1; data.image_size=18,20', 'smoke-ddof_0_1-image_size_18_20'),
        ):
            config, _ = command_line.read_config(
                ['main', f'--config={_CONFIGS}/smoke.py', f'--config.sweep={sweep_}']
            )
            self.assertEqual(sorted(config.name.split('-')), sorted(name.split('-')))

    def test_leave_no_override_unheard(self):
        with self.assertRaisesRegex(study.ConfigError, 'no effect, as config.sweep sets it'):
            command_line.read_config(
                [
                    '',
                    f'--config={_CONFIGS}/learning_rate.py',
                    '--config.training.learning_rate=1e-5',
                ]
            )

    def test_are_counted_before_they_are_made(self):
        rates = [i / 100 for i in range(40)]
        config = _config({'model.conv_dropout_rate': rates, 'model.dense_dropout_rate': rates})
        with self.assertRaisesRegex(study.ConfigError, 'it makes 1600 conditions'):
            study.resolve(config)


if __name__ == '__main__':
    absltest.main()
