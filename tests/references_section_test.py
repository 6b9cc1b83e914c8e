"""Tests of imbreg_jax.analysis.sections.references."""

import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import comparison, loading, tables
from imbreg_jax.analysis.registry import SECTIONS
from imbreg_jax.analysis.sections import references, results

_MSE = {'best_constant': 7.0, 'linear_moments': 0.01, 'floor': 0.0}


def _study(folder, of_before=False, **mse):
    """A simulated study of three laws, and what a study of today has beside."""
    workdir = simulated_study.write(
        pathlib.Path(folder), simulated_study.PAPER_CONDITIONS,
        networks=simulated_study.PAPER_NETWORKS, repeats=2, images=40,
        diverged=[('u1_5', 1)],
    )  # fmt: skip
    if not of_before:
        path = workdir / 'results.csv'
        rows = pd.read_csv(path, keep_default_na=False)
        rows['value'] = [float(text or 'nan') for text in rows['value']]
        networks = rows[(rows.predictor == 'cnn') & (rows.metric == 'mse')]
        parts = [rows, networks.assign(metric='rmse', value=networks.value**0.5)]
        parts.append(networks.assign(metric='bin_balanced_mse'))
        parts.append(networks.assign(metric='sera', value=np.nan))
        parts += [networks.assign(predictor=p, value=value) for p, value in (_MSE | mse).items()]
        pd.concat(parts).to_csv(path, index=False, na_rep='nan')
        simulated_study.seal(workdir)
    return loading.load([workdir])


class ReferencesTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.study = _study(self.create_tempdir().full_path)
        self.content = references.SECTION.build(self.study)

    def test_stand_beside_each_network(self):
        table = self.content.tables[0]
        self.assertLen(table.frame, 3 * len(self.study.test_distributions))
        for row in table.frame.to_dict('records'):
            key = row['condition'], row['test_distribution'], 'mse'
            self.assertAlmostEqual(row['cnn_mean'], self.study.values('cnn', *key).mean(), 12)
            guess = self.study.values('random_guess', '', *key[1:])
            self.assertAlmostEqual(row['guess_mean'], guess.mean(), 12)
            self.assertEqual([row[f'{p}_mean'] for p in ('best_constant', 'linear_moments')],
                             [7.0, 0.01])  # fmt: skip
            self.assertEqual(row['floor'], 0)
        shown = table.rows()[0]
        self.assertEqual([cell.text for cell in shown][3:5], ['0.01000 ± 0', '7.000 ± 0'])
        self.assertIn('predictor=linear_moments', shown[3].source)
        self.assertIn(
            'of 3 conditions 0 have a lower MSE than a linear function of pixel moments, '
            'and 3 than the mean of their training targets',
            self.content.headline,
        )

    def test_a_function_that_is_exact_is_no_rival(self):
        study = _study(self.create_tempdir().full_path, linear_moments=1e-13)
        self.assertEqual(
            references.SECTION.build(study).headline,
            'On U(1, 10), of 3 conditions 3 have a lower MSE than the mean of their training '
            'targets. A linear function of pixel moments is exact: the target is one of them.',
        )

    def test_a_network_that_diverged_leaves_them(self):
        values = self.study.values('best_constant', 'u1_5', 'u1_10', 'mse')
        self.assertEqual(list(values), [7.0, 7.0])
        self.assertLen(self.study.values('cnn', 'u1_5', 'u1_10', 'mse'), 1)

    def test_further_metrics_come_last_and_leave_out_what_has_no_value(self):
        table = self.content.tables[1]
        self.assertTrue(table.evidence)
        self.assertEqual(set(table.frame['metric']), {'mae', 'rmse', 'bin_balanced_mse'})
        row = table.frame[table.frame['metric'] == 'rmse'].iloc[0]
        key = row['condition'], row['test_distribution'], 'rmse'
        self.assertAlmostEqual(row['cnn_mean'], self.study.values('cnn', *key).mean(), 12)
        self.assertIn('RMSE', [cell.text for cell in table.rows()[1]])

    def test_neither_is_in_the_results_table_or_among_what_is_compared_undeclared(self):
        shown = tables.results_table(self.study.results)
        self.assertEqual(set(shown['predictor']), {'cnn', 'cnn_calibrated', 'random_guess'})
        frame = results.SECTION.build(self.study).tables[0].frame
        pd.testing.assert_series_equal(frame['mse_mean'], shown['mse_mean'])
        compared = set(comparison.table(self.study)['metric'])
        self.assertEqual(compared, {'mse', 'mape', 'mpe', 'mae', 'bin_balanced_mse'})

    def test_a_study_of_before_there_were_any_has_no_such_section(self):
        before = _study(self.create_tempdir().full_path, of_before=True)
        self.assertFalse(references.SECTION.applies(before))
        self.assertTrue(references.SECTION.applies(self.study))
        self.assertIn(references.SECTION, SECTIONS)


if __name__ == '__main__':
    absltest.main()
