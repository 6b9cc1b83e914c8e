"""Tests of examples/: notebooks that were executed, are small, and still run."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import pytest
from absl.testing import absltest, parameterized

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_PATHS = sorted((_ROOT / 'examples').glob('*.ipynb'))
_MOST_BYTES = 300_000


def _cells(path: pathlib.Path) -> list[dict]:
    return json.loads(path.read_text('utf-8'))['cells']


def program(path: pathlib.Path) -> str:
    """The code of a notebook as a program, which shows what ends a cell as a notebook would."""
    lines = [
        'def show(value):',
        '    for name in ("_repr_png_", "_repr_html_"):',
        '        if hasattr(value, name):',
        '            print(type(value).__name__, len(getattr(value, name)()))',
        '            return',
        '    print(repr(value))',
    ]
    for cell in _cells(path):
        if cell['cell_type'] != 'code':
            continue
        tree = ast.parse(''.join(cell['source']))
        if isinstance(tree.body[-1], ast.Expr):
            call = ast.Call(ast.Name('show', ast.Load()), [tree.body[-1].value], [])
            tree.body[-1] = ast.Expr(call)
        lines.append(ast.unparse(ast.fix_missing_locations(tree)))
    return '\n'.join(lines)


class ExamplesTest(parameterized.TestCase):
    def test_there_are_three(self):
        names = [path.stem for path in _PATHS]
        self.assertEqual(names, ['paper_in_a_minute', 'remedies', 'your_own'])

    @parameterized.parameters(*_PATHS)
    def test_was_executed_in_order_and_is_small(self, path):
        self.assertLess(path.stat().st_size, _MOST_BYTES)
        cells = [cell for cell in _cells(path) if cell['cell_type'] == 'code']
        self.assertEqual([c['execution_count'] for c in cells], [*range(1, len(cells) + 1)])
        outputs = [output for cell in cells for output in cell['outputs']]
        self.assertEqual({output['output_type'] for output in outputs}, {'execute_result'})
        # A study and a figure of it.
        kinds = {kind for output in outputs for kind in output['data']}
        self.assertContainsSubset({'text/html', 'image/png'}, kinds)
        # Nothing of the machine that executed it.
        self.assertNotRegex(path.read_text('utf-8'), r'/tmp/|/home/|/root/|/Users/|object at 0x')


@pytest.mark.slow
class RunsTest(parameterized.TestCase):
    @parameterized.parameters(*_PATHS)
    def test_runs(self, path):
        folder = self.create_tempdir().full_path
        done = subprocess.run(
            [sys.executable, '-W', 'error', '-c', program(path)],
            cwd=folder,
            env={**os.environ, 'PYTHONPATH': str(_ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertRegex(done.stdout, r'StudyResult \d{4}')
        self.assertRegex(done.stdout, r'Drawing \d{4}')
        # What is kept nowhere leaves nothing.
        self.assertEmpty(os.listdir(folder))


if __name__ == '__main__':
    absltest.main()
