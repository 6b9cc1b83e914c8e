"""Tests of imbreg_jax.study.laws.table and of the files that tables come from."""

import hashlib
import os
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest

from imbreg_jax.study import laws
from imbreg_jax.study.laws import table_file

# A file's text, and what is said of it.
_NO_TABLES = (
    ('', 'needs 2 to'),
    ('3\n', 'needs 2 to'),
    ('3\n3\n', 'two different'),
    ('1\nx\n', "not 'x' in line 2"),
    ('1\nnan\n', 'not nan in line 2'),
    ('1\n1e9\n', 'not 1e9 in line 2'),
    ('a,b\n1,2\n', "not '1,2' in line 2"),
    ('std\nage\n1\n2\n', "not 'age' in line 2"),
    ('\x00\x01', 'not .* in line 1'),
    ('nan\n1\n2\n', 'not nan in line 1'),
)
_DAMAGED_NUMBERS = (
    '1,2', '3.5abc', '1.0.0', '-x2', '.5x', '2 3', 'a 1', '1e', '0x1', '--1', '½', '\x1b[31m',
    '1;2',
)  # fmt: skip
_HEADERS = (
    'std', '"std"', 'target,', 'age (years)', 'x1', '_2', 'größe', '\ufefftarget', '# x\n\nstd',
)  # fmt: skip


