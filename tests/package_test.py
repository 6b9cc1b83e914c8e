"""Tests of what `import imbreg_jax` and its command line offer before JAX starts."""

import importlib.resources
import os
import pathlib
import subprocess
import sys

from absl.testing import absltest, parameterized

import imbreg_jax

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env=os.environ | {'PYTHONPATH': str(_ROOT)},
    )


class ImportTest(absltest.TestCase):
    def test_shows_what_there_is_and_starts_no_jax(self):
        code = (
            'import sys, imbreg_jax\n'
            'print(*[name for name in dir(imbreg_jax) if not name.startswith("_")])\n'
            'print(imbreg_jax.config("u1_10").repeats, "jax" in sys.modules)\n'
        )
        done = _run('-c', code)
        self.assertEqual(done.stderr, '')
        names, rest = done.stdout.splitlines()
        shown = {'compare', 'config', 'load', 'run_study', 'study'}
        self.assertContainsSubset(shown, names.split())
        self.assertEqual(rest, '10 False')

    def test_what_it_shows_can_be_had(self):
        for name in imbreg_jax.__all__:
            self.assertIn(name, dir(imbreg_jax))
            self.assertIsNotNone(getattr(imbreg_jax, name))
        with self.assertRaisesRegex(AttributeError, "has no attribute 'lode'"):
            _ = imbreg_jax.lode

    def test_says_that_it_ships_types(self):
        self.assertTrue((importlib.resources.files('imbreg_jax') / 'py.typed').is_file())


class CommandLineTest(parameterized.TestCase):
    def test_says_its_version(self):
        done = _run('-m', 'imbreg_jax.main', '--version')
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr),
            (0, f'imbreg_jax {imbreg_jax.__version__}\n', ''),
        )

    def test_an_empty_workdir_is_refused(self):
        done = _run('-m', 'imbreg_jax.main', '--config=configs/smoke.py', '--workdir=')
        self.assertEqual((done.returncode, done.stdout), (2, ''))
        self.assertStartsWith(done.stderr, "--workdir = '': it must not be empty")
        self.assertEqual(done.stderr.count('\n'), 1)


if __name__ == '__main__':
    absltest.main()
