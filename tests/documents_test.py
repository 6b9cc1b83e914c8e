"""Tests that README.md and docs/ can be followed: commands, snippets and the files they name.

Commands that would train for minutes are taken as far as their resolved study; the snippets run as
printed, on networks that train in seconds.
"""

import ast
import functools
import itertools
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest

import documents
import imbreg_jax
import small_study
from imbreg_jax import report, studies, study
from imbreg_jax.data.pixel_laws import PIXEL_LAWS
from imbreg_jax.data.tasks import TASKS
from imbreg_jax.remedies import REMEDIES
from imbreg_jax.study import command_line, laws
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner

_ROOT = documents.ROOT
_TEXT = documents.TEXT
_OURS = {'report', 'benchmark', 'main', 'samples'}
# A variable that is set before a command, or exported.
_SETTING = r'(?:([A-Z]\w*)=\S+ )'
# Code that is a file of the repository.
_NAMED = r'(\.ci|configs|deploy|docs|examples|tests|results)/|\w+\.(lock|toml|sh)$'


def _blocks(language: str, text: str = _TEXT) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def _commands() -> list[list[str]]:
    """The words of every command: in the blocks, and of ours also within sentences."""
    inline = [code for code in _inline() if re.match(_SETTING + r'*(\./|\.venv/)\S+', code)]
    return [words for script in (*_blocks('bash'), *inline) for words in _commands_of(script)]


def _commands_of(script: str) -> list[list[str]]:
    """The words of every command of a script, with 1 for what a shell would work out."""
    script = re.sub(r'(?:^|[ \t]+)#.*', '', script.replace('\\\n', ' '), flags=re.M)
    script = re.sub(r'\$\(\(.*?\)\)|\$\w+', '1', script)
    parts = shlex.shlex(script, posix=True, punctuation_chars='&\n')
    parts.whitespace, parts.whitespace_split, parts.commenters = ' \t', True, ''
    found = []
    for ends, command in itertools.groupby(parts, lambda part: not part.strip('&\n')):
        words = [] if ends else list(command)
        while words and re.match(rf'{_SETTING}|(exec|export) $', words[0] + ' '):
            words = words[1:]
        found += [words] if words else []
    return found


def _inline(text: str = _TEXT) -> list[str]:
    """The code within sentences."""
    prose = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    return [' '.join(code.split()) for code in re.findall(r'`([^`]+)`', prose)]


