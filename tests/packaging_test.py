"""Tests of what makes a package: its metadata, and, where asked for, a wheel that is installed."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest
from absl.testing import absltest

import imbreg_jax
from imbreg_jax import console

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_TEXT = (_ROOT / 'pyproject.toml').read_text('utf-8')
_PROJECT = tomllib.loads(_TEXT)['project']
# What a wheel is made of.
_SOURCES = (
    'LICENSE',
    'MANIFEST.in',
    'README.md',
    'configs',
    'imbreg_jax',
    'pyproject.toml',
    'setup.py',
)


class MetadataTest(absltest.TestCase):
    def test_the_script_is_called_as_the_package_is_installed(self):
        self.assertEqual(_PROJECT['scripts'], {'imbreg-jax': 'imbreg_jax.console:main'})
        self.assertTrue(callable(console.main))
        self.assertEqual(_PROJECT['name'].replace('_', '-'), 'imbreg-jax')

    def test_every_dependency_has_its_reason(self):
        extras = _PROJECT['optional-dependencies']
        for needed in (*_PROJECT['dependencies'], *sum(extras.values(), [])):
            with self.subTest(needed):
                lines = _TEXT.splitlines()
                (number,) = (n for n, line in enumerate(lines) if f"'{needed}'" in line)
                above = lines[number - 1].strip()
                self.assertTrue('  # ' in lines[number] or above.startswith('# '))

    def test_the_versions_agree(self):
        citation = (_ROOT / 'CITATION.cff').read_text('utf-8')
        self.assertIn(f'\nversion: {imbreg_jax.__version__}\n', citation)
        changes = (_ROOT / 'CHANGELOG.md').read_text('utf-8')
        headings = re.findall(r'^## \[(.+?)\]', changes, re.M)
        if headings[0] == 'Unreleased':
            self.assertNotIn(imbreg_jax.__version__, headings[2:])
        else:
            self.assertEqual(headings[0], imbreg_jax.__version__)

    def test_each_workflow_runs_one_command_with_pinned_actions(self):
        for name, command in ('ci', '.ci/run'), ('docs', './launch.sh docs'):
            text = (_ROOT / '.github' / 'workflows' / f'{name}.yml').read_text('utf-8')
            self.assertEqual(re.findall(r'run: (.+)', text), [command])
            used = re.findall(r'uses: (.+)', text)
            self.assertNotEmpty(used)
            for action in used:
                self.assertRegex(action, r'@v\d+\.\d+\.\d+$')


class WheelTest(absltest.TestCase):
    """A wheel in an environment of its own, beside the dependencies of this one."""

    @pytest.mark.slow
    def test_it_has_all_that_the_commands_need_in_any_folder(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        wheel = self._wheel(folder)
        self._check_files(wheel)
        venv = folder / 'venv'
        self._run(folder, sys.executable, '-m', 'venv', '--without-pip', venv)
        python, script = venv / 'bin' / 'python', venv / 'bin' / 'imbreg-jax'
        pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check', '--python', python)
        self._run(folder, *pip, 'install', '--quiet', '--no-deps', wheel)
        (site,) = venv.glob('lib/python*/site-packages')
        (site / 'dependencies.pth').write_text(sysconfig.get_path('purelib') + '\n')

        here = folder / 'here'
        here.mkdir()
        self.assertEqual(
            self._run(here, script, '--version'), f'imbreg_jax {imbreg_jax.__version__}\n'
        )
        listed = self._run(here, script, 'configs')
        for path in (_ROOT / 'configs').glob('*.py'):
            self.assertIn(f'  {path.stem} ', listed)
        code = (
            'import imbreg_jax; from imbreg_jax.configs import paper; '
            'print(paper.__file__); assert imbreg_jax.config("paper") == paper.get_config()'
        )
        self.assertStartsWith(self._run(here, python, '-c', code), str(site))
        small = ('--config.repeats=2', '--config.training.epochs=1', '--workdir=w')
        trained = self._run(here, script, 'train', 'smoke', *small)
        self.assertIn('U(1, 10)', trained)
        self._run(here, script, 'report', '--workdir=w', '--out=again')
        for page in ('w/report.html', 'again/report.html'):
            self.assertTrue((here / page).is_file())

    def _wheel(self, folder: pathlib.Path) -> pathlib.Path:
        """Made of a copy, since setuptools writes beside what it builds."""
        source = folder / 'source'
        source.mkdir()
        for name in _SOURCES:
            if (_ROOT / name).is_dir():
                ignored = shutil.ignore_patterns('__pycache__')
                shutil.copytree(_ROOT / name, source / name, ignore=ignored)
            else:
                shutil.copy(_ROOT / name, source / name)
        pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check')
        made = folder / 'made'
        self._run(folder, *pip, 'wheel', '--quiet', '--no-deps', '--wheel-dir', made, source)
        (wheel,) = made.glob('*.whl')
        return wheel

    def _check_files(self, wheel: pathlib.Path) -> None:
        wanted = {
            str(path.relative_to(_ROOT))
            for path in (_ROOT / 'imbreg_jax').rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        }
        wanted |= {f'imbreg_jax/configs/{path.name}' for path in (_ROOT / 'configs').glob('*.py')}
        self.assertIn('imbreg_jax/py.typed', wanted)
        with zipfile.ZipFile(wheel) as archive:
            held = {name for name in archive.namelist() if '.dist-info/' not in name}
        self.assertEqual(held, wanted)

    def _run(self, folder: pathlib.Path, *command: object) -> str:
        """What a command prints that must succeed, without this checkout on its path."""
        kept = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME')}
        done = subprocess.run(
            list(map(str, command)), cwd=folder, env=kept, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


if __name__ == '__main__':
    absltest.main()
