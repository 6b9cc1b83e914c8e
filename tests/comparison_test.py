"""Who is compared with whom, and what the table of comparisons says."""

import json
import pathlib
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized
from scipy import stats

import simulated_study
from imbreg_jax.analysis import comparison, finished, loading, statistics

_RELU, _WIDE = {'model.order': 'relu_pool'}, {'model.dense_features': 99}
_LAW = {'train_distribution': 'u1_5'}
_NETWORK = (0.9, 0.01, 0.03)


class ComparisonTest(parameterized.TestCase):
    def _study(self, conditions, reference='', **options):
        workdir = simulated_study.write(
            pathlib.Path(self.create_tempdir().full_path),
            conditions,
            **{
                'networks': dict.fromkeys(conditions, _NETWORK),
                'repeats': 2,
                'images': 40,
                'test_distributions': ('u1_10',),
                **options,
            },
        )
        path = workdir / 'config.json'
        header = json.loads(path.read_text('utf-8'))
        header['config']['analysis']['reference'] = reference
        path.write_text(json.dumps(header), encoding='utf-8')
        simulated_study.seal(workdir)
        return loading.load([workdir])

    def test_pairs_differ_in_one_thing(self):
        laws = {name: {'train_distribution': name} for name in simulated_study.LAWS}
        cases = {
            'one condition': ({'a': {}}, '', set(), []),
            'laws': (
                laws,
                '',
                {(law, 'u1_10', comparison.LAW) for law in laws if law != 'u1_10'},
                [],
            ),
            'laws against a declared one': (
                laws,
                'u1_5',
                {(law, 'u1_5', comparison.LAW) for law in laws if law != 'u1_5'},
                [],
            ),
            # Each law under its own setting, each setting under its own law.
            'laws and settings': (
                {'a': {}, 'b': _LAW, 'c': _RELU, 'd': _RELU | _LAW},
                '',
                {
                    ('b', 'a', comparison.LAW),
                    ('c', 'a', 'model.order'),
                    ('d', 'c', comparison.LAW),
                    ('d', 'b', 'model.order'),
                },
                [],
            ),
            'a grid of settings': (
                {'a': {}, 'b': _RELU, 'c': _WIDE, 'd': _RELU | _WIDE},
                'd',
                {
                    ('b', 'd', 'model.dense_features'),
                    ('c', 'd', 'model.order'),
                    ('a', 'b', 'model.order'),
                    ('a', 'c', 'model.dense_features'),
                },
                [],
            ),
            # A field that is set to what it is anyway sets nothing apart.
            'remedies': (
                {'a': {}, 'b': {'remedy': 'inverse()'}, 'c': {'remedy': ''} | _LAW},
                '',
                {('b', 'a', 'remedy'), ('c', 'a', comparison.LAW)},
                [],
            ),
            # Which of two that always go together did it, nobody can say.
            'settings that change together': (
                {'a': {}, 'b': _RELU | _WIDE, 'c': _LAW, 'd': _RELU | _WIDE | _LAW},
                '',
                {
                    ('b', 'a', 'model.dense_features, model.order'),
                    ('c', 'a', comparison.LAW),
                    ('d', 'c', 'model.dense_features, model.order'),
                    ('d', 'b', comparison.LAW),
                },
                [],
            ),
            'two changes': ({'a': {}, 'b': _RELU | _LAW}, '', set(), ['b']),
            'two changes, one by one': (
                {'a': {}, 'b': _RELU | _WIDE, 'c': _RELU},
                '',
                {('c', 'a', 'model.order'), ('b', 'c', 'model.dense_features')},
                [],
            ),
        }
        for name, (conditions, reference, expected, lone) in cases.items():
            with self.subTest(name):
                study = self._study(conditions, reference)
                found, alone = comparison.pairs(study)
                self.assertEqual(set(map(tuple, found)), expected)
                self.assertLen(found, len(expected))
                self.assertEqual(alone, lone)
                table = comparison.table(study)
                self.assertLen(table, 4 * len(expected))
                self.assertEqual(
                    comparison.families(table), 4 * len({pair[1:] for pair in expected})
                )

    def test_reference_is_declared_or_balanced_or_first(self):
        narrow = {'train_distribution': 'u1_5'}
        with mock.patch.dict(
            simulated_study.LAWS,
            {'wide': ('wide', 'uniform(0.5, 20)', simulated_study.LAWS['u1_5'][2])},
        ):
            wide = {'train_distribution': 'wide'}
            for expected, reference, conditions, tests in (
                ('b', '', {'a': narrow, 'b': {}}, ('u1_5', 'u1_10')),
                ('a', '', {'a': narrow, 'b': {}}, ('u1_5', 'n5_5_1')),
                ('c', '', {'a': narrow, 'b': {}, 'c': wide}, ('u1_10', 'wide')),
                ('b', '', {'a': narrow, 'b': {}, 'c': wide}, ('u1_10',)),
                ('a', 'a', {'a': narrow, 'b': {}}, ('u1_10',)),
                # A config of another workdir may name a condition that is not among these.
                ('b', 'other', {'a': narrow, 'b': {}}, ('u1_10',)),
            ):
                study = self._study(conditions, reference, test_distributions=tests)
                self.assertEqual(comparison.reference(study), expected)

    def test_table_says_ratios_and_of_what_has_a_sign_differences(self):
        study = self._study(
            simulated_study.PAPER_CONDITIONS,
            networks=simulated_study.PAPER_NETWORKS,
            repeats=10,
            test_distributions=('u1_10', 'u1_5', 'n5_5_1'),
            diverged=[('u1_5', 4)],
        )
        table = comparison.table(study)
        self.assertLen(table, 2 * 3 * 4)
        self.assertEqual(set(table['repeats'][table['first'] == 'u1_5']), {9})
        self.assertEqual(set(table['repeats'][table['first'] == 'n5_5_1']), {10})
        for (metric, test), rows in table.groupby(['metric', 'test_distribution']):
            for row in rows.to_dict('records'):
                a, b = finished.joint(
                    [study.values('cnn', row[side], test, metric) for side in ('first', 'second')]
                )[1]
                if metric == 'mpe':
                    self.assertEqual(row['scale'], 'difference')
                    self.assertAlmostEqual(row['effect'], np.mean(a - b), places=12)
                    expected = stats.ttest_rel(a, b).pvalue
                else:
                    self.assertEqual(row['scale'], 'ratio')
                    self.assertAlmostEqual(row['effect'], stats.gmean(a / b), places=12)
                    expected = stats.ttest_rel(np.log(a), np.log(b)).pvalue
                self.assertAlmostEqual(row['p'], expected, places=10)
                self.assertIn('results.csv lines', row['source'])
        for _, family in table.groupby('metric'):
            for name in ('p', 'same_p'):
                expected = statistics.holm(family[name])
                np.testing.assert_allclose(family[f'holm_{name}'], expected, rtol=1e-12)

    def test_page_says_how_many_errors_to_expect(self):
        text = comparison.expected_errors(22, 8, 0.05)
        self.assertIn('22 verdicts are given, each at the level 5 %: up to 1.1 false ones', text)
        self.assertIn('8 families of comparisons, Holm-corrected to 5 % each: up to 0.4', text)
        self.assertNotIn('verdicts', comparison.expected_errors(0, 8, 0.05))
        self.assertEqual(comparison.expected_errors(0, 0, 0.05), '')


if __name__ == '__main__':
    absltest.main()
