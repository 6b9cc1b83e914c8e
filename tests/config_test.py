"""Tests of imbreg_jax.study.config and of the command line that fills it."""

import copy
import functools
import io
import json
import os
import pathlib
import sys
import tempfile
from unittest import mock

import ml_collections
import numpy as np
from absl import flags
from absl.testing import absltest, parameterized

import imbreg_jax
from imbreg_jax import study
from imbreg_jax.study import ConfigError, command_line, fields
from imbreg_jax.study import config as config_lib

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SMOKE = os.path.join(_ROOT, 'configs', 'smoke.py')


def _smoke() -> dict:
    """A small study's config as plain nested values."""
    return copy.deepcopy(_smoke_resolved())


@functools.cache
def _smoke_resolved() -> dict:
    return study.resolve(command_line.load_config_file(_SMOKE)).resolved


def _changed(field: str, value) -> dict:
    plain = _smoke()
    *section, leaf = field.split('.')
    (plain[section[0]] if section else plain)[leaf] = value
    return plain


def _text(config) -> str:
    """The sentence that refuses a config."""
    try:
        study.validate(config)
    except ConfigError as error:
        return str(error)
    raise AssertionError('the config was accepted')


class DefaultTest(absltest.TestCase):
    def test_is_valid_and_locked(self):
        config = study.default_config()
        study.validate(config)
        self.assertTrue(config.is_locked)
        with self.assertRaises(AttributeError):
            config.training.lerning_rate = 1.0

    def test_is_a_new_one_each_time(self):
        study.default_config().repeats = 3
        self.assertEqual(study.default_config().repeats, 10)

    def test_every_field_has_a_meaning_and_a_rule(self):
        for name, field in study.FIELDS.items():
            self.assertNotEmpty(field.meaning, name)
            self.assertNotEmpty(field.rule, name)


# What each kind of field never takes, whichever field it is. 1e30 as an int is absurdly large for
# every number; 10**5000 has more digits than Python prints.
_NEVER = {
    'int': (
        None,
        'x',
        '',
        1.5,
        True,
        float('nan'),
        [],
        {},
        -1,
        10**30,
        10**5000,
        '3',
        [1],
        object(),
    ),
    'float': (
        None,
        'x',
        '',
        True,
        float('nan'),
        float('inf'),
        -float('inf'),
        [],
        {},
        -1,
        10**30,
        10**5000,
        1e300,
        1j,
        '0.5',
        np.array([0.5, 0.5]),
    ),
    'bool': (None, 'x', '', 'True', 0, 1, 1.0, float('nan'), [], {}),
    'remedy': (None, 3, True, [], {}, 'x' * 5000, 'nothing', 'inverse(', 'fds + fds', 'a.b()'),
    'str': (None, 3, True, float('nan'), [], {}, 'x' * 10**6, 'a\0b', b'x'),
    'name': (
        None,
        3,
        True,
        float('nan'),
        [],
        {},
        '.',
        '..',
        '../x',
        'a/b',
        'a b',
        '-x',
        'x' * 10**4,
        'ä',
        'a\n',
    ),
    'distribution': (
        None,
        3,
        True,
        float('nan'),
        [],
        {},
        '',
        'u1_01',
        'x' * 10**6,
        'uniform(5, 1)',
        'uniform(-1, 1)',
        'normal(5.5, 3)',
        'uniform(1, nan)',
        'uniform(1, 1e30)',
        'lognormal(1e6, 3)',
        ['u1_10'],
    ),
    'distributions': (
        None,
        3,
        True,
        float('nan'),
        [],
        (),
        {},
        '',
        'u1_10',
        ['u1_01'],
        [3],
        [None],
        [''],
        ['u1_10', 'u1_10'],
        ['u1_10', 'uniform(1, 10)'],
        ['normal(1, 1)'],
    ),
    'ints': (
        None,
        3,
        True,
        float('nan'),
        [],
        (),
        {},
        '',
        '(1, 2)',
        [10],
        [10, 20, 30],
        [0, 1],
        [1.5, 2],
        [True, 2],
        [10**30, 1],
        ['1', '2'],
        [float('nan'), 1],
    ),
    'signals': (
        None,
        3,
        True,
        float('nan'),
        {},
        '',
        'SIGTERM',
        ['SIGKILL'],
        ['SIGTREM'],
        [15],
        ['SIGTERM', 'SIGTERM'],
        [''],
        [None],
        ['x' * 10**6],
        [['SIGTERM']],
    ),
}
_MUTATIONS = [
    (f'{name}_{index}', name, value)
    for name, field in study.FIELDS.items()
    for index, value in enumerate(_NEVER[field.kind])
]


