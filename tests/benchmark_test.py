"""The benchmark command in little: it ends with its tables, or with one sentence. No timing."""

import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest, flagsaver, parameterized

from imbreg_jax.benchmark import command

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'imbreg_jax.benchmark', *arguments],
        cwd=_ROOT,
        # What is timed is not the matter, so it is compiled quickly.
        env=os.environ | {'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
        capture_output=True,
        text=True,
    )


class BenchmarkTest(parameterized.TestCase):
    def test_measures_fewer_runs_than_there_are_devices(self):
        out = pathlib.Path(self.create_tempdir().full_path)
        small = ('--train_size=50', '--rounds=1', '--seconds=0.01')
        done = _run('--runs=1', *small, f'--out={out}')
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads((out / 'benchmark.json').read_text())['rows']
        self.assertEqual([row['runs'] for row in rows], [1])
        self.assertEqual([row['runs_together'] for row in rows], [1])
        self.assertLen(rows[0]['images_per_second'], 1)
        self.assertIn(done.stdout.strip(), (out / 'benchmark.md').read_text('utf-8'))
        self.assertLen([x for x in done.stdout.splitlines() if x.startswith('| ')], 3)

    def test_a_mistake_is_one_sentence(self):
        for arguments, message in (
            (['--runs=1,x'], "--runs = '1,x': 'x' is no number of runs; it must be whole numbers"),
            (['--rounds=0'], '--rounds=0'),
        ):
            done = _run(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)
            self.assertEqual((done.stderr.count('\n'), done.stdout), (1, ''), done.stderr)

    @parameterized.parameters(
        ({'runs': ['0']}, "--runs = '0': '0' is no number of runs; it must be whole numbers"),
        ({'runs': []}, "--runs = '': it must name a number"),
        ({'train_size': 20}, 'training.batch_size = 50: '),
        ({'seconds': 0.0}, '--seconds = 0.0: a timed round must last longer'),
        # Before anything is timed.
        ({'against': 'torch'}, r"--against=torch: torch is not .* install -e '\.\[torch\]', or"),
    )
    def test_what_cannot_be_measured_is_refused(self, values, message):
        with (
            flagsaver.flagsaver(**values),
            mock.patch.object(command.importlib.util, 'find_spec', return_value=None),
            self.assertRaisesRegex(ValueError, message),
        ):
            command._checked(['benchmark'])


if __name__ == '__main__':
    absltest.main()
