"""Tests of imbreg_jax.study.laws: every law, what expressions mean, and laws of one's own."""

import inspect
import textwrap
from unittest import mock

import numpy as np
from absl.testing import absltest
from scipy import stats

from imbreg_jax import study
from imbreg_jax.study import laws
from imbreg_jax.study.laws import registry

# Laws with their mean in closed form.
_MEANS = {
    'u1_10': 5.5,
    'u1_5': 3.0,
    'n5_5_1': 5.5,
    'uniform(1, 4)': 2.5,
    'normal(5.5, 0.5)': 5.5,
    'truncated_normal(5.5, 2, 1, 10)': 5.5,
    'triangular(1, 4, 10)': 5.0,
    'triangular(1, 1, 10)': 4.0,
    'inverse_triangular(1, 5.5, 10)': 5.5,
    # 2 - 1 uniforms: twice the uniform's mean less the triangle's.
    'inverse_triangular(1, 4, 10)': 2 * 5.5 - 5.0,
    'inverse_triangular(1, 1, 10)': 7.0,
    'inverse_triangular(1, 10, 10)': 4.0,
    'beta(2, 3, 1, 6)': 3.0,
    'lognormal(3, 0.5)': 3 * np.exp(0.125),
    'exponential(1, 2)': 3.0,
    'mixture(u1_5, 0.9, uniform(5, 10), 0.1)': 0.9 * 3 + 0.1 * 7.5,
    'mixture(uniform(1, 2), 3, mixture(uniform(4, 5), 1, n5_5_1, 1), 1)': 0.75 * 1.5 + 0.25 * 5,
    'cut(u1_10, 0, 4)': 2.5,
    'cut(normal(5.5, 2), 1, 10)': 5.5,
    'gap(u1_10, 4, 6)': (3 * 2.5 + 4 * 8) / 7,
    'gap(u1_10, 0, 3, 9, 12)': 6.0,
    'gap(u1_10, 1, 2, 4, 6, 9, 10)': (2 * 3 + 3 * 7.5) / 5,
    'gap(cut(normal(5.5, 2), 1, 10), 4, 7)': 5.5,
    'cut(gap(mixture(u1_5, 1, u1_10, 1), 3, 4), 2, 10)': (13 * 7 + 20 * 7.5) / 46,
    'mixture(gap(u1_10, 4, 6), 1, u1_5, 3)': 0.25 * (3 * 2.5 + 4 * 8) / 7 + 0.75 * 3,
    'pareto(2, 1, 10)': 2 * 0.9 / 0.99,
    'pareto(1, 1, 10)': np.log(10) / 0.9,
    'polygon(1, 0, 4, 1, 10, 0)': 5.0,
    'polygon(1, 1, 5, 1, 5, 2, 10, 2)': (4 * 3 + 10 * 7.5) / 14,
    'polygon(0, 0, 1, 0, 2, 3, 3, 0, 5, 0, 7, 6, 7, 0, 8, 0)': (3 * 2 + 6 * 19 / 3) / 9,
}
# What scipy has, as expressions have it.
_SCIPY = {
    'uniform(2, 7)': stats.uniform(2, 5),
    'normal(5.5, 2)': stats.norm(5.5, 2),
    'truncated_normal(4, 2, 1, 9)': stats.truncnorm(-1.5, 2.5, loc=4, scale=2),
    'triangular(1, 4, 10)': stats.triang(1 / 3, loc=1, scale=9),
    'beta(0.5, 2, 1, 10)': stats.beta(0.5, 2, loc=1, scale=9),
    'lognormal(3, 0.5)': stats.lognorm(0.5, scale=3),
    'exponential(1, 2)': stats.expon(1, 2),
    'pareto(1.5, 2, 6)': stats.truncpareto(1.5, 3, scale=2),
}
# What is the same law, written otherwise.
_SAME = (
    ('cut(normal(4, 2), 1, 9)', 'truncated_normal(4, 2, 1, 9)'),
    ('cut(cut(exponential(0, 2), 1, 9), 2, 12)', 'cut(exponential(-5, 2), 2, 9)'),
    ('cut(pareto(1.5, 1, 10), 2, 6)', 'pareto(1.5, 2, 6)'),
    ('gap(normal(5.5, 1), -100, 5, 7, 100)', 'cut(normal(5.5, 1), 5, 7)'),
    ('gap(gap(u1_10, 4, 5), 5, 6)', 'gap(u1_10, 4, 6)'),
    ('gap(u1_10, 4, 6)', 'mixture(uniform(1, 4), 3, uniform(6, 10), 4)'),
    ('polygon(1, 0, 4, 2, 10, 0)', 'triangular(1, 4, 10)'),
    ('polygon(1, 5, 4, 0, 10, 5)', 'inverse_triangular(1, 4, 10)'),
    ('polygon(1, 3, 3, 3, 3, 0, 5, 0, 5, 6, 6, 6)', 'mixture(uniform(1, 3), 1, uniform(5, 6), 1)'),
)
# An expression, and what is said of it.
_REFUSED = (
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
    ('pareto(0, 1, 10)', 'shape between 0.01 and 20, not 0'),
    ('pareto(1, 0, 10)', 'low of at least'),
    ('pareto(1, 10, 1)', 'low < high'),
    ('gaps(u1_10, 4, 6)', 'did you mean gap'),
    ('gap(u1_10, 4)', r'at least one low, each with its high, as in gap\(u1_10, 4, 6\)'),
    ('gap(u1_10, 6, 4)', 'gap needs low < high by at least 1e-06, not low 6, high 4'),
    ('gap(u1_10, 4, 6, 5, 7)', 'must rise and lie apart, and 5 does not lie above 6'),
    ('gap(u1_10, 11, 12)', 'nothing away from 11 to 12, since the targets .* lie between 1 and 10'),
    ('gap(u1_10, 0, 11)', 'leaves a fraction of only 0 of the law'),
    ('gap(4, 6, u1_10)', 'neither a name nor'),
    ('cut(u1_10, 6, 4)', 'cut needs low < high'),
    ('cut(u1_10, 11, 12)', 'leaves a fraction of only 0 of the law, .* between 1 and 10; it must'),
    ('cut(normal(0, 1), 6, 9)', 'leaves a fraction of only 9.87e-10 of the law'),
    ('polygon(1, 1)', 'at least two targets, each with its density, as in polygon'),
    ('polygon(1, 1, 0, 1)', 'targets that never fall, not 1, 0'),
    ('polygon(1, 1, 2, -1)', 'densities of at least 0, not -1'),
    ('polygon(1, 1, 1, 2)', 'targets that span at least 1e-06, not 0'),
    ('polygon(1, 0, 2, 0, 2, 1)', 'a density above 0 somewhere'),
    ('density_table(3)', r"density_table\('file.csv'\) takes the path of a file in quotes"),
    ('mixture(u1_5, 1)', 'at least two laws'),
    ('mixture(u1_5, 1, u1_10)', 'at least two laws'),
    ('mixture(u1_5, 0, u1_10, 1)', 'above 0, not 0'),
    ('mixture(u1_5, 1, u1_10, -1)', 'above 0, not -1'),
    ('mixture(1, u1_5, u1_10, 1)', 'neither a name nor'),
    ('table(3)', 'path of a file in quotes'),
    ("table('nowhere.csv')", 'cannot be read: No such file'),
    ("table('.')", 'cannot be read: it is a folder'),
    ('mixture(' * 500, 'at most 2000 characters'),
    ('mixture(' * 150, 'neither a name nor'),
    ('u1_10\x00', 'neither a name nor'),
    ('mixture(u1_5, "1", u1_10, 1)', 'weight of mixture.* must be a number'),
    ('mixture(u1_5, 1, u1_10, weight=1)', 'at least two laws, each with its weight'),
    ('my_law(1, 10)', 'a law of your own must be registered first'),
)