class EveryFieldTest(parameterized.TestCase):
    """Each field, mutated in each way, is refused in one sentence that names it."""

    def _assert_refused(self, field: str, config) -> str:
        with self.assertRaises(ConfigError) as caught:
            study.validate(config)
        text = str(caught.exception)
        self.assertIn(field, text)
        self.assertNotIn('\n', text)
        self.assertTrue(text.endswith('.') and not text.endswith('..'), text)
        self.assertLess(len(text), 1000)
        return text

    def test_refuses_what_its_kind_never_takes(self):
        for name, field, value in _MUTATIONS:
            with self.subTest(name):
                text = self._assert_refused(field, _changed(field, value))
                self.assertStartsWith(text, f'config.{field} = ')

    @parameterized.parameters(
        *(n for n, f in study.FIELDS.items() if f.kind in ('int', 'float') and not f.choices)
    )
    def test_refuses_a_value_beyond_either_end_and_takes_the_ends(self, field):
        rule = study.FIELDS[field]
        step = 1 if rule.kind == 'int' else 1e-6
        for end, is_open, outward in (
            (rule.of.low, rule.of.open_low, -step),
            (rule.of.high, rule.of.open_high, step),
        ):
            self._assert_refused(field, _changed(field, end + outward))
            if is_open:
                self._assert_refused(field, _changed(field, end))
            else:
                # The end is within the field's own rule; a rule between fields may still refuse it.
                self.assertEqual(fields.checked(field, end, rule, study.parse), end)

    @parameterized.parameters(*study.FIELDS)
    def test_refuses_its_absence(self, field):
        plain = _smoke()
        *section, leaf = field.split('.')
        del (plain[section[0]] if section else plain)[leaf]
        self.assertStartsWith(
            self._assert_refused(field, plain), f'config.{field} is missing: it must be '
        )

    @parameterized.parameters(*study.FIELDS)
    def test_suggests_it_for_a_misspelling(self, field):
        *section, leaf = field.rsplit('.', 1)
        misspelt = '.'.join([*section, leaf[1] + leaf[0] + leaf[2:]])
        if misspelt == field:
            misspelt = field + 'x'
        text = self._assert_refused(misspelt, _changed(misspelt, 3))
        self.assertIn(f'did you mean {field}.', text)

    @parameterized.parameters(*(name for name, field in study.FIELDS.items() if field.choices))
    def test_takes_each_of_its_choices(self, field):
        for choice in study.FIELDS[field].choices:
            study.validate(_changed(field, choice))
        if study.FIELDS[field].kind == 'str':
            for value in (choice + 'e', choice.upper() + '?', 'zzz'):
                self.assertIn(
                    'it must be one of', self._assert_refused(field, _changed(field, value))
                )

    @parameterized.parameters(*config_lib.SECTIONS)
    def test_refuses_a_section_that_is_none(self, section):
        for value in (None, 3, 'x', [], float('nan'), {}):
            self._assert_refused(section, {**_smoke(), section: value})
        plain = _smoke()
        del plain[section]
        self._assert_refused(section, plain)


