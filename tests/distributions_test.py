"""Tests of imbreg_jax.study.distributions."""

import hashlib
import os
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats

from imbreg_jax.study import distributions

# One of each law, with its mean in closed form.
_LAWS = (
    ('u1_10', 5.5),
    ('u1_5', 3.0),
    ('n5_5_1', 5.5),
    ('uniform(1, 4)', 2.5),
    ('normal(5.5, 0.5)', 5.5),
    ('truncated_normal(5.5, 2, 1, 10)', 5.5),
    ('triangular(1, 4, 10)', 5.0),
    ('triangular(1, 1, 10)', 4.0),
    ('inverse_triangular(1, 5.5, 10)', 5.5),
    # 2 - 1 uniforms: twice the uniform's mean less the triangle's.
    ('inverse_triangular(1, 4, 10)', 2 * 5.5 - 5.0),
    ('inverse_triangular(1, 1, 10)', 7.0),
    ('inverse_triangular(1, 10, 10)', 4.0),
    ('beta(2, 3, 1, 6)', 3.0),
    ('lognormal(3, 0.5)', 3 * np.exp(0.125)),
    ('exponential(1, 2)', 3.0),
    ('mixture(u1_5, 0.9, uniform(5, 10), 0.1)', 0.9 * 3 + 0.1 * 7.5),
    ('mixture(uniform(1, 2), 3, mixture(uniform(4, 5), 1, n5_5_1, 1), 1)', 0.75 * 1.5 + 0.25 * 5),
)