@functools.cache
def _launch_help() -> str:
    command = ['bash', _ROOT / 'launch.sh', 'help']
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class CommandsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        # As in a checkout, with a file that their reader would have.
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'configs').symlink_to(_ROOT / 'configs')
        (folder / 'ages.csv').write_text('age\n21\n34\n35\n')
        here = os.getcwd()
        os.chdir(folder)
        self.addCleanup(os.chdir, here)

    def test_every_command_is_one_that_works(self):
        commands = _commands()
        self.assertIn(['./launch.sh'], commands)
        self._check_all(commands)

    def _check_all(self, commands: list[list[str]]) -> None:
        for words in commands:
            with self.subTest(' '.join(words)):
                self._check(*words)

    def _check(self, program: str, *arguments: str) -> None:
        if program == './launch.sh' and (not arguments or arguments[0].startswith('-')):
            self._check_study(arguments)
        elif program == './launch.sh':
            self.assertIn(f'./launch.sh {arguments[0]}', _launch_help())
            if '-k' in arguments:
                chosen = arguments[arguments.index('-k') + 1]
                tests = '\n'.join(path.read_text() for path in (_ROOT / 'tests').glob('*_test.py'))
                self.assertRegex(tests.lower(), rf'(def test_|class )\w*{chosen}')
        elif program == '.venv/bin/python' and arguments[0] == '-m':
            module = arguments[1].removeprefix('imbreg_jax.')
            self.assertIn(module, _OURS)
            if module == 'main':
                self._check_study(arguments[2:])
            else:
                self._check_flags(f'imbreg_jax/{module}.py', arguments[2:])
        elif program == '.venv/bin/python':
            self._check_flags(arguments[0], arguments[1:])
        elif program == 'sbatch' and '--wrap' in arguments:
            self._check_all(_commands_of(arguments[-1]))
        elif program == 'sbatch':
            self._check('./launch.sh', *arguments[arguments.index('launch.sh') + 1 :])
        elif program == 'gcloud':
            self._check_all(_commands_of(arguments[-1].removeprefix('--command=')))
        elif program in ('kubectl', 'sky'):
            files = [argument for argument in arguments if argument.endswith('.yaml')]
            self.assertNotEmpty(files)
            self.assertTrue(all((_ROOT / file).is_file() for file in files), files)
        elif program == 'docker':
            stated = [arguments[n + 1] for n, a in enumerate(arguments) if a == '--build-arg']
            for name in (argument.partition('=')[0] for argument in stated):
                self.assertIn(f'\nARG {name}=', (_ROOT / 'Dockerfile').read_text('utf-8'))
        elif program == '.ci/run':
            self.assertTrue(os.access(_ROOT / program, os.X_OK))
        elif program == '.venv/bin/pip':
            self._check_install(arguments)
        else:
            known = (['python3', '-m', 'venv', '.venv'], ['cd', 'imbreg_jax'])
            self.assertIn([program, *arguments], known)

    def _check_study(self, arguments: tuple[str, ...]) -> None:
        if not any(argument.startswith('--config=') for argument in arguments):
            arguments = ('--config=configs/u1_10.py', *arguments)
        config, rest = command_line.read_config(['main', *arguments])
        assert config is not None
        study.resolve(config)
        for argument in rest[1:]:
            self.assertRegex(argument, r'^--(workdir=.|dry_run$|distributed$|shard=\d+/\d+$)')

    def _check_flags(self, file: str, arguments: tuple[str, ...]) -> None:
        path = _ROOT / file
        text = (path if path.exists() else path.with_suffix('') / 'command.py').read_text('utf-8')
        for argument in arguments:
            name, _, value = argument.removeprefix('--').partition('=')
            found = re.search(rf"DEFINE_(\w+)\(\s*'{name}',[^,]+,\s*(\[.*?\])?", text)
            assert found is not None, argument
            if found[1] == 'enum':
                self.assertIn(value, ast.literal_eval(found[2]))

    def _check_install(self, arguments: tuple[str, ...]) -> None:
        extras = tomllib.loads((_ROOT / 'pyproject.toml').read_text())['project'][
            'optional-dependencies'
        ]
        self.assertEqual(arguments[0], 'install')
        for previous, argument in zip(arguments, arguments[1:], strict=False):
            if previous == '-c':
                self.assertTrue((_ROOT / argument).is_file())
            elif previous == '-e':
                wanted = re.fullmatch(r'\.(?:\[([\w,]+)\])?', argument)
                assert wanted is not None, argument
                self.assertContainsSubset((wanted[1] or 'test').split(','), extras)

    def test_every_block_of_commands_is_a_script(self):
        for script in _blocks('bash'):
            subprocess.run(['bash', '-n'], input=script, text=True, check=True)

    def test_every_block_is_of_a_kind_that_is_tried_here(self):
        fences = re.findall(r'^ *(?:```|~~~).*$', _TEXT, re.M)
        kinds = fences[::2]
        self.assertContainsSubset({'```bash', '```python'}, kinds)
        self.assertEqual(set(fences[1::2]), {'```'})
        self.assertLen(_blocks('bash') + _blocks('python'), len(kinds))
        # Neither is there code that is only indented.
        prose = re.sub(r'^```.*?^```', '', _TEXT, flags=re.M | re.S)
        self.assertNotRegex(prose, r'\n\n(?: {4}|\t)')

    def test_every_variable_that_it_sets_is_one_that_is_read(self):
        texts = [*_inline(), *'\n'.join(_blocks('bash')).splitlines()]
        found = [re.match(rf'(?:export )?{_SETTING}', text + ' ') for text in texts]
        names = {match[1] for match in found if match}
        self.assertContainsSubset({'IMBREG_JAX_ACCELERATOR'}, names)
        for name in names:
            self.assertIn(f'  {name}=', _launch_help())

    def test_the_folder_of_a_study_is_called_so(self):
        (named,) = re.findall(r'the first of these leaves\s+its files in `workdirs/(.+?)`', _TEXT)
        (block,) = (block for block in _blocks('bash') if '--config.repeats=' in block)
        words = shlex.split(block.splitlines()[0])
        config, _ = command_line.read_config(['main', '--config=configs/u1_10.py', *words[1:]])
        self.assertEqual(study.resolve(config).name, named)

    def test_every_file_and_figure_that_it_names_is_there(self):
        for path, text in documents.TEXTS.items():
            linked = {path.parent / name for name in re.findall(r'\]\(([^)#:]+)[)#]', text)}
            named = {
                _ROOT / code.partition(':')[0] for code in _inline(text) if re.match(_NAMED, code)
            }
            for name in sorted(linked | named):
                with self.subTest(page=path.name, names=str(name)):
                    self.assertTrue(name.exists())

    def test_the_first_page_stays_short(self):
        self.assertLess(len(documents.page('README.md').splitlines()), 121)

    def test_every_law_stands_in_it(self):
        code = _inline()
        for name in [*laws.REGISTRY, *(form for form, _ in laws.forms())]:
            self.assertIn(name, code)

    def test_every_task_and_pixel_law_stands_in_it(self):
        for name in (*TASKS, *PIXEL_LAWS):
            self.assertIn(f'`{name}`', _TEXT)

    def test_every_remedy_stands_in_it(self):
        for name in REMEDIES:
            self.assertIn(f'`{name}`', _TEXT)

    def test_every_public_name_stands_in_the_reference(self):
        named = documents.page('docs/reference/index.md')
        for name in set(imbreg_jax.__all__) - {'study'}:  # A module, which has a page of its own.
            self.assertIn(f'::: imbreg_jax.{name}\n', named)

    def test_every_config_stands_in_it(self):
        for path in (_ROOT / 'configs').glob('*.py'):
            self.assertIn(f'configs/{path.name}', _TEXT)