class RuleTest(parameterized.TestCase):
    """Rules between fields, and what a refusal says."""

    @parameterized.parameters(
        (
            'data.image_size',
            15,
            'config.data.image_size = 15: .*kernel_size 5 it must be at least 16',
        ),
        ('model.kernel_size', 18, r'image_size = 52: .* with model.kernel_size 18 .* at least 55'),
        ('training.batch_size', 601, r'batch_size = 601: .* at most data.train_size, which is 600'),
        (
            'evaluation.dense_low',
            20.0,
            'dense_low = 20.0: .* below evaluation.dense_high, which is 20',
        ),
        ('evaluation.guess_low', 11, 'guess_low = 11.*: .* below evaluation.guess_high'),
        ('first_repeat', 2**31 - 1, 'first_repeat = 2147483647: it must be at most 2147483646'),
        (
            'train_distribution',
            'normal(4, 1)',
            r"= 'normal\(4, 1\)': .* probability 3.17e-05; .* 1e-06",
        ),
        ('train_distribution', 'lognormal(1000, 2)', 'greatest target in 2.24 is .* at most 1e.06'),
        ('test_distributions', ['u1_10', 'u1_1'], 'did you mean u1_10'),
        ('test_distributions', ['u1_10', 'uniform(1,10)'], 'has u1_10 twice'),
        ('model.dense_features', 100_000, 'dense_features = 100000: .* 200205281 parameters'),
        ('training.epochs', 100_000, None),
        ('data.train_size', 10**8, None),
        ('compute.stop_signals', ['SIGTREM'], 'did you mean SIGTERM'),
        ('model.order', 'poolrelu', "did you mean 'pool_relu'"),
        ('analysis.reference', 'u1_1', 'it must be the name of a condition; did you mean u1_10'),
        ('analysis.reference', 'u1_10', None),
        ('seeed', 3, 'config.seeed = 3: there is no such field; did you mean seed'),
        ('learning_rate', 3, 'did you mean training.learning_rate'),
        ('training.lerning_rate', 3, 'did you mean training.learning_rate'),
        ('qqqqq', 3, 'known are name, seed, .* and the fields of task, data, .*, compute.$'),
        ('model.qqqqq', 3, 'the fields of model are model.conv_features, .*model.initialization.$'),
        ('training.lr', 3, 'did you mean training.learning_rate.$'),
        ('lr', 3, 'did you mean training.learning_rate.$'),
        ('bs', 3, 'did you mean training.batch_size.$'),
        ('batch', 3, 'did you mean training.batch_size.$'),
        ('num-epochs', 3, 'did you mean training.epochs.$'),
        ('training.Epochs', 3, 'did you mean training.epochs.$'),
        ('dropout', 3, 'mean model.conv_dropout_rate or model.dense_dropout_rate.$'),
        ('training.seed', 3, 'did you mean seed.$'),
        ('n_seeds', 3, 'did you mean repeats.$'),
        ('distribution', 3, 'did you mean train_distribution.$'),
        ('loss', 3, 'did you mean training.objective.$'),
        ('\x1b[31m', 3, r'config.\\x1b\[31m = 3'),
        (3, 3, 'the name of a field must be a string'),
    )
    def test_says_what_would_be_right(self, field, value, message):
        config = {**_smoke(), field: value} if field == 3 else _changed(field, value)
        if message is None:
            study.validate(config)
        else:
            self.assertRegex(_text(config), message)

    def test_bounds_time_disk_and_memory_of_the_whole_study(self):
        plain = _smoke()
        plain['data'] |= {'train_size': 10**8}
        plain['training'] |= {'epochs': 10**5}
        self.assertRegex(_text(plain), r'would train on 6e\+13 images .* at most 1e\+12')
        plain = _smoke()
        plain['repeats'] = 100_000
        plain['data']['test_size'] = 10_000
        self.assertRegex(_text(plain), 'would keep .* predictions')
        plain = _smoke()
        plain['data'] |= {'train_size': 10**8}
        plain['training'] |= {'batch_size': 10**8}
        self.assertRegex(_text(plain), 'batch_size = 100000000: .* it must be at most 93206')

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
        plain = _smoke()
        config = study.default_config()
        config.update_from_flattened_dict(config_lib.flatten(_smoke() | {'conditions': {}}))
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
            self.assertIn('it must be an integer', _text(_changed('repeats', value)))

    @parameterized.parameters(None, 3, 'x', [[]], float('nan'))
    def test_refuses_what_is_no_config(self, value):
        self.assertStartsWith(_text(value), 'the config = ')

    def test_the_same_rules_hold_for_a_config_dict(self):
        config = study.default_config()
        config.data.image_size = 3
        self.assertIn('config.data.image_size = 3', _text(config))
        self.assertIn('config.task is missing: it needs name', _text(ml_collections.ConfigDict()))


class ConditionTest(parameterized.TestCase):
    @parameterized.parameters(
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
            {'a': {'model': {'conv_dropout_rate': float('nan')}}},
            'conditions.a.model.conv_dropout_rate = nan',
        ),
        ({'a': {}, 'b': {}}, 'conditions.b = .*: it must differ from the condition a'),
        ({'a': {}, 'b': {'task': {'ddof': 0}}}, 'it must differ from the condition a'),
        ({str(index): {} for index in range(2000)}, 'at most 1000'),
    )
    def test_refuses(self, conditions, message):
        text = _text({**_smoke(), 'conditions': conditions})
        self.assertRegex(text, message)
        self.assertNotIn('\n', text)


