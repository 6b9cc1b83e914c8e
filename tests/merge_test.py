"""Tests of imbreg_jax.merge: what it prints, and how it refuses."""

import contextlib
import io
import os
from unittest import mock

from absl.testing import absltest

from imbreg_jax import merge
from imbreg_jax.analysis import AnalysisError
from imbreg_jax.results.layout import WorkdirError


class MergeTest(absltest.TestCase):
    def _main(self, *arguments, workdir='w', report=True):
        """The status, and what is printed and said."""
        status = 0
        with (
            contextlib.redirect_stdout(io.StringIO()) as printed,
            contextlib.redirect_stderr(io.StringIO()) as said,
            mock.patch.object(merge, '_WORKDIR', mock.Mock(value=workdir)),
            mock.patch.object(merge, '_REPORT', mock.Mock(value=report)),
            mock.patch.object(merge, '_VERBOSE', mock.Mock(value=False)),
        ):
            try:
                merge.main(['merge', *arguments])
            except SystemExit as end:
                status = end.code
        return status, printed.getvalue(), said.getvalue()

    def test_prints_what_the_report_says_and_no_more(self):
        report = mock.Mock(**{'terminal_summary.return_value': 'a report'})
        with mock.patch.object(merge.studies, 'merged', return_value=('merged', report)) as merged:
            self.assertEqual(self._main(), (0, 'a report\n', ''))
        merged.assert_called_once_with('w', True)
        verbose, colour, _ = report.terminal_summary.call_args.args
        self.assertFalse(verbose or colour)  # As what is printed goes into a string.

    def test_may_leave_the_report_for_later(self):
        with mock.patch.object(merge.studies, 'merged', return_value=('merged', None)) as merged:
            self.assertEqual(self._main(report=False), (0, 'merged\n', ''))
        merged.assert_called_once_with('w', False)

    def test_a_failure_is_one_sentence(self):
        for error, status in (
            (WorkdirError('shard 3 of 8 is missing'), 2),
            (AnalysisError('no report'), 1),
            (OSError(28, 'No space left', 'a'), 1),
        ):
            with mock.patch.object(merge.studies, 'merged', side_effect=error):
                self.assertEqual(self._main(), (status, '', f'{error}\n'))

    def test_needs_a_workdir_and_nothing_else(self):
        for arguments, workdir in ((['w'], 'w'), ([], None), ([], '')):
            status, printed, said = self._main(*arguments, workdir=workdir)
            self.assertEqual((status, printed), (2, ''))
            self.assertIn('with --workdir=DIR', said)

    def test_a_folder_without_shards_is_refused_and_left_as_it_was(self):
        folder = self.create_tempdir()
        folder.create_file('mine.txt', 'a')
        status, _, said = self._main(workdir=folder.full_path)
        self.assertEqual(status, 2)
        self.assertIn('holds no shards to merge', said)
        self.assertEqual(os.listdir(folder.full_path), ['mine.txt'])


if __name__ == '__main__':
    absltest.main()