class SnippetsTest(absltest.TestCase):
    def test_the_snippets_and_the_report_command_run_as_printed(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'configs').symlink_to(_ROOT / 'configs')
        here = os.getcwd()
        os.chdir(folder)
        self.addCleanup(os.chdir, here)
        fields = {'name': 'paper', 'repeats': 3, 'compute__tensorboard': True}
        balanced = {'u1_10': {'train_distribution': 'u1_10'}}
        small = study.default_config()
        small.unlock()
        small.update(small_study.config(balanced, **fields))
        small.lock()
        names = {'images': np.zeros((3, 20, 20), np.float32)}
        # The others are those of seams_test and remedies_test.
        elsewhere = ('docs/howto/adding.md', 'docs/concepts/remedies.md')
        others = [block for page in elsewhere for block in _blocks('python', documents.page(page))]
        snippets = [block for block in _blocks('python') if block not in others]
        self.assertNotEmpty(snippets)
        inline = [code for code in _inline() if re.match(r'(imbreg_jax|study)\.\w+\(.*\)$', code)]
        self.assertLen(inline, 2)
        with (
            mock.patch.object(study, 'default_config', lambda: small),
            mock.patch.object(studies.analysis, 'build'),  # As the command below makes it anew.
        ):
            self._run(snippets[0], names)
            for code in inline:
                self.assertIsNotNone(eval(code, names))
        self.assertIsInstance(names['table'], pd.DataFrame)
        # Which they trained with a command.
        os.rename('workdirs/mine', 'workdirs/paper')
        for snippet in snippets[1:]:
            self._run(snippet, names)
        done = subprocess.run(
            [sys.executable, '-m', 'imbreg_jax.report', '--workdir=workdirs/paper'],
            capture_output=True,
            text=True,
            env={**os.environ, 'PYTHONPATH': str(_ROOT)},
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'-m {report.__name__} --workdir=workdirs/paper', _TEXT)
        rows = _TEXT.partition('| file | holds |')[2].partition('\n\n')[0]
        files = re.findall(r'`([\w.]+/?)`', ''.join(re.findall(r'^\| [^|]+ \|', rows, re.M)))
        self.assertContainsSubset({'config.json', 'report.html', 'tables/'}, files)
        for name in files:
            # A study has those if it has tables of targets.
            if name != 'distributions/':
                self.assertTrue((folder / 'workdirs' / 'paper' / name).exists(), name)

    def _run(self, snippet: str, names: dict[str, Any]) -> None:
        """Executes a snippet; what a line's comment says of its shape must hold."""
        lines = snippet.splitlines()
        for statement in ast.parse(snippet).body:
            code = ast.Module([statement], [])
            if not isinstance(statement, ast.Expr):
                exec(compile(code, 'python.md', 'exec'), names)
                continue
            value = eval(compile(ast.Expression(statement.value), 'python.md', 'eval'), names)
            self.assertTrue(np.isfinite(value).all())
            shape = re.search(r'# \[(.*?)\]', lines[statement.lineno - 1])
            if shape:
                sizes = {'networks': len(names['networks'].runs), 'n': len(names['images'])}
                self.assertEqual(value.shape, tuple(sizes[s] for s in shape[1].split(', ')))


if __name__ == '__main__':
    absltest.main()