def _uniforms(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count


def _every_law() -> list[str]:
    """One expression of each registered law at least; a table's needs a file."""
    examples = [example for _, example in laws.forms() if 'table(' not in example]
    return [*_MEANS, *laws.REGISTRY, *examples]


class LawsTest(absltest.TestCase):
    def test_quantiles_invert_the_cdf(self):
        u = _uniforms(1001)
        for spec in _every_law():
            with self.subTest(spec):
                law = laws.parse(spec)
                x = law.ppf(u)
                self.assertEqual(x.dtype, np.float64)
                # Rounding x moves the CDF by pdf · x · eps, a few eps at these densities.
                np.testing.assert_allclose(law.cdf(x), u, atol=1e-13)
                self.assertTrue(np.all(np.diff(x) >= 0))

    def test_density_is_the_slope_of_the_cdf(self):
        for spec in _every_law():
            with self.subTest(spec):
                law = laws.parse(spec)
                # The density of a law that is only an example may have a pole at its end.
                tail = 1e-9 if spec in _MEANS else 0.01
                edges = np.linspace(law.ppf(tail), law.ppf(1 - tail), 200_001)
                mass = np.diff(law.cdf(edges))
                middle = 0.5 * (edges[1:] + edges[:-1])
                # The midpoint rule errs by O(width^2), save in the few cells that hold a kink or
                # a jump.
                error = np.sort(np.abs(law.pdf(middle) * np.diff(edges) - mass))
                self.assertLess(error[:-8].sum(), 1e-6)
                self.assertLess(error[-1], 2 * mass.max())

    def test_mean_is_the_closed_form_and_that_of_the_draws(self):
        for spec, mean in _MEANS.items():
            with self.subTest(spec):
                law = laws.parse(spec)
                self.assertAlmostEqual(law.mean, mean, delta=1e-12)
                draws = law.ppf(_uniforms(100_000))
                # Stratified draws: the midpoint rule misses at most the outer strata's spread.
                self.assertAlmostEqual(float(draws.mean()), mean, delta=1e-4)

    def test_parsing_the_canonical_expression_gives_the_same_law(self):
        for spec in _every_law():
            with self.subTest(spec):
                law = laws.parse(spec)
                again = laws.parse(law.spec)
                self.assertEqual(law, again)
                self.assertEqual(hash(law), hash(again))
                self.assertEqual(law.label, again.label)

    def test_arguments_mean_what_their_names_say(self):
        u = _uniforms(99)
        for spec, expected in _SCIPY.items():
            with self.subTest(spec):
                law, x = laws.parse(spec), expected.ppf(u)
                np.testing.assert_array_equal(law.ppf(u), x)
                np.testing.assert_array_equal(law.pdf(x), expected.pdf(x))
                np.testing.assert_array_equal(law.cdf(x), expected.cdf(x))
                self.assertEqual(law.mean, expected.mean())
                self.assertEqual(law.support, tuple(map(float, expected.support())))

    def test_truncated_normal_in_closed_form(self):
        law = laws.parse('truncated_normal(4, 2, 1, 9)')
        low, high = stats.norm.cdf(-1.5), stats.norm.cdf(2.5)
        u = _uniforms(99)
        # Here the closed form itself loses a few digits to the difference of CDFs.
        np.testing.assert_allclose(
            law.ppf(u), 4 + 2 * stats.norm.ppf(low + u * (high - low)), 1e-12
        )

    def test_inverse_triangular_complements_the_triangular(self):
        inverse = laws.parse('inverse_triangular(1, 4, 10)')
        triangular = laws.parse('triangular(1, 4, 10)')
        x = np.linspace(1, 10, 91)
        np.testing.assert_allclose(inverse.pdf(x) + triangular.pdf(x), 2 / 9, rtol=1e-12)

    def test_a_mixture_of_one_law_is_that_law(self):
        mixture = laws.parse('mixture(n5_5_1, 0.2, normal(5.5, 1), 0.8)')
        u = _uniforms(1001)
        # Bisection ends at neighbouring float64 numbers, where the CDF itself is flat to rounding.
        np.testing.assert_allclose(mixture.ppf(u), stats.norm.ppf(u, 5.5, 1), rtol=1e-12)

    def test_a_mixture_skips_the_gap_between_its_laws(self):
        mixture = laws.parse('mixture(uniform(1, 2), 1, uniform(8, 9), 1)')
        x = mixture.ppf(_uniforms(1000))
        self.assertFalse(np.any((x > 2) & (x < 8)))
        self.assertEqual(int(np.sum(x <= 2)), 500)
        self.assertEqual(mixture.support, (1.0, 9.0))

    def test_laws_are_the_same_however_they_are_made(self):
        u = _uniforms(1000)
        for first, second in _SAME:
            with self.subTest(first):
                one, other = laws.parse(first), laws.parse(second)
                x = other.ppf(u)
                # A CDF that ends near 1 has lost its last digits to those before.
                np.testing.assert_allclose(one.ppf(u), x, rtol=1e-9)
                np.testing.assert_allclose(one.pdf(x), other.pdf(x), rtol=1e-9, atol=1e-12)
                np.testing.assert_allclose(one.cdf(x), u, atol=1e-12)
                self.assertAlmostEqual(one.mean, other.mean, delta=1e-8)
                np.testing.assert_allclose(one.support, other.support, rtol=1e-15)

    def test_nothing_lies_in_a_gap(self):
        for spec in ('u1_10', 'normal(5, 2)', 'beta(0.5, 2, 1, 10)', 'polygon(1, 0, 4, 3, 10, 0)'):
            for gaps in ('4, 6', '3, 4, 6, 7', '-1, 3', '5, 12'):
                with self.subTest(spec, gaps=gaps):
                    law = laws.parse(f'gap({spec}, {gaps})')
                    x = law.ppf(_uniforms(5000))
                    numbers = np.array(gaps.split(', '), float)
                    for low, high in numbers.reshape(-1, 2):
                        self.assertFalse(np.any((x > low) & (x < high)))
                        within = np.linspace(low, high, 9)[1:-1]
                        np.testing.assert_array_equal(law.pdf(within), 0)
                        np.testing.assert_array_equal(law.logpdf(within), -np.inf)
                        self.assertLess(np.ptp(law.cdf(within)), 1e-15)

    def test_the_range_of_what_is_left_has_targets_at_its_ends(self):
        for spec, support in (
            ('gap(mixture(uniform(1, 2), 1, uniform(8, 9), 1), 0, 2)', (8, 9)),
            ('cut(gap(u1_10, 4, 6), 4.5, 8)', (6, 8)),
            ('gap(u1_10, -1, 3, 9, 12)', (3, 9)),
            ('gap(polygon(1, 1, 2, 0, 5, 0, 6, 1), 5.5, 7)', (1, 5.5)),
            ('polygon(0, 0, 1, 0, 2, 1, 3, 0, 4, 0)', (1, 3)),
        ):
            law = laws.parse(spec)
            self.assertEqual(law.support, support)
            np.testing.assert_allclose(law.ppf([0, 1]), support, rtol=1e-14)
            self.assertTrue(np.all(np.isnan(law.ppf([-0.1, 1.1, np.nan]))))

    def test_the_logarithm_of_a_density_is_one_also_where_the_density_is_lost(self):
        for spec in _every_law():
            law = laws.parse(spec)
            x = law.ppf(_uniforms(99))
            with np.errstate(divide='ignore'):
                np.testing.assert_allclose(law.logpdf(x), np.log(law.pdf(x)), atol=1e-12)
            self.assertTrue(np.all(np.diff(law.breaks) > 0))
        for spec in ('normal(0, 1)', 'mixture(normal(0, 1), 1, normal(0, 1), 1)'):
            self.assertAlmostEqual(laws.parse(spec).logpdf(100), -5000.9, delta=0.1)

    def test_labels_of_what_is_left_are_short(self):
        for spec, label in (
            ('gap(u1_10, 4, 6)', 'U(1, 10) without 4-6'),
            ('gap(u1_10, 2, 3, 4.5, 6)', 'U(1, 10) without 2-3, 4.5-6'),
            ('gap(normal(0, 1), -1, 1)', 'N(0, 1) without -1 to 1'),
            ('cut(normal(5.5, 2), 1, 10)', 'N(5.5, 2) on [1, 10]'),
            ('gap(cut(exponential(1, 2), 1, 10), 2, 3)', '(1 + Exp(2)) on [1, 10] without 2-3'),
            ('polygon(1, 3, 6, 1, 10, 1)', 'Polygon(1: 3, 6: 1, 10: 1)'),
            ('polygon(1, 3, 2, 3, 6, 1, 7, 0, 10, 1)', 'Polygon of 5 points on [1, 10]'),
            ('pareto(1.5, 1, 10)', 'Pareto(1.5) on [1, 10]'),
        ):
            self.assertEqual(laws.parse(spec).label, label)

    def test_registered_laws_keep_their_name_however_they_are_written(self):
        for spec in ('u1_10', 'uniform(1, 10)', ' uniform( 1.0,10 )', 'uniform(high=10, low=1)'):
            law = laws.parse(spec)
            self.assertEqual(
                (law.name, law.spec, law.label), ('u1_10', 'uniform(1, 10)', 'U(1, 10)')
            )
        self.assertEqual(laws.parse('n5_5_1').label, 'N(5.5, 1)')
        self.assertEqual(laws.parse('uniform(1, 3)').name, 'uniform(1, 3)')

    def test_conditions_coupled_through_one_uniform_keep_their_order(self):
        u = _uniforms(1000)
        wide, narrow = laws.parse('u1_10').ppf(u), laws.parse('u1_5').ppf(u)
        np.testing.assert_allclose((wide - 1) / 9, (narrow - 1) / 4, rtol=1e-12)


class RefusalTest(absltest.TestCase):
    def test_says_in_one_sentence_what_is_wrong(self):
        for spec, message in _REFUSED:
            with self.subTest(spec[:40]):
                with self.assertRaisesRegex(ValueError, message) as caught:
                    laws.parse(spec)
                self.assertNotIn('\n', str(caught.exception))

    def test_refuses_what_is_no_string(self):
        for spec in (3, None, True, ['u1_10']):
            with self.assertRaisesRegex(ValueError, 'is a string'):
                laws.parse(spec)


# A law of one's own from its parts: `{functions}` is filled in.
_OWN = """
from imbreg_jax.study import laws

class Own:
    mean, support = 0.5, (0.0, 1.0)
    ppf = pdf = cdf = staticmethod(lambda x: x)
{functions}

@laws.register(label='Own', example='own()')
def own() -> laws.Law:
    return Own()
"""


class OwnLawTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.dict(registry._ENTRIES))

    def test_the_snippet_of_the_docstring_in_a_config_file(self):
        _, _, rest = inspect.getdoc(laws).partition('\n\n    from scipy')
        snippet, _, _ = ('    from scipy' + rest).partition('\n\nThen ')
        snippet = textwrap.dedent(snippet)
        self.assertLen([line for line in snippet.splitlines() if line], 6)
        file = self.create_tempfile(
            'own.py',
            f'{snippet}\nfrom imbreg_jax import study\n\ndef get_config():\n'
            '    config = study.default_config()\n'
            "    config.train_distribution = 'log_uniform(1, 10)'\n"
            '    return config\n',
        ).full_path
        for _ in range(2):  # A config may be read again in the same process.
            condition = study.resolve(study.load_config_file(file)).conditions[0]
        law = condition.distribution
        self.assertEqual(condition.name, 'log_uniform_1_10')
        self.assertEqual((law.identity, law.label), ('log_uniform(1, 10)', 'LogU(1, 10)'))
        u = _uniforms(99)
        np.testing.assert_allclose(law.ppf(u), 10**u, rtol=1e-12)
        self.assertEqual(law.mean, stats.loguniform(1, 10).mean())
        self.assertIn(('log_uniform(low, high)', 'log_uniform(1, 10)'), laws.forms())
        self.assertIn('log_uniform(low, high)', laws.usage())
        mixed = laws.parse('mixture(log_uniform(high=10, low=1), 1, u1_5, 3)')
        self.assertEqual(mixed.label, '25% LogU(1, 10) + 75% U(1, 5)')
        for spec, message in (
            ('log_uniform(1)', r'log_uniform\(low, high\) takes 2 numbers, not 1'),
            ('log_uniform(0, 1)', 'needs 0 < low < high'),
            ('log_unifrom(1, 2)', 'did you mean log_uniform'),
        ):
            with self.assertRaisesRegex(ValueError, message):
                laws.parse(spec)

    def test_laws_of_laws_and_parameters_that_repeat(self):
        @laws.register(label='{law} by {by}', example='moved(u1_10, 2)')
        def moved(law: laws.Law, by: float) -> laws.Law:
            return laws.ScipyLaw(stats.uniform(law.support[0] + by, 1))

        @laws.register(label='{law} {low}', example='cuts(u1_10, 1, 2)')
        def cuts(law: laws.Law, low: tuple[float, ...], high: tuple[float, ...]) -> laws.Law:
            laws.require(len(low) == len(high), 'never')
            return laws.ScipyLaw(stats.uniform(low[-1], high[-1] - low[-1]))

        law = laws.parse('moved(by=-0.50, law=uniform( 1, 10))')
        self.assertEqual((law.name, law.label), ('moved(uniform(1, 10), -0.5)', 'U(1, 10) by -0.5'))
        self.assertEqual((law.spec, law.support), ('moved(uniform(1, 10), -0.5)', (0.5, 1.5)))
        law = laws.parse('cuts(moved(u1_5, 2), 1, 2, 4, 7)')
        self.assertEqual(law.support, (4, 7))
        self.assertEqual(law.identity, 'cuts(moved(uniform(1, 5), 2), 1, 2, 4, 7)')
        unknown = laws.parse(f"moved(table(sha256='{'a' * 64}'), 1)", laws.nowhere)
        self.assertFalse(unknown.known)
        for spec, message in (
            ('moved(u1_10)', r'moved\(law, by\) takes 2 arguments, not 1'),
            ('moved(2, u1_10)', 'neither a name nor'),
            (
                'cuts(u1_10, 1)',
                r'cuts\(law, low, high, low, high, …\) takes at least one low, each',
            ),
            ('cuts()', 'takes at least one low'),
        ):
            with self.assertRaisesRegex(ValueError, message):
                laws.parse(spec)

    def test_what_is_no_law_is_refused_before_anything_trains_on_it(self):
        def of_functions(functions: str) -> None:
            exec(_OWN.format(functions=textwrap.indent(functions, '    ')), {'__name__': 'own'})
            laws.parse('own()')

        for functions, message in (
            ('ppf = staticmethod(lambda u: 1 - u)', 'its quantile falls between the probabilities'),
            ('ppf = staticmethod(lambda u: u.sum())', 'not a finite number for each probability'),
            ('ppf = staticmethod(lambda u: 1 / (u - u))', 'not a finite number for each'),
            ('support = (0.0, 0.5)', 'its quantiles leave its support, 0 to 0.5'),
            ('pdf = staticmethod(lambda x: x - 1)', 'its density is not a number of at least 0'),
            ('cdf = staticmethod(lambda x: x * x)', 'its CDF does not invert its quantile'),
            ('cdf = None', 'to compute it fails: TypeError'),
        ):
            with self.subTest(functions):
                with self.assertRaisesRegex(ValueError, message):
                    of_functions(functions)
        of_functions('')  # The uniform law on [0, 1], as far as anybody looks.

        @laws.register(label='', example='failing(1)')
        def failing(by: float) -> laws.Law:
            return laws.ScipyLaw(1 / (by - by))

        with self.assertRaisesRegex(ValueError, r'failing\(by\) fails: ZeroDivisionError: '):
            laws.parse('failing(1)')

    def test_every_law_of_the_package_is_one(self):
        for spec in _every_law():
            self.assertIsNone(laws.fault(laws.parse(spec)), spec)

    def test_refuses_an_entry_that_cannot_work(self):
        def own(low: float) -> laws.Law:
            raise AssertionError(low)

        def of(label='{low}', example='own(1)', make=own, name='own'):
            make.__name__ = name
            laws.register(label=label, example=example)(make)

        def uniform(low: float) -> laws.Law:
            raise AssertionError(low)

        def text(low: str) -> laws.Law:
            raise AssertionError(low)

        def default(low: float = 1.0) -> laws.Law:
            raise AssertionError(low)

        def first(low: tuple[float, ...], high: float) -> laws.Law:
            raise AssertionError(low, high)

        def lost(low: 'nowhere.Law') -> laws.Law:  # noqa: F821 - that is its fault
            raise AssertionError(low)

        before = laws.forms()
        for arguments, message in (
            ({'label': '{lwo}'}, "the label '{lwo}' does not fit the parameters: 'lwo'"),
            ({'example': 'other(1)'}, "the example of own, 'other\\(1\\)', does not call it"),
            ({'make': lambda low: None, 'name': '<lambda>', 'example': '<lambda>('}, 'is none'),
            ({'make': uniform, 'name': 'uniform', 'example': 'uniform(1)'}, 'uniform is taken'),
            ({'name': 'u1_10', 'example': 'u1_10(1)'}, 'the name u1_10 is taken'),
            ({'name': 'table', 'example': 'table(1)'}, 'the name table is taken'),
            ({'make': text}, 'the parameter low of own must be'),
            ({'make': default}, 'must be one without a default'),
            ({'make': first}, 'that repeat must come last'),
            ({'make': lost}, 'the annotations of own cannot be read'),
        ):
            with self.subTest(message):
                with self.assertRaisesRegex(ValueError, message):
                    of(**arguments)
        self.assertEqual(laws.forms(), before)


if __name__ == '__main__':
    absltest.main()
