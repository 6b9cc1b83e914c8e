"""Tests of imbreg_jax.console: which module a command runs, with which arguments."""

import contextlib
import importlib.util
import io
import os
import pathlib
import signal
import subprocess
import sys
from unittest import mock

from absl.testing import absltest

import imbreg_jax
from imbreg_jax import console

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_CONFIGS = _ROOT / 'configs'

# What is typed, and the module and arguments that it runs.
_RUNS = (
    ('train paper', 'main', f'--config={_CONFIGS}/paper.py'),
    (
        'train missing_targets:disc_radius --config.repeats=3',
        'main',
        f'--config={_CONFIGS}/missing_targets.py:disc_radius --config.repeats=3',
    ),
    ('train ./mine.py:a --dry_run', 'main', '--config=./mine.py:a --dry_run'),
    ('train mine.py --workdir w', 'main', '--config=mine.py --workdir w'),
    ('train --workdir=w --config=mine.py', 'main', '--workdir=w --config=mine.py'),
    ('train --config mine.py', 'main', '--config mine.py'),
    ('train --help', 'main', '--help'),
    ('train paper --help', 'main', f'--config={_CONFIGS}/paper.py --help'),
    ('train --confg=x', 'main', '--confg=x'),  # Whose sentence for it is the better one.
    ('merge --workdir=a', 'merge', '--workdir=a'),
    ('report --workdir=a,b', 'report', '--workdir=a,b'),
    ('samples --out=x', 'samples', '--out=x'),
    ('benchmark', 'benchmark', ''),
)
# What is typed, and what is said of it.
_REFUSALS = (
    ('trian', "'trian': there is no such command; did you mean imbreg-jax train."),
    ('paper', "'paper': there is no such command; it names a config; did you mean imbreg-jax tr"),
    ('network:mean', 'did you mean imbreg-jax train network:mean.'),
    ('xyzzy', 'known are train, merge, report, samples, benchmark, configs.'),
    ('\x1b[2J', r"'\x1b[2J': there is no such command"),
    ('--config=x', "'--config=x': there is no such command; a command comes first, one of train"),
    ('configs paper', "'paper': imbreg-jax configs takes no arguments."),
    ('train', 'no config is named: it comes first, such as imbreg-jax train paper'),
    ('train --config.repeats=3', 'no config is named'),
    ('train --dry_run paper', 'no config is named: it comes first'),
    ('train papr', "the config = 'papr': no config of this name is shipped; did you mean paper."),
    ('train paper --config=x', "the config is 'paper'; a --config besides is one too many."),
)


class ConsoleTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        self.enter_context(mock.patch.object(sys, 'argv', sys.argv))
        self.run_module = self.enter_context(mock.patch.object(console.runpy, 'run_module'))

    def _main(self, typed: str) -> tuple[int, str, str]:
        """The status, and what is printed and said."""
        with (
            contextlib.redirect_stdout(io.StringIO()) as printed,
            contextlib.redirect_stderr(io.StringIO()) as said,
        ):
            status = console.main(['/somewhere/bin/imbreg-jax', *typed.split()])
        return status, printed.getvalue(), said.getvalue()

    def test_runs_the_module_as_python_does(self):
        for typed, module, arguments in _RUNS:
            with self.subTest(typed):
                self.assertEqual(self._main(typed), (0, '', ''))
                self.run_module.assert_called_once_with(
                    f'imbreg_jax.{module}', run_name='__main__', alter_sys=True
                )
                self.assertEqual(sys.argv, [f'imbreg-jax {typed.split()[0]}', *arguments.split()])
                self.run_module.reset_mock()

    def test_every_command_is_a_module_that_runs(self):
        for name, (module, _) in console.COMMANDS.items():
            spec = importlib.util.find_spec(module)
            assert spec is not None, name
            if spec.submodule_search_locations is not None:
                self.assertIsNotNone(importlib.util.find_spec(f'{module}.__main__'), name)

    def test_a_mistake_is_one_sentence_and_status_2(self):
        for typed, message in _REFUSALS:
            with self.subTest(typed):
                status, printed, said = self._main(typed)
                self.assertEqual((status, printed, said.count('\n')), (2, '', 1))
                self.assertIn(message, said)
        self.run_module.assert_not_called()

    def test_help_names_every_command_and_version_the_version(self):
        for typed in ('', 'help', '--help', '-h', 'configs --help'):
            status, printed, said = self._main(typed)
            self.assertEqual((status, said), (0, ''))
            for name, (_, does) in console.COMMANDS.items():
                self.assertIn(f'    imbreg-jax {name} ', printed)
                self.assertRegex(printed, rf'\n  {name} +{does}\n')
            self.assertRegex(printed, r'\n  configs +lists')
            self.assertLess(max(map(len, printed.splitlines())), 101)
        self.assertEqual(self._main('--version'), (0, f'imbreg_jax {imbreg_jax.__version__}\n', ''))

    def test_lists_the_shipped_configs_with_what_they_say_of_themselves(self):
        status, printed, said = self._main('configs')
        self.assertEqual((status, said), (0, ''))
        for path in _CONFIGS.glob('*.py'):
            line = path.read_text('utf-8').partition('"""')[2].partition('\n')[0]
            self.assertIn(f'  {path.stem} ', printed)
            self.assertIn(line, ' '.join(printed.split()))


class ProcessTest(absltest.TestCase):
    def test_refuses_in_any_folder_what_the_module_refuses(self):
        # Found once the config is read, and before JAX starts; `package_test` has the module.
        done = subprocess.run(
            [sys.executable, '-m', 'imbreg_jax', 'train', 'smoke', '--config.seed=3', '--workdir='],
            capture_output=True, text=True, cwd=self.create_tempdir().full_path,
            env=os.environ | {'PYTHONPATH': str(_ROOT)},
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (2, ''), done.stderr)
        self.assertStartsWith(done.stderr, "--workdir = '': it must not be empty")
        self.assertEqual(done.stderr.count('\n'), 1)


if __name__ == '__main__':
    absltest.main()
