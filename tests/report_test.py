"""The report command: where it writes and how it refuses."""

import pathlib
import subprocess
import sys

from absl.testing import absltest

import simulated_study
from imbreg_jax import report

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def _run(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'imbreg_jax.report', *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class ReportTest(absltest.TestCase):
    def test_writes_into_the_workdir_and_prints_the_verdicts(self):
        root = pathlib.Path(self.create_tempdir().full_path)
        workdir = simulated_study.write(root / 'one', {'u1_10': {}}, repeats=2, images=40)
        done = _run(f'--workdir={workdir}')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Verdicts on the paper's claims", done.stdout)
        self.assertTrue((workdir / 'report.html').is_file())

    def test_a_folder_that_is_no_workdir_is_refused_in_one_sentence(self):
        folder = self.create_tempdir().full_path
        done = _run(f'--workdir={folder}')
        self.assertEqual(done.returncode, 2)
        self.assertIn('config.json is not there', done.stderr)
        self.assertLen(done.stderr.strip().splitlines(), 1)

    def test_no_workdir_is_refused_in_one_sentence(self):
        done = _run()
        self.assertEqual(done.returncode, 2)
        self.assertEqual(
            done.stderr.strip(), 'no workdir is given: name one with --workdir=DIR[,DIR…]'
        )

    def test_several_workdirs_share_a_folder_beside_the_first(self):
        paths = [pathlib.Path('workdirs/u1_10'), pathlib.Path('workdirs/u1_5')]
        self.assertEqual(report.default_out(paths), pathlib.Path('workdirs/u1_10+u1_5'))
        self.assertEqual(report.default_out(paths[:1]), paths[0])


if __name__ == '__main__':
    absltest.main()
