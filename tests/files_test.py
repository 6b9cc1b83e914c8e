"""Tests of imbreg_jax.results.files."""

import json
import math
import os
import pathlib
from unittest import mock

import numpy as np
import pandas as pd
from absl.testing import absltest

from imbreg_jax.results import files


class FilesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path)

    def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_else(self):
        path = self.folder / 'a.txt'
        files.write_bytes(path, b'before')
        for name in ('fsync', 'replace'):
            with mock.patch.object(files.os, name, side_effect=OSError('disk full')):
                with self.assertRaisesRegex(OSError, 'disk full'):
                    files.write_bytes(path, b'after')
            self.assertEqual(path.read_bytes(), b'before')
        with self.assertRaises(ZeroDivisionError), files.whole(path) as file:
            file.write(b'half')
            1 / 0  # noqa: B018
        self.assertEqual(path.read_bytes(), b'before')
        self.assertLen(list(self.folder.iterdir()), 1)

    def test_a_file_is_not_there_before_it_is_complete(self):
        path = self.folder / 'a' / 'b.txt'
        with files.whole(path) as file:
            file.write(b'x')
            self.assertFalse(path.exists())
        self.assertEqual(path.read_bytes(), b'x')

    def test_files_are_for_whom_the_umask_allows(self):
        path = self.folder / 'a.txt'
        before = os.umask(0o027)
        try:
            files.write_bytes(path, b'')
        finally:
            os.umask(before)
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)

    def test_removes_what_a_killed_process_left_and_nothing_else(self):
        kept = [self.folder / name for name in ('a.txt', '.lock', 'x.partial')]
        for path in kept:
            path.write_text('')
        (self.folder / 'tables').mkdir()
        for name in ('.a.txt.1f.partial', 'tables/.b.md.2e.partial'):
            (self.folder / name).write_text('half')
        files.remove_partial(self.folder)
        found = [path for path in self.folder.rglob('*') if path.is_file()]
        self.assertCountEqual(found, kept)

    def test_equal_arrays_are_equal_bytes(self):
        arrays = {'a': np.arange(5.0), 'b': np.array(['x', 'yz'])}
        first, second = self.folder / '1.npz', self.folder / '2.npz'
        with mock.patch('time.time', return_value=10**9):
            files.write_arrays(first, arrays)
        with mock.patch('time.time', return_value=15 * 10**8):
            files.write_arrays(second, arrays)
        self.assertEqual(first.read_bytes(), second.read_bytes())
        self.assertEqual(files.sha256(first), files.sha256(second))
        with np.load(first) as loaded:
            np.testing.assert_array_equal(loaded['a'], arrays['a'])

    def test_a_number_that_is_not_finite_is_null_in_json_lines(self):
        lines = files.json_lines([{'a': math.nan, 'b': 1.5, 'c': None}, {'a': -math.inf}])
        rows = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual(rows, [{'a': None, 'b': 1.5, 'c': None}, {'a': None}])

    def test_results_are_written_in_full_precision(self):
        values = [1 / 3, math.nan, 1e-300, 0.1 + 0.2]
        rows = [('c', 'u1_10', 'cnn', 0, 'u1_10', 'mse', value) for value in values]
        text = files.results_csv(pd.DataFrame(rows, columns=list(files.COLUMNS))).decode()
        header, *lines = text.splitlines()
        self.assertEqual(header, ','.join(files.COLUMNS))
        found = [float(line.rsplit(',', 1)[1]) for line in lines]
        np.testing.assert_array_equal(found, values)


if __name__ == '__main__':
    absltest.main()
