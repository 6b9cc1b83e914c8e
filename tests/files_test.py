"""Tests of imbreg_jax.results.files."""

import io
import json
import math
import os
import pathlib
import re
import zipfile
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
        names = re.compile(r'a\.txt|b\.md')
        kept = [
            'a.txt',
            '.lock',
            'x.partial',
            '.a.txt.partial',
            '.a.txt.12ab34c.partial',
            '.a.txt.12AB34CD.partial',
            '.other.txt.12ab34cd.partial',
            '.a.txt.12ab34cd.partial.old',
            'below/.a.txt.12ab34cd.partial',
        ]
        (self.folder / 'below').mkdir()
        for name in (*kept, '.a.txt.12ab34cd.partial', '.b.md.00000000.partial'):
            (self.folder / name).write_text('half')
        (self.folder / '.a.txt.aaaaaaaa.partial').mkdir()
        (self.folder / '.a.txt.bbbbbbbb.partial').symlink_to(self.folder / 'a.txt')
        os.mkfifo(self.folder / '.a.txt.cccccccc.partial')
        files.remove_partial(self.folder, names)
        files.remove_partial(self.folder / 'absent', names)
        files.remove_partial(self.folder / 'a.txt', names)
        left = [str(path.relative_to(self.folder)) for path in self.folder.rglob('*')]
        others = [f'.a.txt.{letter * 8}.partial' for letter in 'abc']
        self.assertCountEqual(left, [*kept, *others, 'below'])

    def test_reads_regular_files_only_and_none_that_is_too_large(self):
        path = self.folder / 'a.txt'
        path.write_bytes(b'abc')
        (self.folder / 'link').symlink_to(path)
        for each in (path, self.folder / 'link'):
            self.assertEqual(files.read_regular(each, 3), b'abc')
        with self.assertRaisesRegex(OSError, 'more than 2 bytes'):
            files.read_regular(path, 2)
        os.mkfifo(self.folder / 'pipe')
        (self.folder / 'device').symlink_to('/dev/zero')
        for each in (self.folder / 'pipe', self.folder / 'device', self.folder):
            for read in (files.read_regular, files.sha256, files.read_json):
                with self.assertRaisesRegex(OSError, 'no regular file'):
                    read(each)
        with self.assertRaises(FileNotFoundError):
            files.read_regular(self.folder / 'absent')
        # A hole of a tebibyte.
        os.truncate(path, 2**40)
        for read in (files.read_regular, files.sha256):
            with self.assertRaisesRegex(OSError, 'more than'):
                read(path)

    def test_what_is_no_json_is_a_value_error(self):
        for content in (b'', b'{', b'\xff', b'[' * 10**6):
            with self.assertRaises(ValueError):
                files.parse_json(content)
        self.assertEqual(files.parse_json(b'{"a": 1}'), {'a': 1})

    def test_the_digest_of_a_value_is_that_of_what_comes_back_from_its_file(self):
        value = {'b': [1, 0.1, None], 'a': {'\udcff': True}}
        path = self.folder / 'v.json'
        files.write_json(path, value)
        self.assertEqual(files.json_digest(files.read_json(path)), files.json_digest(value))
        reordered = dict(reversed(value.items()))
        self.assertNotEqual(files.json_digest(reordered), files.json_digest(value))

    def test_arrays_that_are_damaged_are_a_value_error(self):
        path = self.folder / 'a.npz'
        arrays = {'a': np.arange(500.0), 'b': np.array(['x'])}
        files.write_arrays(path, arrays)
        content = path.read_bytes()
        found = files.read_arrays(content, 5000)
        self.assertEqual(list(found), ['a', 'b'])
        np.testing.assert_array_equal(found['a'], arrays['a'])
        with self.assertRaisesRegex(ValueError, 'more than 4000 bytes'):
            files.read_arrays(content, 4000)
        pickled = io.BytesIO()
        np.savez(pickled, a=np.array([{}], dtype=object))
        single = io.BytesIO()
        np.save(single, arrays['a'])
        damaged = [content[:n] for n in (0, 4, len(content) // 2, len(content) - 1)]
        for each in (*damaged, pickled.getvalue(), single.getvalue(), b'PK\3\4' + b'x' * 100):
            with self.assertRaises(ValueError):
                files.read_arrays(each)
        # A header that promises more than there is.
        lying = io.BytesIO()
        with zipfile.ZipFile(lying, 'w') as archive:
            header = single.getvalue().replace(b'(500,)', b'(999,)')
            archive.writestr('a.npy', header)
        with self.assertRaises(ValueError):
            files.read_arrays(lying.getvalue())

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
        rows.append(('', '', 'random_guess', 3, 'u1_10', 'mape', 80.0))
        table = pd.DataFrame(rows, columns=list(files.COLUMNS))
        content = files.results_csv(table)
        header, *lines = content.decode().splitlines()
        self.assertEqual(header, ','.join(files.COLUMNS))
        found = [float(line.rsplit(',', 1)[1]) for line in lines]
        np.testing.assert_array_equal(found, [*values, 80.0])
        pd.testing.assert_frame_equal(files.read_results_csv(content), table, check_exact=True)

    def test_what_is_no_table_of_results_is_refused(self):
        header = ','.join(files.COLUMNS) + '\n'
        for content in (b'', b'a,b\n1,2\n', (header + 'c,u,cnn,0,u,mse,x\n').encode()):
            with self.assertRaises(ValueError):
                files.read_results_csv(content)


if __name__ == '__main__':
    absltest.main()
