"""Tests of imbreg_jax.study.command_line."""

import io
import os
import pathlib
import sys
import tempfile
from unittest import mock

from absl import flags
from absl.testing import absltest

import imbreg_jax
from imbreg_jax import study
from imbreg_jax.study import ConfigError, command_line

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SMOKE = os.path.join(_ROOT, 'configs', 'smoke.py')

# A file's text, and what is said of it.
_NO_CONFIGS = (
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
# A line of `get_config`, and what is said of it.
_WRONG_LINES = (
    ('c.repeets = 3', 'sets repeets, which is no field; did you mean repeats'),
    (
        'c.training.lerning_rate = 3',
        'sets lerning_rate, .* did you mean training.learning_rate',
    ),
    ('c.repeats = 2.5', 'sets repeats to 2.5; repeats must be an integer'),
    ('c.training.epochs = "3"', 'sets epochs to 3; training.epochs must be an integer'),
)
# A field, arguments that override it, and the value that it then has.
_OVERRIDES = (
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
# An argument, and what is said of it.
_NO_OVERRIDES = (
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
    ('--config.model.conv_features=(4, 8', 'it must be 1 to 16 integers'),
    ('--config.conditions=3', 'config.conditions = 3'),
    ('--config.conditions.u1_5.epochs=3', 'no such field'),
    ('--config.train_distribution=u1_5', 'it has no effect, as each condition of this config'),
)
# Texts that hardly any field takes.
_TEXTS = (
    '', ' ', 'x', '-1', 'nan', 'inf', '1e400', 'None', '[]', '()', '{}', "'", '\\', '1' + '0' * 40,
    '(1, (2', '__import__("os")', 'u1_1O', '\n', '\0',
)  # fmt: skip


class CommandLineTest(absltest.TestCase):
    def _read(self, *arguments: str):
        return command_line.read_config(['main', *arguments])

    def _refusal(self, *arguments: str) -> str:
        with self.assertRaises(ConfigError) as caught:
            self._read(*arguments)
        text = str(caught.exception)
        self.assertNotIn('\n', text)
        self.assertLess(len(text), 1500)
        return text

    def test_says_what_is_wrong_with_a_file(self):
        for text, message in _NO_CONFIGS:
            with self.subTest(text):
                path = self.create_tempfile(content=text).full_path
                self.assertRegex(self._refusal(f'--config={path}'), message)

    def test_names_the_field_that_a_file_gets_wrong(self):
        for line, message in _WRONG_LINES:
            with self.subTest(line):
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

    def test_overrides(self):
        for field, arguments, value in _OVERRIDES:
            with self.subTest(arguments):
                config, rest = self._read(f'--config={_SMOKE}', *arguments)
                for part in field.split('.'):
                    config = config[part]
                self.assertEqual(config, value)
                self.assertEqual(rest, ['main'])

    def test_says_what_is_wrong_with_an_override(self):
        for argument, message in _NO_OVERRIDES:
            with self.subTest(argument[:60]):
                self.assertIn(message, self._refusal(f'--config={_SMOKE}', argument))

    def test_any_text_for_a_field_of_any_kind_is_refused_or_valid(self):
        taken = {
            'remedy': ('', ' ', '\n'),
            'sweep': ('', ' ', '\n'),
            'name': ('', 'x', 'nan', 'inf', '1e400', 'None', 'u1_1O'),
            'signals': ('[]', '()', '{}'),
        }
        # How a text is read depends on the field's kind alone.
        kinds = {declared.kind: field for field, declared in study.FIELDS.items()}
        for kind, field in kinds.items():
            for text in _TEXTS:
                with self.subTest(field=field, text=text):
                    try:
                        config, _ = self._read(f'--config={_SMOKE}', f'--config.{field}={text}')
                        study.validate(config)
                    except ConfigError as error:
                        self.assertStartsWith(str(error), f'config.{field} = ')
                    else:
                        # A long row of digits is a fine number of some fields, and a fine name.
                        right = kind == 'str' or text in taken.get(kind, ()) or len(text) == 41
                        self.assertTrue(right)

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
