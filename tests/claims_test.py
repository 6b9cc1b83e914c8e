"""Verdicts on data that was made to make each claim stand, fail, be the same or stay undecided."""

import dataclasses
import functools
import math
import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest, parameterized

import simulated_study
from imbreg_jax.analysis import finished, loading, statistics
from imbreg_jax.analysis.paper import claims

_SEEN = np.random.default_rng(0).standard_normal(10)
# Ten numbers of mean 0 and standard deviation 1, so that effects are what they say.
_NOISE = (_SEEN - _SEEN.mean()) / _SEEN.std(ddof=1)
_TESTS = ('u1_10', 'u1_5', 'n5_5_1')
_LEVEL = 0.05


_TRIALS = 1000
_RULES = {
    'order': claims.judge_order,
    'little': lambda parts, level: claims.judge_little(parts[0], level),
    'same': lambda parts, level: claims.judge_same(parts[0], level),
}


@functools.cache
def _rates(kind, ratios, spread):
    """Returns status -> frequency over trials of ten repeats, parts with these true ratios."""
    rng = np.random.default_rng([len(kind), round(1e4 * spread), *(round(1e3 * r) for r in ratios)])
    k = len(ratios)
    # Of a repeat all conditions share something, as they share network and images.
    logs = rng.standard_normal((_TRIALS, 1, 10))
    logs = logs + spread * rng.standard_normal((_TRIALS, k + 1, 10))
    errors = np.exp(logs + np.cumsum([0.0, *np.log(ratios)])[:, None])
    pairs = [(one[i + 1], one[i]) for one in errors for i in range(k)]
    parts = statistics.compare_many(pairs, level=_LEVEL, directed=True)
    found = [_RULES[kind](parts[k * i : k * (i + 1)], _LEVEL) for i in range(_TRIALS)]
    return {status: found.count(status) / _TRIALS for status in set(found)}


class ErrorRatesTest(parameterized.TestCase):
    """How often the rules err where the truth is known: simulated repeats, true ratios."""

    # What a rule may say at most once in twenty, where the true ratios are these: where an error
    # is most likely, at the edge of what makes it one.
    @parameterized.product(
        case=(
            ('order', (1.0,), claims.STANDS),
            ('order', (1.0,), claims.FAILS),
            ('order', (1.0, 3.0), claims.STANDS),
            ('order', (3.0, 1.0), claims.STANDS),
            ('order', (1.0, 1.0), claims.STANDS),
            ('order', (1.0, 1.0), claims.FAILS),
            ('order', (1.0, 3.0), claims.FAILS),
            ('order', (1.0,) * 6, claims.FAILS),
            ('order', (0.9, 3.0), claims.STANDS),
            ('order', (0.9, 3.0), claims.SAME),
            ('order', (0.9, 1.0), claims.SAME),
            ('order', (1.1,), claims.SAME),
            ('little', (1.1,), claims.STANDS),
            ('little', (1.1,), claims.FAILS),
            ('same', (1.1,), claims.STANDS),
            ('same', (0.9,), claims.STANDS),
            ('same', (1.1,), claims.FAILS),
            ('same', (0.9,), claims.FAILS),
        ),
        spread=(0.02, 0.2),
    )
    def test_a_false_verdict_comes_once_in_twenty_at_most(self, case, spread):
        kind, ratios, false = case
        rate = _rates(kind, ratios, spread).get(false, 0.0)
        error = 4 * math.sqrt(_LEVEL * (1 - _LEVEL) / _TRIALS)
        self.assertLessEqual(rate, _LEVEL + error)

    @parameterized.parameters(
        ('order', (1.0,), claims.STANDS),
        ('order', (1.0,), claims.FAILS),
        ('little', (1.1,), claims.STANDS),
        ('little', (1.1,), claims.FAILS),
        ('same', (1.1,), claims.STANDS),
    )
    def test_at_the_edge_it_comes_once_in_twenty(self, kind, ratios, false):
        rate = _rates(kind, ratios, 0.02).get(false, 0.0)
        error = 4 * math.sqrt(_LEVEL * (1 - _LEVEL) / _TRIALS)
        self.assertAlmostEqual(rate, _LEVEL, delta=error)

    @parameterized.parameters(
        ('order', (1.2, 1.2), claims.STANDS),
        ('order', (1.2, 1 / 1.2), claims.FAILS),
        ('order', (1.0, 1.2), claims.SAME),
        ('little', (1.0,), claims.STANDS),
        ('little', (0.5,), claims.STANDS),  # A gain is no cost.
        ('little', (1.25,), claims.FAILS),
        ('same', (1.0,), claims.STANDS),
        ('same', (1.25,), claims.FAILS),
        ('same', (0.75,), claims.FAILS),
    )
    def test_what_is_plain_is_seen(self, kind, ratios, expected):
        # Spread 0.05, so √2·0.05 of a log ratio: these are 1.3 standard deviations and more.
        self.assertGreater(_rates(kind, ratios, 0.05)[expected], 0.85)