class TableTest(absltest.TestCase):
    def _file(self, text: str) -> str:
        return self.create_tempfile(content=text).full_path

    def _table(self, text: str) -> laws.Distribution:
        return laws.parse(f'table({self._file(text)!r})')

    def test_is_the_empirical_quantile_function(self):
        values = np.array([4.0, 1.0, 2.5, 2.5, 9.0])
        path = self._file('target\n' + '\n'.join(map(str, values)) + '\n')
        law = laws.parse(f'table({path!r})')
        u = np.linspace(0, 1, 101)
        np.testing.assert_allclose(law.ppf(u), np.quantile(values, u), rtol=1e-12)
        self.assertEqual(law.support, (1.0, 9.0))
        self.assertEqual(law.label, f'table({pathlib.Path(path).name!r})')
        # The two equal values are an atom: the CDF jumps from 1/4 to 2/4 there.
        np.testing.assert_allclose(
            law.cdf([0.5, 1.75, 2.5, 4.0, 9.0, 10.0]), [0, 0.125, 0.5, 0.75, 1, 1]
        )
        np.testing.assert_allclose(
            law.pdf([0.5, 1.75, 3.0, 5.0, 10.0]), [0, 0.25 / 1.5, 0.25 / 1.5, 0.05, 0]
        )
        draws = law.ppf((np.arange(100_000) + 0.5) / 100_000)
        self.assertAlmostEqual(law.mean, float(draws.mean()), delta=1e-4)

    def test_a_changed_file_is_another_distribution_and_does_not_pass_for_the_old_one(self):
        path = self._file('1\n2\n')
        old = laws.parse(f'table({path!r})')
        self.assertEqual(laws.parse(old.spec), old)
        pathlib.Path(path).write_text('1\n3\n')
        self.assertNotEqual(laws.parse(f'table({path!r})'), old)
        with self.assertRaisesRegex(ValueError, 'has changed'):
            laws.parse(old.spec)

    def test_refuses_a_file_that_is_no_table(self):
        for text, message in _NO_TABLES:
            with self.subTest(text):
                with self.assertRaisesRegex(ValueError, message):
                    laws.parse(f'table({self._file(text)!r})')

    def test_a_damaged_first_number_is_no_header(self):
        for line in _DAMAGED_NUMBERS:
            with self.subTest(line):
                path = self._file(f'# made by hand\n\n{line}\n1\n2\n3\n')
                with self.assertRaisesRegex(
                    ValueError, 'needs one number a line, not .* in line 3'
                ):
                    laws.parse(f'table({path!r})')

    def test_passes_over_a_name_in_the_first_line(self):
        for line in _HEADERS:
            with self.subTest(line):
                path = self._file(f'{line}\n3\n1;\r\n\n# 5\n 2 ,\n')
                law = laws.parse(f'table({path!r})')
                np.testing.assert_array_equal(law.ppf([0, 0.5, 1]), [1, 2, 3])

    def test_is_known_by_its_values_wherever_and_however_they_are_written(self):
        first, second = map(self._table, ('1\n2.5', 'std\n2.50,\n1e0\n'))
        self.assertEqual(first, second)
        self.assertEqual((first.name, first.identity), (second.name, second.identity))
        self.assertNotEqual(first.spec, second.spec)
        mixed = [laws.parse(f'mixture(u1_5, 1, {t.spec}, 1)') for t in (first, second)]
        self.assertEqual(mixed[0], mixed[1])
        digest = hashlib.sha256(np.array([1, 2.5], '<f8').tobytes()).hexdigest()
        self.assertEqual(first.identity, f"table(sha256='{digest}')")
        self.assertEqual(first.name, f'table_{digest[:16]}')
        self.assertEqual(list(mixed[0].tables), [digest])
        np.testing.assert_array_equal(first.tables[digest], [1, 2.5])
        zeros = list(map(self._table, ('-0\n1\n', '0\n1\n')))
        self.assertEqual(zeros[0], zeros[1])

    def test_takes_values_from_where_it_is_told_and_opens_nothing(self):
        path = self._file('1\n2\n')
        law = laws.parse(f'table({path!r})')
        kept = {law.identity: np.array([1.0, 2.0])}
        with mock.patch.object(table_file.reading, 'read_regular', side_effect=AssertionError):
            again = laws.parse(
                law.spec, lambda _, digest, columns: kept[f"table(sha256='{digest}')"]
            )
            self.assertEqual(again, law)
            self.assertTrue(again.known)
            for text in (law.spec, f'mixture(u1_5, 1, {law.spec}, 1)'):
                unknown = laws.parse(text, laws.nowhere)
                self.assertFalse(unknown.known)
                for use in (unknown.ppf, unknown.pdf, unknown.cdf):
                    with self.assertRaisesRegex(ValueError, 'values of table.* are not kept here'):
                        use(0.5)
                with self.assertRaisesRegex(ValueError, 'are not kept here'):
                    _ = unknown.mean
            self.assertEqual(laws.parse(law.spec, laws.nowhere), law)
            with self.assertRaisesRegex(ValueError, 'does not say which values it has'):
                laws.parse(f'table({path!r})', laws.nowhere)

    def test_a_file_is_parsed_once(self):
        path = self._file('1\n2\n')
        read = table_file.reading.read_regular
        with mock.patch.object(table_file.reading, 'read_regular', side_effect=read) as reads:
            for _ in range(3):
                laws.parse(f'table({path!r})')
        self.assertEqual(reads.call_count, 1)

    def test_values_come_in_parts_as_in_one(self):
        text = 'std\n' + '\n'.join(map(str, range(1, 500))) + '\n# end\n'
        with mock.patch.object(table_file, '_CHUNK_BYTES', 10):
            small = laws.parse(f'table({self._file(text)!r})')
            np.testing.assert_array_equal(small.ppf([0, 1]), [1, 499])
            path = self._file(text + '7x\n')
            with self.assertRaisesRegex(ValueError, "not '7x' in line 502"):
                laws.parse(f'table({path!r})')
        self.assertEqual(small, laws.parse(f'table({self._file(text)!r})'))

    def test_refuses_what_is_no_regular_file_and_what_is_too_large(self):
        fifo = f'{self.create_tempdir().full_path}/fifo'
        os.mkfifo(fifo)
        for path, kind in ((fifo, 'a pipe'), ('/dev/zero', 'a device'), ('/', 'a folder')):
            with self.assertRaisesRegex(ValueError, f'cannot be read: it is {kind}, not a regular'):
                laws.parse(f'table({path!r})')
        path = self._file('1\n2\n')
        with mock.patch.object(table_file, '_MOST_TABLE_BYTES', 3):
            with self.assertRaisesRegex(ValueError, 'it has 4e-06 MB, and at most 3e-06 MB'):
                laws.parse(f'table({path!r})')

    def test_labels_and_sentences_hold_printable_characters_only(self):
        folder = self.create_tempdir()
        path = f'{folder.full_path}/\x1b[31m\u202e$x$.csv'
        pathlib.Path(path).write_text('1\n2\n')
        law = laws.parse(f'mixture(table({path!r}), 1, u1_5, 1)')
        self.assertTrue((law.label + law.name + law.spec + law.identity).isprintable())
        self.assertIn('$x$.csv', law.label)
        self.assertNotIn(folder.full_path, law.label)
        pathlib.Path(path).write_text('1\n\x1b[31m\n')
        with self.assertRaises(ValueError) as caught:
            laws.parse(f'table({path!r})')
        self.assertTrue(str(caught.exception).isprintable())

    def test_a_digest_must_be_one(self):
        path = self._file('1\n2\n')
        laws.parse(f"table({path!r}, sha256='')")
        for digest in ('abc', 'x' * 64, 'A' * 64, '../' * 10):
            with self.assertRaisesRegex(ValueError, 'must be 8 to 64 of the characters 0-9 a-f'):
                laws.parse(f'table({path!r}, sha256={digest!r})')

    def test_a_density_is_a_table_of_points(self):
        path = self._file('age; share\n1;0\n4;2,\n# a comment\n\n10\t0\n')
        law = laws.parse(f'density_table({path!r})')
        drawn = laws.parse('polygon(1, 0, 4, 2, 10, 0)')
        u = np.linspace(0, 1, 101)
        np.testing.assert_array_equal(law.ppf(u), drawn.ppf(u))
        np.testing.assert_array_equal(law.pdf(law.ppf(u)), drawn.pdf(law.ppf(u)))
        points = np.array([[1, 0], [4, 2], [10, 0]], '<f8')
        digest = hashlib.sha256(points.tobytes()).hexdigest()
        self.assertEqual(law.identity, f"density_table(sha256='{digest}')")
        self.assertEqual(law.name, f'density_table_{digest[:16]}')
        self.assertEqual(law.label, f'density_table({pathlib.Path(path).name!r})')
        np.testing.assert_array_equal(law.tables[digest], points)
        self.assertEqual(laws.tables_of(f'gap({law.spec}, 2, 3)'), [(path, digest)])
        self.assertEqual(laws.parse(law.spec, lambda *_: points), law)
        self.assertFalse(laws.parse(law.identity, laws.nowhere).known)
        # The same file is no table of targets, and no file of targets is a density.
        with self.assertRaisesRegex(ValueError, "needs one number a line, not '1;0' in line 2"):
            laws.parse(f'table({path!r})')

    def test_refuses_a_file_that_is_no_density(self):
        for text, message in (
            ('', 'needs 2 to 10000 points, not 0'),
            ('1,1\n', 'needs 2 to 10000 points, not 1'),
            ('1\n2\n', "a target within ±1000000 and its density a line, not '1' in line 1"),
            ('1,2\n3,4,5\n', "not '3,4,5' in line 2"),
            ('1,2\nage,share\n', "not 'age,share' in line 2"),
            ('x\ny\n1,1\n2,2\n', "not 'y' in line 2"),
            ('1,nan\n2,1\n', "not '1,nan' in line 1"),
            ('1e7,1\n2e7,1\n', "not '1e7,1' in line 1"),
            ('2,1\n1,1\n', 'targets that never fall, not 2, 1'),
            ('1,-1\n2,1\n', 'densities of at least 0, not -1'),
            ('1,0\n2,0\n', 'a density above 0 somewhere'),
            ('1,1\n1,2\n', 'span at least 1e-06, not 0'),
        ):
            with self.subTest(text):
                with self.assertRaisesRegex(ValueError, message):
                    laws.parse(f'density_table({self._file(text)!r})')
        with self.assertRaisesRegex(
            ValueError, r'file of density_table\(.* cannot be read: No such'
        ):
            laws.parse("density_table('nowhere.csv')")

    def test_what_is_left_of_a_table_keeps_the_values_at_its_ends(self):
        path = self._file('\n'.join(map(str, [1, 2, 2, 2, 3, 4, 4, 4, 4, 5, 6])))
        law = laws.parse(f'gap(table({path!r}), 2, 4)')
        x = law.ppf((np.arange(10_000) + 0.5) / 10_000)
        self.assertFalse(np.any((x > 2) & (x < 4)))
        # Of ten tenths between the values, those from 2 to 3 and from 3 to 4 are gone.
        for low, high, share in ((1, 2, 1), (2, 2, 2), (4, 4, 3), (4, 6, 2)):
            held = (x == low) if low == high else (x > low) & (x < high)
            self.assertAlmostEqual(held.mean(), share / 8, delta=1e-3)
        np.testing.assert_allclose(law.cdf([0, 1.99999999, 2, 3, 3.9, 4, 6]),
                                   np.array([0, 1, 3, 3, 3, 6, 8]) / 8, atol=1e-8)  # fmt: skip
        self.assertAlmostEqual(law.mean, x.mean(), delta=1e-3)
        cut = laws.parse(f'cut(table({path!r}), 2, 4)')
        self.assertAlmostEqual(float(cut.cdf(2)), 2 / 7, delta=1e-12)
        self.assertEqual(list(law.tables), list(cut.tables))

    def test_lists_the_tables_of_an_expression_and_opens_none(self):
        spec = "mixture(table('a.csv'), 1, table('/b/c.csv', sha256='01234567'), 2)"
        self.assertEqual(laws.tables_of(spec), [('a.csv', ''), ('/b/c.csv', '01234567')])
        self.assertEqual(laws.tables_of('u1_10'), [])
        self.assertEqual(laws.tables_of('table('), [])


if __name__ == '__main__':
    absltest.main()