def _uniforms(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count


class DistributionTest(parameterized.TestCase):
    @parameterized.parameters(*_LAWS)
    def test_quantiles_invert_the_cdf(self, spec, _):
        law = distributions.parse(spec)
        u = _uniforms(1001)
        x = law.ppf(u)
        self.assertEqual(x.dtype, np.float64)
        # Rounding x to float64 moves the CDF by pdf · x · eps, a few eps at these densities.
        np.testing.assert_allclose(law.cdf(x), u, atol=1e-13)
        self.assertTrue(np.all(np.diff(x) >= 0))

    @parameterized.parameters(*_LAWS)
    def test_density_is_the_slope_of_the_cdf(self, spec, _):
        law = distributions.parse(spec)
        edges = np.linspace(law.ppf(1e-9), law.ppf(1 - 1e-9), 200_001)
        mass = np.diff(law.cdf(edges))
        middle = 0.5 * (edges[1:] + edges[:-1])
        # The midpoint rule errs by O(width^2), save in the few cells that hold a kink or a jump.
        error = np.abs(law.pdf(middle) * np.diff(edges) - mass)
        self.assertLess(np.sort(error)[:-8].sum(), 1e-6)
        self.assertLess(error.max(), 2 * mass.max())

    @parameterized.parameters(*_LAWS)
    def test_mean_is_the_closed_form_and_that_of_the_draws(self, spec, mean):
        law = distributions.parse(spec)
        self.assertAlmostEqual(law.mean, mean, delta=1e-12)
        draws = law.ppf(_uniforms(100_000))
        # Stratified draws: the midpoint rule misses at most the outer strata's spread.
        self.assertAlmostEqual(float(draws.mean()), mean, delta=1e-4)

    @parameterized.parameters(*_LAWS)
    def test_parsing_the_canonical_expression_gives_the_same_law(self, spec, _):
        law = distributions.parse(spec)
        again = distributions.parse(law.spec)
        self.assertEqual(law, again)
        self.assertEqual(hash(law), hash(again))
        self.assertEqual(law.label, again.label)

    @parameterized.parameters(
        ('uniform(2, 7)', stats.uniform(2, 5)),
        ('normal(5.5, 2)', stats.norm(5.5, 2)),
        ('truncated_normal(4, 2, 1, 9)', stats.truncnorm(-1.5, 2.5, loc=4, scale=2)),
        ('triangular(1, 4, 10)', stats.triang(1 / 3, loc=1, scale=9)),
        ('beta(0.5, 2, 1, 10)', stats.beta(0.5, 2, loc=1, scale=9)),
        ('lognormal(3, 0.5)', stats.lognorm(0.5, scale=3)),
        ('exponential(1, 2)', stats.expon(1, 2)),
    )
    def test_arguments_mean_what_their_names_say(self, spec, expected):
        law = distributions.parse(spec)
        u = _uniforms(99)
        np.testing.assert_array_equal(law.ppf(u), expected.ppf(u))
        np.testing.assert_array_equal(law.pdf(expected.ppf(u)), expected.pdf(expected.ppf(u)))
        self.assertEqual(law.support, tuple(map(float, expected.support())))

    def test_truncated_normal_in_closed_form(self):
        law = distributions.parse('truncated_normal(4, 2, 1, 9)')
        low, high = stats.norm.cdf(-1.5), stats.norm.cdf(2.5)
        u = _uniforms(99)
        # Here the closed form itself loses a few digits to the difference of CDFs.
        np.testing.assert_allclose(
            law.ppf(u), 4 + 2 * stats.norm.ppf(low + u * (high - low)), 1e-12
        )

    def test_inverse_triangular_complements_the_triangular(self):
        inverse = distributions.parse('inverse_triangular(1, 4, 10)')
        triangular = distributions.parse('triangular(1, 4, 10)')
        x = np.linspace(1, 10, 91)
        np.testing.assert_allclose(inverse.pdf(x) + triangular.pdf(x), 2 / 9, rtol=1e-12)

    def test_a_mixture_of_one_law_is_that_law(self):
        mixture = distributions.parse('mixture(n5_5_1, 0.2, normal(5.5, 1), 0.8)')
        u = _uniforms(1001)
        # Bisection ends at neighbouring float64 numbers, where the CDF itself is flat to rounding.
        np.testing.assert_allclose(mixture.ppf(u), stats.norm.ppf(u, 5.5, 1), rtol=1e-12)

    def test_a_mixture_skips_the_gap_between_its_laws(self):
        mixture = distributions.parse('mixture(uniform(1, 2), 1, uniform(8, 9), 1)')
        x = mixture.ppf(_uniforms(1000))
        self.assertFalse(np.any((x > 2) & (x < 8)))
        self.assertEqual(int(np.sum(x <= 2)), 500)
        self.assertEqual(mixture.support, (1.0, 9.0))

    def test_registered_laws_keep_their_name_however_they_are_written(self):
        for spec in ('u1_10', 'uniform(1, 10)', ' uniform( 1.0,10 )', 'uniform(high=10, low=1)'):
            law = distributions.parse(spec)
            self.assertEqual(
                (law.name, law.spec, law.label), ('u1_10', 'uniform(1, 10)', 'U(1, 10)')
            )
        self.assertEqual(distributions.parse('n5_5_1').label, 'N(5.5, 1)')
        self.assertEqual(distributions.parse('uniform(1, 3)').name, 'uniform(1, 3)')

    def test_conditions_coupled_through_one_uniform_keep_their_order(self):
        u = _uniforms(1000)
        wide, narrow = distributions.parse('u1_10').ppf(u), distributions.parse('u1_5').ppf(u)
        np.testing.assert_allclose((wide - 1) / 9, (narrow - 1) / 4, rtol=1e-12)


class TableTest(parameterized.TestCase):
    def _file(self, text: str) -> str:
        return self.create_tempfile(content=text).full_path

    def _table(self, text: str) -> distributions.Distribution:
        return distributions.parse(f'table({self._file(text)!r})')

    def test_is_the_empirical_quantile_function(self):
        values = np.array([4.0, 1.0, 2.5, 2.5, 9.0])
        path = self._file('target\n' + '\n'.join(map(str, values)) + '\n')
        law = distributions.parse(f'table({path!r})')
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
        self.assertAlmostEqual(law.mean, float(law.ppf(_uniforms(100_000)).mean()), delta=1e-4)

    def test_a_changed_file_is_another_distribution_and_does_not_pass_for_the_old_one(self):
        path = self._file('1\n2\n')
        old = distributions.parse(f'table({path!r})')
        self.assertEqual(distributions.parse(old.spec), old)
        pathlib.Path(path).write_text('1\n3\n')
        self.assertNotEqual(distributions.parse(f'table({path!r})'), old)
        with self.assertRaisesRegex(ValueError, 'has changed'):
            distributions.parse(old.spec)

    @parameterized.parameters(
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
    def test_refuses_a_file_that_is_no_table(self, text, message):
        with self.assertRaisesRegex(ValueError, message):
            distributions.parse(f'table({self._file(text)!r})')

    @parameterized.parameters(
        '1,2', '3.5abc', '1.0.0', '-x2', '.5x', '2 3', 'a 1', '1e', '0x1', '--1', '½', '\x1b[31m',
        '1;2',
    )  # fmt: skip
    def test_a_damaged_first_number_is_no_header(self, line):
        path = self._file(f'# made by hand\n\n{line}\n1\n2\n3\n')
        with self.assertRaisesRegex(ValueError, 'needs one number a line, not .* in line 3'):
            distributions.parse(f'table({path!r})')

    @parameterized.parameters(
        'std', '"std"', 'target,', 'age (years)', 'x1', '_2', 'größe', '\ufefftarget', '# x\n\nstd'
    )
    def test_passes_over_a_name_in_the_first_line(self, line):
        path = self._file(f'{line}\n3\n1;\r\n\n# 5\n 2 ,\n')
        law = distributions.parse(f'table({path!r})')
        np.testing.assert_array_equal(law.ppf([0, 0.5, 1]), [1, 2, 3])

    def test_is_known_by_its_values_wherever_and_however_they_are_written(self):
        first, second = map(self._table, ('1\n2.5', 'std\n2.50,\n1e0\n'))
        self.assertEqual(first, second)
        self.assertEqual((first.name, first.identity), (second.name, second.identity))
        self.assertNotEqual(first.spec, second.spec)
        mixed = [distributions.parse(f'mixture(u1_5, 1, {t.spec}, 1)') for t in (first, second)]
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
        law = distributions.parse(f'table({path!r})')
        kept = {law.identity: np.array([1.0, 2.0])}
        with mock.patch.object(distributions.reading, 'read_regular', side_effect=AssertionError):
            again = distributions.parse(
                law.spec, lambda _, digest: kept[f"table(sha256='{digest}')"]
            )
            self.assertEqual(again, law)
            self.assertTrue(again.known)
            for text in (law.spec, f'mixture(u1_5, 1, {law.spec}, 1)'):
                unknown = distributions.parse(text, distributions.nowhere)
                self.assertFalse(unknown.known)
                for use in (unknown.ppf, unknown.pdf, unknown.cdf):
                    with self.assertRaisesRegex(ValueError, 'values of table.* are not kept here'):
                        use(0.5)
                with self.assertRaisesRegex(ValueError, 'are not kept here'):
                    _ = unknown.mean
            self.assertEqual(distributions.parse(law.spec, distributions.nowhere), law)
            with self.assertRaisesRegex(ValueError, 'does not say which values it has'):
                distributions.parse(f'table({path!r})', distributions.nowhere)

    def test_a_file_is_parsed_once(self):
        path = self._file('1\n2\n')
        read = distributions.reading.read_regular
        with mock.patch.object(distributions.reading, 'read_regular', side_effect=read) as reads:
            for _ in range(3):
                distributions.parse(f'table({path!r})')
        self.assertEqual(reads.call_count, 1)

    def test_values_come_in_parts_as_in_one(self):
        text = 'std\n' + '\n'.join(map(str, range(1, 500))) + '\n# end\n'
        with mock.patch.object(distributions, '_CHUNK_BYTES', 10):
            small = distributions.parse(f'table({self._file(text)!r})')
            np.testing.assert_array_equal(small.ppf([0, 1]), [1, 499])
            path = self._file(text + '7x\n')
            with self.assertRaisesRegex(ValueError, "not '7x' in line 502"):
                distributions.parse(f'table({path!r})')
        self.assertEqual(small, distributions.parse(f'table({self._file(text)!r})'))

    def test_refuses_what_is_no_regular_file_and_what_is_too_large(self):
        fifo = f'{self.create_tempdir().full_path}/fifo'
        os.mkfifo(fifo)
        for path, kind in ((fifo, 'a pipe'), ('/dev/zero', 'a device'), ('/', 'a folder')):
            with self.assertRaisesRegex(ValueError, f'cannot be read: it is {kind}, not a regular'):
                distributions.parse(f'table({path!r})')
        path = self._file('1\n2\n')
        with mock.patch.object(distributions, '_MOST_TABLE_BYTES', 3):
            with self.assertRaisesRegex(ValueError, 'it has 4e-06 MB, and at most 3e-06 MB'):
                distributions.parse(f'table({path!r})')

    def test_labels_and_sentences_hold_printable_characters_only(self):
        folder = self.create_tempdir()
        path = f'{folder.full_path}/\x1b[31m\u202e$x$.csv'
        pathlib.Path(path).write_text('1\n2\n')
        law = distributions.parse(f'mixture(table({path!r}), 1, u1_5, 1)')
        self.assertTrue((law.label + law.name + law.spec + law.identity).isprintable())
        self.assertIn('$x$.csv', law.label)
        self.assertNotIn(folder.full_path, law.label)
        pathlib.Path(path).write_text('1\n\x1b[31m\n')
        with self.assertRaises(ValueError) as caught:
            distributions.parse(f'table({path!r})')
        self.assertTrue(str(caught.exception).isprintable())

    @parameterized.parameters('', 'abc', 'x' * 64, 'A' * 64, '../' * 10)
    def test_a_digest_must_be_one(self, digest):
        path = self._file('1\n2\n')
        if digest:
            with self.assertRaisesRegex(ValueError, 'must be 8 to 64 of the characters 0-9 a-f'):
                distributions.parse(f'table({path!r}, sha256={digest!r})')
        else:
            distributions.parse(f'table({path!r}, sha256={digest!r})')

    def test_lists_the_tables_of_an_expression_and_opens_none(self):
        spec = "mixture(table('a.csv'), 1, table('/b/c.csv', sha256='01234567'), 2)"
        self.assertEqual(distributions.tables_of(spec), [('a.csv', ''), ('/b/c.csv', '01234567')])
        self.assertEqual(distributions.tables_of('u1_10'), [])
        self.assertEqual(distributions.tables_of('table('), [])


class ParseErrorTest(parameterized.TestCase):
    @parameterized.parameters(
        ('u1_01', 'did you mean u1_10'),
        ('unifrom(1, 2)', 'did you mean uniform'),
        ('qqq', 'known are the names u1_10'),
        ('', 'neither a name nor'),
        ('uniform(1, 10', 'neither a name nor'),
        ('1', 'neither a name nor'),
        ('stats.norm(1, 2)', 'neither a name nor'),
        ('__import__("os").system("true")', 'neither a name nor'),
        ('uniform', 'no distribution'),
        ('uniform(1)', r'uniform\(low, high\) takes 2 numbers, not 1'),
        ('uniform(1, 2, 3)', 'takes 2 numbers, not 3'),
        ('uniform(low=1, hihg=2)', 'no place for the argument hihg'),
        ('uniform(1, low=2)', 'no place for the argument low'),
        ('uniform(*a)', 'takes 2 numbers, not 1'),
        ('uniform(**a)', 'no place for the argument None'),
        ('uniform(1, "2")', 'high of uniform.* must be a number'),
        ('uniform(1, True)', 'must be a number'),
        ('uniform(1, 2j)', 'must be a number'),
        ('uniform(1, 1 + 1)', 'must be a number'),
        ('uniform(1, 1e400)', 'must lie between'),
        ('uniform(1, 1' + '0' * 400 + ')', 'must lie between'),
        ('uniform(1, nan)', 'must be a number'),
        ('uniform(10, 1)', 'low < high by at least 1e-06, not low 10, high 1'),
        ('uniform(1, 1)', 'low < high'),
        ('normal(5, 0)', 'std of at least 1e-06, not 0'),
        ('normal(5, -1)', 'std of at least'),
        ('truncated_normal(5, 1, 9, 2)', 'low < high'),
        ('truncated_normal(5, 1, 100, 200)', 'keeps a fraction of only'),
        ('triangular(1, 11, 10)', 'low <= peak <= high'),
        ('inverse_triangular(1, 0, 10)', 'low <= valley <= high'),
        ('beta(0, 1, 1, 10)', 'a between'),
        ('lognormal(-1, 1)', 'median of at least'),
        ('exponential(1, 0)', 'scale of at least'),
        ('mixture(u1_5, 1)', 'at least two laws'),
        ('mixture(u1_5, 1, u1_10)', 'at least two laws'),
        ('mixture(u1_5, 0, u1_10, 1)', 'above 0, not 0'),
        ('mixture(1, u1_5, u1_10, 1)', 'neither a name nor'),
        ('table(3)', 'path of a file in quotes'),
        ("table('nowhere.csv')", 'cannot be read: No such file'),
        ("table('.')", 'cannot be read: it is a folder'),
        ('mixture(' * 500, 'at most 2000 characters'),
        ('mixture(' * 150, 'neither a name nor'),
        ('u1_10\x00', 'neither a name nor'),
    )
    def test_says_in_one_sentence_what_is_wrong(self, spec, message):
        with self.assertRaisesRegex(ValueError, message) as caught:
            distributions.parse(spec)
        self.assertNotIn('\n', str(caught.exception))

    @parameterized.parameters((3,), (None,), (True,), (['u1_10'],))
    def test_refuses_what_is_no_string(self, spec):
        with self.assertRaisesRegex(ValueError, 'is a string'):
            distributions.parse(spec)


if __name__ == '__main__':
    absltest.main()