class ClaimsTest(parameterized.TestCase):
    def _study(self, cells, **options):
        """Returns a study with values overwritten: (condition, test[, predictor]) -> [10] or 1."""
        workdir = simulated_study.write(
            pathlib.Path(self.create_tempdir().full_path), images=100, **options
        )
        path = workdir / 'results.csv'
        rows = pd.read_csv(path, keep_default_na=False)
        for (condition, test, *predictor), values in cells.items():
            for metric in ('mse', 'mape'):
                chosen = (
                    (rows['condition'] == condition)
                    & (rows['predictor'] == (predictor or ['cnn'])[0])
                    & (rows['test_distribution'] == test)
                    & (rows['metric'] == metric)
                )
                rows.loc[chosen, 'value'] = np.broadcast_to(values, chosen.sum())
        rows.to_csv(path, index=False)
        simulated_study.seal(workdir)
        return loading.load([workdir])

    def _verdict(self, study, claim, metric='mse', predictor='cnn'):
        (found,) = [
            v
            for v in claims.verdicts(study)
            if (v.claim, v.metric, v.predictor) == (claim, metric, predictor)
        ]
        return found

    def _on_u1_10(self, balanced, normal, missing):
        conditions = ('u1_10', 'n5_5_1', 'u1_5')
        values = zip(conditions, (balanced, normal, missing), strict=True)
        return {(name, 'u1_10'): value for name, value in values}

    def test_every_network_against_its_guess(self):
        lost = np.full(10, 0.1)
        lost[3] = 99.0
        guesses = self._study({}).values('random_guess', '', 'u1_5', 'mse').to_numpy()
        cases = {
            'all win': ({}, {}, claims.STANDS, ['90 of 90', 'the pair that decides: random guess']),
            'one loses, and that is enough': (
                {('u1_5', 'u1_5'): lost},
                {},
                claims.FAILS,
                ['89 of 90', 'not so U(1, 5) repeat 3 on U(1, 5) (99.00 against ', '; the pair'],
            ),
            'of many a handful is named': (
                {('u1_5', 'u1_5'): 99.0, ('n5_5_1', 'u1_10'): 1e4},
                {},
                claims.FAILS,
                ['70 of 90', ' and 15 more; the pair that decides'],
            ),
            # One comes as close to its guess each time, the other scatters far more.
            'the weakest test decides': (
                {
                    ('u1_5', 'u1_10'): 0.5 * guesses,
                    ('u1_5', 'u1_5'): guesses * np.exp(-1 + 0.9 * _NOISE).clip(max=0.99),
                },
                {},
                claims.STANDS,
                ['decides: random guess on U(1, 5)'],
            ),
            'who diverged beats nothing': (
                {},
                {'diverged': [('u1_5', 3)]},
                claims.UNDECIDED,
                ['87 of 87', 'since diverged: U(1, 5) repeat 3'],
            ),
        }
        for name, (cells, options, status, texts) in cases.items():
            with self.subTest(name):
                verdict = self._verdict(self._study(cells, **options), 1)
                self.assertEqual(verdict.status, status)
                for text in texts:
                    self.assertIn(text, verdict.reason)
                self.assertIn('results.csv lines', verdict.evidence[0].source)

    def test_a_network_is_held_against_the_guess_on_its_own_targets(self):
        study = self._study({('u1_5', 'u1_5'): 1.0})
        # As a condition has it whose targets are defined otherwise: a guess that errs by less.
        rows = study.results[
            (study.results['predictor'] == 'random_guess')
            & (study.results['test_distribution'] == 'u1_5')
        ]
        groups = {
            ('random_guess', 'u1_5', 'u1_5', metric): finished.Values(
                group['repeat'].to_numpy(),
                np.full(len(group), 0.5),
                *(group[name].to_numpy() for name in ('source', 'line')),
            )
            for metric, group in rows.groupby('metric')
        }
        study = dataclasses.replace(study, _groups={**study._groups, **groups})
        verdict = self._verdict(study, 1)
        self.assertEqual(verdict.status, claims.FAILS)
        self.assertIn('U(1, 5) repeat 0 on U(1, 5) (1.000 against 0.5000)', verdict.reason)

    def test_claims_of_pairs(self):
        def factor(ratio, spread=0.01):
            return ratio * np.exp(spread * _NOISE)

        order = self._on_u1_10
        everywhere = {
            (name, test): value * factor(1, 0.01 * i)
            for i, (name, value) in enumerate((('u1_10', 1.0), ('n5_5_1', 2.0), ('u1_5', 4.0)))
            for test in _TESTS
        }
        cases = [
            (2, order(1.0, factor(2), factor(3, 0.05)), claims.STANDS, 'ratio 2.000 (90 % t int'),
            (2, order(3.0, factor(2), 1.0), claims.FAILS, 'smaller with Holm p < 0.001'),
            # One reversed part is enough, whatever the others say.
            (2, order(1.0, factor(3), factor(2, 0.02)), claims.FAILS, 'smaller with Holm p < 0.0'),
            (2, order(1.0, factor(1.0), 3.0), claims.SAME, 'within 0.9 to 1.1 p < 0.001, by sign'),
            (2, order(1.0, factor(1.1, 0.4), 9.0), claims.UNDECIDED, 'larger p = 0.2'),
            (3, order(1.0, factor(1.02), 1.0), claims.STANDS, 'below 1.1 p < 0.001, by sign flips'),
            (3, order(1.0, factor(0.5), 1.0), claims.STANDS, 'ratio 0.5000'),
            (3, order(1.0, factor(1.5), 1.0), claims.FAILS, 'above it p < 0.001'),
            (3, order(1.0, factor(1.09, 0.1), 1.0), claims.UNDECIDED, 'below 1.1 p = 0.39'),
            (4, {('u1_5', 'u1_5'): factor(0.5), ('u1_5', 'u1_10'): 1.0}, claims.STANDS, 'larger'),
            (4, {('u1_5', 'u1_5'): factor(2.0), ('u1_5', 'u1_10'): 1.0}, claims.FAILS, 'smaller p'),
            *(
                (5, {('n5_5_1', 'n5_5_1'): factor(r), ('n5_5_1', 'u1_10'): 1.0}, status, text)
                for r, status, text in (
                    (1.01, claims.STANDS, 'within 0.9 to 1.1 p < 0.001'),
                    (0.6, claims.FAILS, 'outside p < 0.001'),
                    (1.6, claims.FAILS, 'outside p < 0.001'),
                )
            ),
            (6, everywhere, claims.STANDS, 'on all tests 2.0'),
        ]
        for claim, cells, status, text in cases:
            with self.subTest(claim=claim, status=status, text=text):
                verdict = self._verdict(self._study(cells), claim, 'mape')
                self.assertEqual(verdict.status, status)
                self.assertIn(text, verdict.reason)
                self.assertIn('by sign flips p ', verdict.reason)
                self.assertEqual(bool(verdict.note), status == claims.UNDECIDED)
                for e in verdict.evidence:
                    c = e.comparison
                    # One interval reads all tests but the Holm-corrected.
                    self.assertEqual(c.p_value < _LEVEL, c.low > 1)
                    self.assertEqual(c.equivalence_p_value < _LEVEL, c.low > 0.9 and c.high < 1.1)

    def test_undecided_says_what_could_have_been_shown(self):
        spread = 0.4
        cells = self._on_u1_10(1.0, 1.1 * np.exp(spread * _NOISE), 99.0)
        effects = statistics.least_effects(_LEVEL)
        needed = 2 + int(np.argmax(effects <= math.log(1.1) / spread))
        verdict = self._verdict(self._study(cells), 2)
        self.assertIn(
            f'10 repeats could have shown a ratio of {math.exp(spread * effects[8]):.3f}; about '
            f'{needed} would show one of 1.1 (power 0.8)',
            verdict.note,
        )
        verdict = self._verdict(self._study(cells), 3)
        self.assertIn(f'off it by a factor of {math.exp(spread * effects[8]):.3f}', verdict.note)

    def test_values_that_say_nothing_give_verdicts_without_a_warning(self):
        values = {'alike': 1.0, 'zero': 0.0, 'lost': np.nan, 'infinite': np.inf, 'huge': 1e300}
        for name, value in values.items():
            with self.subTest(name):
                cells = {
                    (condition, test, predictor): value
                    for condition in _TESTS
                    for test in _TESTS
                    for predictor in ('cnn', 'cnn_calibrated')
                }
                study = self._study(cells, repeats=3)
                statuses = {v.claim: v.status for v in claims.verdicts(study)}
                self.assertLen(statuses, 6)
                if name in ('lost', 'infinite'):
                    self.assertEqual(statuses[1], claims.UNTESTED)
                if name == 'zero':
                    self.assertEqual(statuses[2], claims.UNDECIDED)
                    self.assertIn('have no ratio', self._verdict(study, 2).note)
                if name == 'alike':
                    self.assertEqual(statuses[2], claims.SAME)

    def test_one_repeat_decides_nothing(self):
        for verdict in claims.verdicts(self._study({}, repeats=1)):
            self.assertEqual(verdict.status, claims.UNDECIDED)
            self.assertIn('1 repeat: no spread', verdict.note)

    def test_what_the_study_lacks_is_not_tested(self):
        study = self._study({}, conditions={'u1_10': {}})
        statuses = {v.claim: v.status for v in claims.verdicts(study)}
        self.assertEqual(statuses[1], claims.STANDS)
        self.assertEqual({statuses[c] for c in (2, 3, 4, 5, 6)}, {claims.UNTESTED})

    def test_a_study_without_the_papers_conditions_gets_no_claims(self):
        law, networks = 'triangular(1, 5, 10)', (0.9, 0.01, 0.03)
        cases = {
            'the paper': ({}, True),
            'another law': ({'train_distribution': law}, False),
            'another setting': ({'model': {'order': 'relu_pool'}}, True),
            'another task': ({'task': {'name': 'disc_radius'}}, False),
        }
        for name, (overrides, expected) in cases.items():
            with self.subTest(name):
                study = self._study(
                    {}, conditions={'one': overrides}, networks={'one': networks}, repeats=2
                )
                self.assertEqual(claims.applies(study), expected)
                self.assertEqual(bool(claims.verdicts(study)), expected)

    def test_of_another_setting_only_what_it_has_conditions_for(self):
        conditions = {**simulated_study.PAPER_CONDITIONS, 'relu': {'model': {'order': 'relu_pool'}}}
        networks = {**simulated_study.PAPER_NETWORKS, 'relu': (0.9, 0.006, 0.03)}
        study = self._study({}, conditions=conditions, networks=networks, repeats=2)
        found = {(v.variant, v.claim) for v in claims.verdicts(study)}
        self.assertEqual(
            found, {*(('', claim) for claim in range(1, 7)), ('model.order = relu_pool', 1)}
        )

    def test_conclusions_that_calibration_takes_away_are_named(self):
        same = 0.1 * np.exp(0.01 * _NOISE)
        study = self._study(
            {
                ('u1_5', 'u1_5'): 0.1,
                ('u1_5', 'u1_10'): 5 * same,
                ('u1_5', 'u1_5', 'cnn_calibrated'): 0.1,
                ('u1_5', 'u1_10', 'cnn_calibrated'): 0.5 * same,
            }
        )
        found = {(v.claim, v.predictor): v.status for v in claims.verdicts(study)}
        self.assertEqual([found[1, p] for p in study.predictors], ['stands', 'stands'])
        self.assertEqual([found[4, p] for p in study.predictors], ['stands', 'fails'])


if __name__ == '__main__':
    absltest.main()