class ConfigFileTest(parameterized.TestCase):
    def _read(self, *arguments: str):
        return command_line.read_config(['main', *arguments])

    def _refusal(self, *arguments: str) -> str:
        with self.assertRaises(ConfigError) as caught:
            self._read(*arguments)
        text = str(caught.exception)
        self.assertNotIn('\n', text)
        self.assertLess(len(text), 1500)
        return text

    @parameterized.parameters(
        ('def get_config(:\n', 'line 1 of the file is not valid Python'),
        ('x = 1\n', r'must define get_config\(\)'),
        ('get_config = 3\n', r'must define get_config\(\)'),
        ('import no_such_module_xyz\n', 'line 1 of .* fails with ModuleNotFoundError'),
        ('def get_config():\n  return 1 / 0\n', 'line 2 of .* fails with ZeroDivisionError'),
        ('def get_config():\n  return 3\n', r'its get_config\(\) returned 3'),
        ('def get_config():\n  return {}\n', r'its get_config\(\) returned {}'),
        ('def get_config():\n  pass\n', r'its get_config\(\) returned None'),
        ('def get_config(x):\n  return x\n', 'fails with TypeError'),
        ('raise SystemExit(3)\n', 'fails with SystemExit'),
        ('\x00', 'fails|not valid Python|UTF-8'),
    )
    def test_says_what_is_wrong_with_a_file(self, text, message):
        path = self.create_tempfile(content=text).full_path
        self.assertRegex(self._refusal(f'--config={path}'), message)

    @parameterized.parameters(
        ('c.repeets = 3', 'sets repeets, which is no field; did you mean repeats'),
        (
            'c.training.lerning_rate = 3',
            'sets lerning_rate, .* did you mean training.learning_rate',
        ),
        ('c.repeats = 2.5', 'sets repeats to 2.5; repeats must be an integer'),
        ('c.training.epochs = "3"', 'sets epochs to 3; training.epochs must be an integer'),
    )
    def test_names_the_field_that_a_file_gets_wrong(self, line, message):
        path = self.create_tempfile(
            content='from imbreg_jax import study\n'
            f'def get_config():\n  c = study.default_config()\n  {line}\n  return c\n'
        ).full_path
        self.assertRegex(self._refusal(f'--config={path}'), f'line 4 of .* {message}')

    def test_hands_what_follows_the_files_name_to_it(self):
        path = self.create_tempfile(
            'config.py',
            content='from imbreg_jax import study\n'
            'def get_config(law="u1_10"):\n'
            '  c = study.default_config()\n  c.train_distribution = law\n  return c\n',
        ).full_path
        self.assertEqual(self._read(f'--config={path}')[0].train_distribution, 'u1_10')
        self.assertEqual(self._read(f'--config={path}:u1_5')[0].train_distribution, 'u1_5')
        self.assertRegex(
            self._refusal(f'--config={_SMOKE}:u1_5'),
            r'fails with TypeError: get_config\(\) takes 0 positional arguments',
        )
        self.assertIn('no such file', self._refusal('--config=nowhere.py:u1_5'))

    def test_says_what_is_wrong_with_a_path(self):
        self.assertIn('must name a file', self._refusal())
        self.assertIn('must name a file', self._refusal('--config='))
        self.assertIn('must name a file', self._refusal('--config'))
        self.assertIn('must name a file', self._refusal('--config', '--workdir=x'))
        self.assertIn('must name a file', self._refusal('--config.repeats=3'))
        self.assertIn('a folder, not a regular file', self._refusal(f'--config={_ROOT}'))
        fifo = os.path.join(self.create_tempdir().full_path, 'fifo.py')
        os.mkfifo(fifo)
        self.assertIn('a pipe, not a regular file', self._refusal(f'--config={fifo}'))
        self.assertIn('a device, not a regular file', self._refusal('--config=/dev/zero'))
        near = self._refusal(f'--config={os.path.join(_ROOT, "configs", "smok.py")}')
        self.assertIn(f'did you mean {_SMOKE}', near)
        self.assertIn('no such file; known are ', self._refusal('--config=/nowhere/at/all.py'))
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(_ROOT)
        for path, meant in (
            ('u1_10.py', 'configs/u1_10.py'),
            ('u1_10', 'configs/u1_10.py'),
            ('config/paper.py', 'configs/paper.py'),
            ('configs/u1_10', 'configs/u1_10.py'),
            ('papr.py', 'configs/paper.py'),
        ):
            self.assertIn(f'did you mean {meant}.', self._refusal(f'--config={path}'))
        os.chdir(self.create_tempdir().full_path)
        self.assertIn(f'did you mean {_SMOKE}.', self._refusal('--config=smoke.py'))
        self.assertIn('cannot be read', self._refusal('--config=' + 'x' * 5000))
        self.assertIn('UTF-8', self._refusal('--config=\0'))
        latin = self.create_tempfile()
        latin.write_bytes(b'# \xff\xfe\n')
        self.assertIn('UTF-8', self._refusal(f'--config={latin.full_path}'))

    def test_takes_the_config_and_leaves_the_rest(self):
        config, rest = self._read(
            '--workdir=w', '--config', _SMOKE, '--config.repeats', '3', '-v', '1'
        )
        self.assertEqual(config.repeats, 3)
        self.assertEqual(rest, ['main', '--workdir=w', '-v', '1'])
        self.assertTrue(config.is_locked)

    def test_in_python_a_file_is_spoken_of_and_no_flag(self):
        # A path of the length that errors show whole.
        with tempfile.NamedTemporaryFile('w', suffix='.py', delete=False) as file:
            file.write('def get_config():\n  return 3\n')
        path = file.name
        self.addCleanup(os.remove, path)
        for name, message in (
            ('nowhere.py', 'no such file'),
            (path, 'returned 3'),
            ('/', 'folder'),
        ):
            with self.assertRaises(ConfigError) as caught:
                study.load_config_file(name)
            text = str(caught.exception)
            self.assertStartsWith(text, f'the config file {name!r}: ')
            self.assertIn(message, text)
            self.assertNotIn('--', text)
        self.assertEqual(study.load_config_file(pathlib.Path(_SMOKE)).repeats, 2)

    def test_help_and_version_need_no_config(self):
        for flag in ('--help', '--version'):
            self.assertEqual(self._read(flag), (None, ['main', flag]))
        self.assertIsNone(command_line.information(['main', '--config=x'], ''))
        self.assertIsNone(command_line.information(['main', '--', '--help'], ''))
        self.assertEqual(
            command_line.information(['main', '--version'], ''),
            f'imbreg_jax {imbreg_jax.__version__}',
        )
        text = command_line.information(['main', '--config=x', '--help'], 'Does this.')
        self.assertStartsWith(text, 'Does this.\n')

    def test_what_follows_two_dashes_is_left(self):
        _, rest = self._read(f'--config={_SMOKE}', '--', '--config.repeats=3')
        self.assertEqual(rest, ['main', '--', '--config.repeats=3'])

    @parameterized.parameters(
        ('repeats', ['--config.repeats=3'], 3),
        ('repeats', ['--config.repeats=3', '--config.repeats=4'], 4),
        ('training.learning_rate', ['-config.training.learning_rate', '1'], 1.0),
        (
            'conditions.u1_10.train_distribution',
            ['--config.conditions.u1_10.train_distribution=normal(5, 0.5)'],
            'normal(5, 0.5)',
        ),
        ('test_distributions', ["--config.test_distributions=('u1_10','u1_5')"], ('u1_10', 'u1_5')),
        ('test_distributions', ['--config.test_distributions=u1_5'], ('u1_5',)),
        (
            'test_distributions',
            ['--config.test_distributions=u1_5', '--config.test_distributions', 'uniform(1, 3)'],
            ('u1_5', 'uniform(1, 3)'),
        ),
        ('model.conv_features', ['--config.model.conv_features=(4, 8)'], (4, 8)),
        (
            'model.conv_features',
            ['--config.model.conv_features=4', '--config.model.conv_features=8'],
            (4, 8),
        ),
        ('compute.profile', ['--config.compute.profile'], True),
        ('compute.profile', ['--config.compute.profile=true'], True),
        ('compute.tensorboard', ['--noconfig.compute.tensorboard'], False),
        ('compute.stop_signals', ['--config.compute.stop_signals=()'], ()),
        (
            'conditions.u1_5.train_distribution',
            ['--config.conditions.u1_5.train_distribution=n5_5_1'],
            'n5_5_1',
        ),
    )
    def test_overrides(self, field, arguments, value):
        config, rest = self._read(f'--config={_SMOKE}', *arguments)
        for part in field.split('.'):
            config = config[part]
        self.assertEqual(config, value)
        self.assertEqual(rest, ['main'])

    @parameterized.parameters(
        ('--config.repeets=3', 'config.repeets = 3: there is no such field; did you mean repeats'),
        ('--config.lerning_rate=3', 'did you mean training.learning_rate'),
        ('--config.=3', 'no such field'),
        ('--config.a b=3', 'no such field'),
        ('--config.model.conv_features[0]=3', 'did you mean model.conv_features'),
        ('--config.training=3', 'config.training = 3: it is a section; set one of its fields'),
        ('--config.repeats=three', "config.repeats = 'three': it must be an integer"),
        ('--config.repeats=', "config.repeats = '': it must be an integer"),
        ('--config.repeats=1.5', 'config.repeats = 1.5: it must be an integer'),
        ('--config.repeats=' + '9' * 5000, 'it must be an integer'),
        ('--config.repeats', 'config.repeats is missing: it must be an integer'),
        ('--config.repeets', 'config.repeets is missing: there is no such field'),
        ('--config.training.learning_rate=fast', 'it must be a number, above 0 and at most 10'),
        ('--config.compute.profile=maybe', 'it must be one of False, True'),
        ('--noconfig.repeats', 'only a field that is True or False'),
        ('--noconfig.compute.profile=true', 'only a field that is True or False'),
        ('--config.model.conv_features=(4, 8', 'it must be 2 integers'),
        ('--config.conditions=3', 'config.conditions = 3'),
        ('--config.conditions.u1_5.epochs=3', 'no such field'),
        ('--config.train_distribution=u1_5', 'it has no effect, as each condition of this config'),
    )
    def test_says_what_is_wrong_with_an_override(self, argument, message):
        self.assertIn(message, self._refusal(f'--config={_SMOKE}', argument))

    @parameterized.parameters(*study.FIELDS)
    def test_any_text_for_any_field_is_refused_or_valid(self, field):
        for text in (
            '',
            ' ',
            'x',
            '-1',
            'nan',
            'inf',
            '1e400',
            'None',
            '[]',
            '()',
            '{}',
            "'",
            '\\',
            '1' + '0' * 40,
            '(1, (2',
            '__import__("os")',
            'u1_1O',
            '\n',
            '\0',
        ):
            try:
                config, _ = self._read(f'--config={_SMOKE}', f'--config.{field}={text}')
                study.validate(config)
            except ConfigError as error:
                self.assertStartsWith(str(error), f'config.{field} = ')
            else:
                kind = study.FIELDS[field].kind
                taken = {
                    'remedy': ('', ' ', '\n'),
                    'name': ('', 'x', 'nan', 'inf', '1e400', 'None', 'u1_1O'),
                    'signals': ('[]', '()', '{}'),
                }
                self.assertTrue(
                    kind == 'str' or text in taken.get(kind, ()) or len(text) == 41, text
                )

    def test_parse_flags(self):
        values = flags.FlagValues()
        flags.DEFINE_string('workdir', None, 'folder', flag_values=values)
        flags.DEFINE_integer('count', 1, 'number', flag_values=values)
        command_line.parse_flags(values, ['main', '--workdir=x'])
        self.assertEqual(values.workdir, 'x')
        for argument, message in (
            ('--workdri=x', "--workdri = 'x': there is no such flag; did you mean --workdir."),
            ('--confg=x', 'did you mean --config.'),
            ('--count=x', '--count'),
            ('configs/paper.py', "'configs/paper.py': arguments are flags of the form"),
            ('--workdir', 'workdir'),
            ('--workdir=', "--workdir = '': it must not be empty; leave it out for the default"),
        ):
            with self.assertRaises(ConfigError) as caught:
                command_line.parse_flags(values, ['main', argument])
            self.assertIn(message, str(caught.exception))
            self.assertNotIn('\n', str(caught.exception))

    def test_leaves_no_trace_of_a_failing_file(self):
        path = self.create_tempfile(content='raise ValueError("no")\n').full_path
        with mock.patch.object(sys, 'stderr', io.StringIO()) as stderr:
            self._refusal(f'--config={path}')
        self.assertEmpty(stderr.getvalue())


if __name__ == '__main__':
    absltest.main()
