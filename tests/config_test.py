"""Tests of imbreg_jax.study.config: whole configs, rules between fields, and conditions."""

import copy
import dataclasses
import functools
import json
import os
from unittest import mock

import ml_collections
import numpy as np
from absl.testing import absltest

from imbreg_jax import study
from imbreg_jax.data import tasks
from imbreg_jax.study import ConfigError
from imbreg_jax.study import config as config_lib

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SMOKE = os.path.join(_ROOT, 'configs', 'smoke.py')

# Rules between fields: changes to a small study, the field that is named, and what is said of it.
# Those that a condition may make are also tried within one.
_RULES = (
    ({'data.image_size': 15}, 'data.image_size', '= 15: .*kernel_size 5 it must be at least 16'),
    (
        {'task.name': 'disc_radius', 'data.image_size': 20},
        'data.image_size',
        '= 20: images of the task disc_radius must have at least 21 pixels',
    ),
    (
        {'task.name': 'position', 'data.image_size': 52},
        'evaluation.dense_high',
        '= 20.0: targets of the task position lie between 0 and 11',
    ),
    (
        {'model.conv_features': (2, 2, 2), 'data.image_size': 35},
        'data.image_size',
        r'= 35: .* with model.conv_features \(2, 2, 2\) .* it must be at least 36',
    ),
    (
        {'model.pool': 'none', 'data.image_size': 8},
        'data.image_size',
        '= 8: .* it must be at least 9',
    ),
    (
        {'model.pool': 'none', 'data.image_size': 9, 'model.normalization': 'instance'},
        'model.normalization',
        "= 'instance': .* single values",
    ),
    (
        {'model.kernel_size': 18, 'data.image_size': 50},
        'data.image_size',
        '= 50: .* and model.kernel_size 18 it must be at least 55',
    ),
    (
        {'training.batch_size': 601},
        'training.batch_size',
        '= 601: .* data.train_size, which is 600',
    ),
    ({'data.train_size': 49}, '(training.batch_size|data.train_size)', '.* is (49|50)'),
    ({'model.dense_features': 100_000}, 'model.dense_features', '.* 200205281 parameters'),
    (
        {'data.train_size': 10**8, 'training.batch_size': 10**8},
        'training.batch_size',
        '= 100000000: .* it must be at most 93206',
    ),
    (
        {'data.train_size': 10**8, 'training.epochs': 10**5},
        'training.epochs',
        r'.* would train on .*e\+13 images .* at most 1e\+12',
    ),
    # Networks of an ensemble count, and views of an image.
    (
        {'data.train_size': 10**8, 'training.epochs': 500, 'remedy': 'ensemble(size=1000) + conr'},
        'data.train_size',
        r'.* would train on .*e\+1[345] images .* at most 1e\+12',
    ),
    ({'data.validation_size': 10**8, 'repeats': 100}, 'data.validation_size', '.* predictions'),
    (
        {'evaluation.dense_low': 20.0},
        'evaluation.dense_low',
        '.* evaluation.dense_high, which is 20',
    ),
    ({'evaluation.guess_low': 11}, 'evaluation.guess_low', r'= 11\.0: .* evaluation.guess_high'),
    ({'evaluation.batch_size': 10**6}, 'evaluation.batch_size', '.* must be at most 93206'),
    ({'analysis.reference': 'nobody'}, 'analysis.reference', '.* must be the name of a condition'),
    ({'analysis.reference': 'x'}, 'analysis.reference', "= 'x': it must be the name of a cond"),
    ({'first_repeat': 2**31 - 1}, 'first_repeat', '= 2147483647: it must be at most 2147483646'),
    ({'repeats': 100_000, 'data.test_size': 10_000}, 'data.test_size', '.* predictions'),
)
# Names that are no field's, and what is said of them.
_NO_FIELDS = (
    ('seeed', 'did you mean seed.$'),
    ('learning_rate', 'did you mean training.learning_rate.$'),
    ('training.lerning_rate', 'did you mean training.learning_rate.$'),
    ('qqqqq', 'known are name, seed, .* and the fields of task, data, .*, log.$'),
    ('model.qqqqq', 'the fields of model are model.conv_features, .*model.initialization.$'),
    ('training.lr', 'did you mean training.learning_rate.$'),
    ('num-epochs', 'did you mean training.epochs.$'),
    ('training.Epochs', 'did you mean training.epochs.$'),
    ('dropout', 'mean model.conv_dropout_rate or model.dense_dropout_rate.$'),
    ('training.seed', 'did you mean seed.$'),
    ('\x1b[31m', r'config.\\x1b\[31m = 3'),
)
# Conditions, and what is said of them.
_NO_CONDITIONS = (
    (3, 'must map each condition'),
    ([], 'must map each condition'),
    ('u1_5', 'must map each condition'),
    (None, 'must map each condition'),
    ({'a b': {}}, "conditions = 'a b': the name of a condition must be"),
    ({'': {}}, 'the name of a condition'),
    ({'..': {}}, 'the name of a condition'),
    ({3: {}}, 'conditions = 3: the name of a condition'),
    ({'a': 3}, 'conditions.a = 3: it must hold the fields'),
    ({'a': None}, 'conditions.a = None: it must hold'),
    (
        {'a': {'repeats': 3}},
        'conditions.a.repeats = 3: a condition may change train_distribution, remedy, and',
    ),
    ({'a': {'data': {'test_size': 3}}}, 'conditions.a.data.test_size = 3: a condition may'),
    ({'a': {'learning_rate': 3}}, 'did you mean training.learning_rate'),
    (
        {'a': {'model': {'ordre': 3}}},
        r'conditions.a.model.ordre = 3: .* did you mean model.order',
    ),
    ({'a': {'model': 3}}, 'conditions.a.model = 3: there is no such field'),
    ({'a': {'model': {'order': 'x'}}}, "conditions.a.model.order = 'x': it must be one of"),
    (
        {'a': {'train_distribution': 'u1_1'}},
        'conditions.a.train_distribution = .* did you mean u1_10',
    ),
    (
        {'a': {'training': {'batch_size': 601}}},
        'conditions.a.training.batch_size = 601: .* at most',
    ),
    (
        {'a': {'model': {'kernel_size': 30}}},
        'conditions.a.model.kernel_size = 30: it leaves no pixel',
    ),
    (
        {'a': {'model': {'conv_features': (1,) * 5}}},
        'conditions.a.model.conv_features = .*: it leaves no pixel',
    ),
    (
        {'a': {'model': {'conv_dropout_rate': float('nan')}}},
        'conditions.a.model.conv_dropout_rate = nan',
    ),
    ({'a': {}, 'b': {}}, 'conditions.b = .*: it must differ from the condition a'),
    ({'a': {}, 'b': {'task': {'ddof': 0}}}, 'it must differ from the condition a'),
    ({str(index): {} for index in range(2000)}, 'at most 1000'),
)


