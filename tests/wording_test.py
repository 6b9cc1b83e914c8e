"""What a verdict's sentences say, and what they leave out."""

import math

import numpy as np
from absl.testing import absltest

from imbreg_jax.analysis import statistics
from imbreg_jax.analysis.paper import wording

_NOISE = np.array([-1.0, 1.0] * 5)
_STEPS = _NOISE / _NOISE.std(ddof=1)


def _evidence(ratio, spread=0.1, repeats=10, name='a'):
    first = ratio * np.exp(spread * _STEPS[:repeats])
    pair = (first, np.ones(repeats))
    (c,) = statistics.compare_many([pair], directed=True)
    return wording.Evidence(name, 'b', c, min(1.0, 2 * c.reversed_p_value), 'results.csv')


class WordingTest(absltest.TestCase):
    def test_p_values(self):
        for p, text in ((0.0123, 'p = 0.012'), (1e-9, 'p < 0.001'), (math.nan, 'p undefined')):
            self.assertEqual(wording.p_text(p), text)

    def test_a_sentence_has_the_numbers_the_interval_and_both_tests(self):
        half = 0.1 / math.sqrt(10) * 1.8331  # t(0.95; 9)
        e = _evidence(1.2)
        ends = f'{1.2 * math.exp(-half):.3f} to {1.2 * math.exp(half):.3f}'
        opening = (
            f'a {e.comparison.first_mean:.3f} % against b 1.000 %: ratio 1.200 (90 % t interval '
            f'{ends}; 10 pairs; '
        )
        for text, tests in (
            (wording.order([e], ' %', 0.05, 0.1, False), 'larger p < 0.001, by sign flips p < 0.0'),
            (wording.order([e], ' %', 0.05, 0.1, True), 'within 0.9 to 1.1 p = 0.9'),
            (wording.little(e, ' %', 0.05, 0.1), 'below 1.1 p = 0.989'),
            (wording.same(e, ' %', 0.05, 0.1), 'outside p = 0.0'),
        ):
            self.assertStartsWith(text, opening)
            self.assertIn(tests, text)
        # Which way is shown only where it is the other way, and corrected where there are several.
        self.assertNotIn('smaller', wording.order([e], '', 0.05, 0.1, False))
        less = _evidence(1 / 1.2)
        self.assertIn('smaller p < 0.001', wording.order([less], '', 0.05, 0.1, False))
        self.assertIn('smaller with Holm p', wording.order([less, e], '', 0.05, 0.1, False))
        self.assertNotIn(
            'interval', wording.order([_evidence(1.2, repeats=1)], '', 0.05, 0.1, True)
        )

    def test_what_stays_open(self):
        wide, alike, plain = _evidence(1.05, 0.2, name='w'), _evidence(1.0, 0.01), _evidence(2.0)
        text = wording.open_orders([wide, alike, plain, _evidence(1.2, repeats=1)], 0.05, 0.1)
        reach = math.exp(0.2 * statistics.least_effects(0.05)[8])
        self.assertStartsWith(
            text, f'w against b: 10 repeats could have shown a ratio of {reach:.3f}'
        )
        self.assertIn('a against b: the same within the margin.', text)
        self.assertIn('a against b: 1 repeat: no spread, so no test.', text)
        self.assertEqual(text.count(' against '), 3)
        many = wording.open_orders([wide] * 13, 0.05, 0.1)
        self.assertEqual(many.count(' against '), 10)
        self.assertIn(' 3 more such notes are left out.', many)
        hopeless = wording.open_orders([_evidence(1.0, 9.0)], 0.05, 0.1)
        self.assertIn('more than 10,000 would show one of 1.1 (power 0.8)', hopeless)
        self.assertIn(f'by a factor of {reach:.3f}', wording.open_margin(wide.comparison))

    def test_the_weakest_is_the_one_with_the_least_support(self):
        strong, weak, unknown = _evidence(2.0), _evidence(1.5, 0.9), _evidence(9.0, repeats=1)
        self.assertIs(wording.weakest([strong, weak]), weak)
        self.assertIs(wording.weakest([strong, unknown, weak]), unknown)
        lesser = _evidence(3.0, repeats=1)
        self.assertIs(wording.weakest([unknown, lesser]), lesser)

    def test_of_many_names_the_first_are_listed(self):
        names = list('abcdefgh')
        self.assertEqual(wording.listed(names[:5], 5), 'a, b, c, d, e')
        self.assertEqual(wording.listed(names, 8), 'a, b, c, d, e and 3 more')


if __name__ == '__main__':
    absltest.main()
