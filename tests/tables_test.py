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
        columns=[
            'condition',
            'train_distribution',
            'predictor',
            'repeat',
            'test_distribution',
            'metric',
            'value',
        ],
    )


class ResultsTableTest(absltest.TestCase):
    def test_mean_and_sample_standard_deviation_beside_the_papers_cell(self):
        table = tables.results_table(
            _frame(_rows([1.0, 2.0, 3.0]) + _rows([9.0] * 3, metric='mape')), ['u1_10']
        )
        row = table.iloc[0]
        self.assertEqual((row['mse_mean'], row['mse_std'], row['repeats']), (2.0, 1.0, 3))
        self.assertEqual((row['mse_paper'], row['mse_paper_std']), (0.375, 0.057))
        self.assertEqual(row['mape_paper'], 9.175)
        self.assertTrue(np.isnan(row['mpe_mean']))

    def test_table_four_is_taken_where_table_two_contradicts_it(self):
        table = tables.results_table(_frame(_rows([1.0, 2.0], condition='u1_5')), ['u1_5'])
        self.assertEqual(table.iloc[0]['mape_paper'], 10.189)

    def test_the_papers_values_stand_beside_conditions_with_its_settings_alone(self):
        rows = _rows([1.0, 2.0]) + _rows([1.0, 2.0], predictor='cnn_calibrated')
        rows += [['', '', 'random_guess', k, 'u1_10', 'mse', 13.5] for k in range(2)]
        rows += [['wide', 'u1_10', 'cnn', k, 'u1_10', 'mse', 1.0] for k in range(2)]
        for allowed, expected in (
            ((), set()),
            (['u1_10'], {('u1_10', 'cnn')}),
            (['u1_10', ''], {('u1_10', 'cnn'), ('', 'random_guess')}),
            (['wide'], {('wide', 'cnn')}),
        ):
            with self.subTest(allowed):
                table = tables.results_table(_frame(rows), allowed)
                beside = table[table['mse_paper'].notna()]
                found = set(zip(beside['condition'], beside['predictor'], strict=True))
                self.assertEqual(found, expected)

    def test_a_label_commands_no_terminal(self):
        labels = {'u1_10': 'U\x1b[2J(1,\n10)\u202e\x9b31m\x07', 'u1_5': 'two\r\nlines'}
        table = tables.results_table(_frame(_rows([1.0]) + _rows([1.0], test='u1_5')))
        text = tables.format_results_table(table, labels)
        self.assertTrue(all(line.isprintable() for line in text.splitlines()), repr(text))
        self.assertIn('U\ufffd[2J(1, 10)', text)
        self.assertLen(text.splitlines(), 6)

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
        self.assertRegex(tables.format_results_table(table), r' diverged\n.*\n.* 2 +1\n')

    def test_a_distribution_that_the_paper_lacks_has_nothing_beside_it(self):
        table = tables.results_table(_frame(_rows([1.0, 2.0], test='triangular(1, 5, 10)')))
        self.assertTrue(np.isnan(table.iloc[0]['mse_paper']))
        self.assertNotIn('paper', tables.format_results_table(table))
        rows = [*_rows([1.0, 2.0]), *_rows([1.0, 2.0], test='triangular(1, 5, 10)')]
        text = tables.format_results_table(tables.results_table(_frame(rows), ['u1_10']))
        self.assertIn('paper', text)
        self.assertIn(' —', text)

    def test_a_missing_column_is_named(self):
        with self.assertRaisesRegex(ValueError, "no column 'value'"):
            tables.results_table(_frame(_rows([1.0])).drop(columns='value'))

    def test_every_cell_of_a_study_is_there_and_labels_are_printed(self):
        workdir = simulated_study.write(pathlib.Path(self.create_tempdir().full_path), repeats=3)
        table = tables.results_table(
            pd.read_csv(workdir / 'results.csv'), ['', *simulated_study.PAPER_CONDITIONS]
        )
        self.assertLen(table, 3 * 3 * 2 + 3)
        text = tables.format_results_table(table, {'u1_10': 'U(1, 10)'})
        self.assertIn('U(1, 10)', text)
        self.assertIn('random guess', text)
        self.assertIn('13.495 ± 0.08', text)
        self.assertIn('9.175 ± 0.978 [a,d]', text)  # Table 2's U(1, 5) row is doubtful.


if __name__ == '__main__':
    absltest.main()