def _small() -> dict:
    """A small study's config as plain nested values."""
    return copy.deepcopy(_resolved())


@functools.cache
def _resolved() -> dict:
    return study.resolve(study.load_config_file(_SMOKE)).resolved | {'conditions': {}}


def _set(plain: dict, changes: dict) -> dict:
    for name, value in changes.items():
        *section, leaf = name.split('.')
        (plain.setdefault(section[0], {}) if section else plain)[leaf] = value
    return plain


class ConfigTest(absltest.TestCase):
    def _refusal(self, config) -> str:
        """The one sentence that refuses a config."""
        with self.assertRaises(ConfigError) as caught:
            study.validate(config)
        text = str(caught.exception)
        self.assertNotIn('\n', text)
        self.assertTrue(text.endswith('.') and not text.endswith('..'), text)
        self.assertLess(len(text), 1500)
        return text

    def test_the_default_is_valid_locked_and_new_each_time(self):
        config = study.default_config()
        study.validate(config)
        self.assertTrue(config.is_locked)
        with self.assertRaises(AttributeError):
            config.training.lerning_rate = 1.0
        config.repeats = 3
        self.assertEqual(study.default_config().repeats, 10)

    def test_every_field_must_be_there_and_right(self):
        for name in study.FIELDS:
            with self.subTest(name):
                plain = _set(_small(), {name: None})
                self.assertStartsWith(self._refusal(plain), f'config.{name} = None: ')
                *section, leaf = name.split('.')
                del (plain[section[0]] if section else plain)[leaf]
                text = self._refusal(plain)
                self.assertStartsWith(text, f'config.{name} is missing: it must be ')

    def test_every_section_must_be_one(self):
        for section in config_lib.SECTIONS:
            for value in (None, 3, 'x', [], float('nan'), {}):
                with self.subTest(section, value=value):
                    text = self._refusal(_small() | {section: value})
                    self.assertStartsWith(text, f'config.{section}')
            with self.subTest(section):
                plain = _small()
                del plain[section]
                text = self._refusal(plain)
                self.assertStartsWith(text, f'config.{section} is missing: it needs ')

    def test_a_field_that_does_not_exist_is_named_with_what_was_meant(self):
        for name, words in _NO_FIELDS:
            with self.subTest(name):
                self.assertRegex(self._refusal(_set(_small(), {name: 3})), words)
        text = self._refusal({**_small(), 3: 3})
        self.assertIn('the name of a field must be a string', text)

    def test_fields_that_do_not_go_together_are_named(self):
        for changes, field, words in _RULES:
            with self.subTest(str(changes)):
                text = self._refusal(_set(_small(), changes))
                self.assertRegex(text, rf'^config\.{field} {words}')
            if set(changes) <= set(config_lib.OVERRIDABLE):
                with self.subTest(f'{changes} in a condition'):
                    conditions = {'plain': {}, 'a': _set({}, changes)}
                    text = self._refusal(_small() | {'conditions': conditions})
                    self.assertRegex(text, rf'^config\.(conditions\.a\.)?{field} {words}')

    def test_a_kernel_that_a_condition_enlarges_is_the_one_to_blame(self):
        text = self._refusal(_small() | {'conditions': {'a': {'model': {'kernel_size': 30}}}})
        self.assertStartsWith(
            text, 'config.conditions.a.model.kernel_size = 30: it leaves no pixel'
        )

    def test_a_task_that_a_condition_takes_is_the_one_to_blame(self):
        base = _set(_small(), {'data.image_size': 20})
        text = self._refusal(base | {'conditions': {'a': {'task': {'name': 'disc_radius'}}}})
        self.assertStartsWith(
            text, "config.conditions.a.task.name = 'disc_radius': its images have at least 21"
        )

    def test_an_unknown_task_is_refused_with_the_nearest(self):
        text = self._refusal(_set(_small(), {'task.name': 'medain'}))
        self.assertStartsWith(text, "config.task.name = 'medain': it must be one of 'std'")
        self.assertEndsWith(text, "did you mean 'median'.")

    def test_targets_must_lie_where_the_task_has_some(self):
        few = dataclasses.replace(tasks.TASKS['std'], name='few', domain=(0.5, 6.0))
        with mock.patch.dict(tasks.TASKS, few=few):
            changes = {'task.name': 'few', 'test_distributions': ['u1_5']}
            text = self._refusal(_set(_small(), changes | {'train_distribution': 'u1_5'}))
            self.assertStartsWith(text, 'config.evaluation.dense_low = 0.25: targets of the task')
            changes |= {'evaluation.dense_low': 1.0, 'evaluation.dense_high': 5.5}
            study.validate(_set(_small(), changes | {'train_distribution': 'u1_5'}))
            text = self._refusal(_set(_small(), changes))
            self.assertStartsWith(text, "config.train_distribution = 'u1_10': targets of u1_10 lie")
            self.assertIn('probability 0.444 outside of 0.5 to 6', text)
            for law, outside in (
                ('gap(u1_10, 6, 9)', '0.167'),
                ('cut(normal(3, 1), 0, 5)', '0.00498'),
                ('pareto(1, 0.25, 5)', '0.526'),
                ('polygon(2, 0, 7, 1)', '0.36'),
                ('mixture(u1_5, 1, cut(u1_10, 7, 8), 1)', '0.5'),
            ):
                text = self._refusal(_set(_small(), changes | {'train_distribution': law}))
                self.assertRegex(text, f'^config.train_distribution = .*probability {outside} out')
                self.assertEndsWith(text, 'and cut(law, low, high) keeps a law to a range.')
                kept = f'cut({law}, 0.5, 6)'
                study.validate(_set(_small(), changes | {'train_distribution': kept}))
            conditions = {'a': {'train_distribution': 'u1_5', 'task': {'name': 'few'}}}
            text = self._refusal(_set(_small(), {'conditions': conditions}))
            self.assertStartsWith(text, 'config.test_distributions = ')

    def test_a_study_of_too_many_runs_is_refused(self):
        conditions = {f'c{epochs}': {'training': {'epochs': epochs}} for epochs in range(1, 12)}
        text = self._refusal(_small() | {'repeats': 100_000, 'conditions': conditions})
        self.assertStartsWith(text, 'config.repeats = 100000: with 11 conditions that makes')

    def test_large_studies_are_valid(self):
        for changes in ({'training.epochs': 100_000}, {'data.train_size': 10**8}):
            study.validate(_set(_small(), changes))

    def test_takes_numpy_numbers_and_ints_for_floats(self):
        values = {
            'repeats': np.int64(3),
            'name': np.str_('x'),
            'train_distribution': np.str_('u1_5'),
            'test_distributions': [np.str_('u1_10')],
            'data.train_size': np.int32(600),
            'model.conv_features': (np.int64(4), np.uint8(8)),
            'model.order': np.str_('relu_pool'),
            'training.learning_rate': 1,
            'model.conv_dropout_rate': np.float32(0.25),
            'model.dense_dropout_rate': np.float64(0.75),
            'training.adam_eps': np.int8(1),
            'task.ddof': np.int64(1),
            'compute.profile': np.bool_(True),
            'compute.stop_signals': (np.str_('SIGTERM'),),
        }
        plain = _small()
        config = study.default_config()
        config.update_from_flattened_dict(config_lib.flatten(_small() | {'conditions': {}}))
        for name, value in values.items():
            *section, leaf = name.split('.')
            (plain[section[0]] if section else plain)[leaf] = value
            holder = config[section[0]] if section else config
            setattr(holder, leaf, value)  # What a config takes, it takes from numpy too.
        for made in (plain | {'conditions': {}}, config):
            resolved = study.resolve(made).resolved
            self.assertEqual(json.loads(json.dumps(resolved)), resolved)
            flat = config_lib.flatten(resolved)
            for name, value in values.items():
                self.assertEqual(flat[name], list(value) if isinstance(value, tuple) else value)
                kind = {'int': int, 'float': float, 'bool': bool}.get(study.FIELDS[name].kind, str)
                items = flat[name] if isinstance(flat[name], list) else [flat[name]]
                expected = int if study.FIELDS[name].kind == 'ints' else kind
                self.assertEqual({type(item) for item in items}, {expected}, name)
        config.conditions = {'a': {'training': {'epochs': np.int64(2)}}}
        self.assertEqual(study.resolve(config).conditions[0].training.epochs, 2)
        for value in (np.float64(2.5), np.bool_(True), np.array([1, 2])):
            self.assertIn(
                'it must be an integer', self._refusal(_set(_small(), {'repeats': value}))
            )

    def test_refuses_what_is_no_config(self):
        for value in (None, 3, 'x', [[]], float('nan')):
            self.assertStartsWith(self._refusal(value), 'the config = ')

    def test_the_same_rules_hold_for_a_config_dict(self):
        config = study.default_config()
        config.data.image_size = 3
        self.assertIn('config.data.image_size = 3', self._refusal(config))
        empty = self._refusal(ml_collections.ConfigDict())
        self.assertIn('config.task is missing: it needs name', empty)

    def test_conditions_that_are_none_are_refused(self):
        for conditions, words in _NO_CONDITIONS:
            with self.subTest(str(conditions)[:60]):
                self.assertRegex(self._refusal(_small() | {'conditions': conditions}), words)

    def test_a_condition_may_change_what_is_overridable_and_nothing_else(self):
        for name, field in study.FIELDS.items():
            with self.subTest(name):
                conditions = {'plain': {}, 'a': _set({}, {name: None})}
                text = self._refusal(_small() | {'conditions': conditions})
                self.assertStartsWith(text, f'config.conditions.a.{name} = None: ')
                shared = 'this one holds for the whole study' in text
                self.assertEqual(shared, not field.overridable)


if __name__ == '__main__':
    absltest.main()
