"""The report command: where it writes and how it refuses."""

import io
import pathlib
import subprocess
import sys
from unittest import mock

from absl.testing import absltest

import simulated_study
from imbreg_jax import report
from imbreg_jax.analysis import AnalysisError

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
        self.assertIn('Every network beats the baseline.', done.stdout)
        self.assertNotIn("Verdicts on the paper's claims", done.stdout)
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

    def test_any_failure_is_one_sentence(self):
        for error, status, sentence in (
            (AnalysisError('results.csv is not there'), 2, 'results.csv is not there\n'),
            (OSError(28, 'No space left', 'a'), 1, "[Errno 28] No space left: 'a'\n"),
            (ValueError('no\nbackend.'), 1, r'the report could not be made: ValueError in .*'),
        ):
            stderr = io.StringIO()
            with (
                self.subTest(sentence),
                mock.patch.object(report.analysis, 'build', side_effect=error),
                mock.patch.object(report, '_WORKDIR', mock.Mock(value=['w'])),
                mock.patch.object(report, '_OUT', mock.Mock(value=None)),
                mock.patch.object(report.sys, 'stderr', stderr),
                self.assertRaises(SystemExit) as ended,
            ):
                report.main(['report'])
            self.assertEqual(ended.exception.code, status)
            self.assertEqual(stderr.getvalue().count('\n'), 1)
            if status == 1 and isinstance(error, ValueError):
                self.assertRegex(stderr.getvalue(), sentence + r'line \d+: no backend\n')
            else:
                self.assertEqual(stderr.getvalue(), sentence)

    def test_a_report_that_nobody_reads_is_a_success(self):
        built = mock.Mock(**{'terminal_summary.return_value': 'a'})
        with (
            mock.patch.object(report.analysis, 'build', return_value=built),
            mock.patch.object(report, '_WORKDIR', mock.Mock(value=['w'])),
            mock.patch.object(report, '_OUT', mock.Mock(value=None)),
            mock.patch.object(report, '_VERBOSE', mock.Mock(value=False)),
            open('/dev/full', 'w') as full,
            mock.patch.object(report.sys, 'stdout', full),
        ):
            report.main(['report'])

    def test_several_workdirs_share_a_folder_beside_the_first(self):
        paths = [pathlib.Path('workdirs/u1_10'), pathlib.Path('workdirs/u1_5')]
        self.assertEqual(report.default_out(paths), pathlib.Path('workdirs/u1_10+u1_5'))
        self.assertEqual(report.default_out(paths[:1]), paths[0])


if __name__ == '__main__':
    absltest.main()
