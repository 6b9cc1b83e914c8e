"""Tables say what was measured, beside what the paper prints."""

import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import tables


def _rows(values, condition='u1_10', test='u1_10', metric='mse', predictor='cnn'):
  return [[condition, condition, predictor, k, test, metric, v] for k, v in enumerate(values)]


def _frame(rows):
  return pd.DataFrame(
      rows,
      columns=['condition', 'train_distribution', 'predictor', 'repeat', 'test_distribution',
               'metric', 'value'],
  )


class ResultsTableTest(absltest.TestCase):

  def test_mean_and_sample_standard_deviation_beside_the_papers_cell(self):
    table = tables.results_table(_frame(_rows([1.0, 2.0, 3.0]) + _rows([9.0] * 3, metric='mape')))
    row = table.iloc[0]
    self.assertEqual((row['mse_mean'], row['mse_std'], row['repeats']), (2.0, 1.0, 3))
    self.assertEqual((row['mse_paper'], row['mse_paper_std']), (0.375, 0.057))
    self.assertEqual(row['mape_paper'], 9.175)
    self.assertTrue(np.isnan(row['mpe_mean']))

  def test_table_four_is_taken_where_table_two_contradicts_it(self):
    table = tables.results_table(_frame(_rows([1.0, 2.0], condition='u1_5')))
    self.assertEqual(table.iloc[0]['mape_paper'], 10.189)

  def test_one_repeat_has_no_spread_and_says_so(self):
    table = tables.results_table(_frame(_rows([1.5])))
    self.assertTrue(np.isnan(table.iloc[0]['mse_std']))
    self.assertIn('1.500 ± n/a', tables.format_results_table(table))
    self.assertIn('needs at least two repeats', tables.format_results_table(table))

  def test_diverged_runs_are_left_out_and_counted(self):
    rows = _rows([1.0, 3.0, np.nan]) + [['u1_10', 'u1_10', 'cnn', 2, None, 'diverged_epoch', 4]]
    table = tables.results_table(_frame(rows))
    self.assertEqual(table.iloc[0]['mse_mean'], 2.0)
    self.assertEqual((table.iloc[0]['repeats'], table.iloc[0]['diverged']), (2, 1))
    self.assertIn('2 (1 diverged)', tables.format_results_table(table))

  def test_a_distribution_that_the_paper_lacks_has_nothing_beside_it(self):
    table = tables.results_table(_frame(_rows([1.0, 2.0], test='triangular(1, 5, 10)')))
    self.assertTrue(np.isnan(table.iloc[0]['mse_paper']))
    self.assertIn(' -', tables.format_results_table(table))

  def test_a_missing_column_is_named(self):
    with self.assertRaisesRegex(ValueError, "no column 'value'"):
      tables.results_table(_frame(_rows([1.0])).drop(columns='value'))

  def test_every_cell_of_a_study_is_there_and_labels_are_printed(self):
    workdir = simulated_study.write(pathlib.Path(self.create_tempdir().full_path), repeats=3)
    table = tables.results_table(pd.read_csv(workdir / 'results.csv'))
    self.assertLen(table, 3 * 3 * 2 + 3)
    text = tables.format_results_table(table, {'u1_10': 'U(1, 10)'})
    self.assertIn('U(1, 10)', text)
    self.assertIn('random guess', text)
    self.assertIn('13.495 ± 0.08', text)
    self.assertIn('9.175 ± 0.978*', text)  # Table 2's U(1, 5) row is doubtful.


if __name__ == '__main__':
  absltest.main()
