"""Tables say what was measured, beside what the paper prints."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import loading, paper, tables


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
        self.assertIn('2 (1 diverged)', tables.format_results_table(table))

    def test_a_distribution_that_the_paper_lacks_has_nothing_beside_it(self):
        table = tables.results_table(_frame(_rows([1.0, 2.0], test='triangular(1, 5, 10)')))
        self.assertTrue(np.isnan(table.iloc[0]['mse_paper']))
        self.assertNotIn('paper', tables.format_results_table(table))
        rows = [*_rows([1.0, 2.0]), *_rows([1.0, 2.0], test='triangular(1, 5, 10)')]
        text = tables.format_results_table(tables.results_table(_frame(rows), ['u1_10']))
        self.assertIn('paper', text)
        self.assertIn(' -', text)

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
        self.assertIn('9.175 ± 0.978*', text)  # Table 2's U(1, 5) row is doubtful.


class PaperTablesTest(absltest.TestCase):
    def _study(self, **options):
        workdir = simulated_study.write(
            pathlib.Path(self.create_tempdir().full_path), images=200, **options
        )
        return loading.load([workdir])

    def test_all_five_tables_have_all_printed_cells(self):
        found = tables.paper_tables(self._study())
        self.assertEqual({k: len(v) for k, v in found.items()}, {1: 4, 2: 6, 3: 6, 4: 8, 5: 6})

    def test_a_row_is_mean_interval_difference_and_the_range_for_ten_repeats(self):
        study = self._study()
        row = tables.paper_tables(study)[1].iloc[0]
        values = study.values('cnn', 'u1_10', 'u1_10', 'mse').to_numpy()
        half = 2.2621572 * values.std(ddof=1) / np.sqrt(10)  # t(0.975; 9)
        self.assertAlmostEqual(row['low'], values.mean() - half, places=7)
        self.assertAlmostEqual(row['difference'], values.mean() - 0.375, places=12)
        # A mean of ten more has twice the variance that the mean at hand has.
        self.assertAlmostEqual(row['expected_high'], values.mean() + np.sqrt(2) * half, places=7)
        expected = 'yes' if row['expected_low'] <= 0.375 <= row['expected_high'] else 'no'
        self.assertEqual(row['paper_inside'], expected)

    def test_table_five_pools_repeats_and_test_distributions(self):
        study = self._study()
        row = tables.paper_tables(study)[5].iloc[0]
        pooled = np.concatenate(
            [study.values('cnn', 'u1_10', test, 'mse') for test in ('u1_10', 'u1_5', 'n5_5_1')]
        )
        self.assertAlmostEqual(row['mean'], pooled.mean(), places=12)
        self.assertAlmostEqual(row['std'], pooled.std(ddof=1), places=12)

    def test_cells_that_cannot_be_right_are_marked_and_explained(self):
        table = tables.paper_tables(self._study())[2]
        marks = {(r.trained_on, r.tested_on, r.metric): r.paper_marks for r in table.itertuples()}
        self.assertEqual(marks['U(1, 5)', 'U(1, 5)', 'mape'], 'a,d')
        self.assertEqual(marks['U(1, 5)', 'U(1, 10)', 'mape'], 'b,d')
        self.assertEqual(marks['U(1, 5)', 'U(1, 10)', 'mse'], '')
        self.assertEqual(marks['Baseline', 'U(1, 10)', 'mse'], 'c')
        text = tables.paper_table_markdown(2, table, 'cnn')
        self.assertIn('9.175 ± 0.978 [a,d]', text)
        self.assertIn("[a] Table 2's percentage on U(1, 5) repeats Table 1's row", text)
        self.assertIn('(doubtful cell)', text)

    def test_tables_without_their_condition_are_left_out(self):
        study = self._study(conditions={'u1_10': {}})
        self.assertEqual(list(tables.paper_tables(study)), [1, 4, 5])

    def test_one_repeat_has_no_range_to_lie_in(self):
        table = tables.paper_tables(self._study(repeats=1))[1]
        self.assertEqual(set(table['paper_inside']), {'no spread'})

    def test_printed_tables_rule_out_what_is_far_from_them_and_nothing_else(self):
        # A paper-like network misses the printed MSE of 0.375 by little; one twice as shrunk, far.
        conditions = {'like': {}, 'unlike': {'model': {'order': 'relu_pool'}}}
        networks = {'like': (0.892, 0.01, 0.035), 'unlike': (0.7, 0.01, 0.035)}
        table = tables.ruled_out(self._study(conditions=conditions, networks=networks))
        verdicts = {(r.condition, r.table): r.ruled_out for r in table.itertuples()}
        self.assertEqual({verdicts['unlike', t] for t in (1, 4, 5)}, {'yes'})
        self.assertEqual(verdicts['like', 1], verdicts['like', 4])
        self.assertEqual(set(table['variant']), {'', 'model.order = relu_pool'})
        like = table[(table['condition'] == 'like') & (table['table'] == 1)].iloc[0]
        self.assertGreater(like['holm_p'], 0.001)


class MarkdownTest(absltest.TestCase):
    def test_an_entry_is_neither_element_nor_link_nor_second_cell(self):
        text = tables.markdown(
            ['name'], [['<img src=x onerror=y>'], ['[a](javascript:b)'], ['a|b\nc'], ['< 0.001']]
        )
        self.assertEqual(
            text.splitlines()[2:],
            [
                r'| \<img src=x onerror=y> |',
                r'| [a]\(javascript:b) |',
                r'| a\|b c |',
                '| < 0.001 |',
            ],
        )


class PaperTest(absltest.TestCase):
    def test_only_conditions_with_the_printed_settings_are_as_printed(self):
        conditions = {
            'u1_10': {},
            'relu_pool': {'model': {'order': 'relu_pool'}},  # The paper leaves the order open.
            'fast': {'training': {'learning_rate': 1e-3}},
            'short': {'training': {'epochs': 1}},
            'no_dropout': {'model': {'dense_dropout_rate': 0.0}},
            'other_task': {'task': {'name': 'median'}},
        }
        config = simulated_study.config(conditions, images=5000)
        self.assertEqual(paper.as_printed(config, conditions), {'', 'u1_10', 'relu_pool'})
        # A study whose lone condition has the config's own settings holds no overrides.
        self.assertEqual(paper.as_printed(config | {'conditions': {}}, ['u1_10']), {'', 'u1_10'})

    def test_the_printed_baseline_stands_beside_the_same_guess_alone(self):
        for section, changes in (
            ('evaluation', {'guess_low': 2.0}),
            ('evaluation', {'guess_high': 5.0}),
            ('data', {'image_size': 28}),
        ):
            config = simulated_study.config({}, images=5000)
            self.assertIn('', paper.as_printed(config, []))
            config[section] |= changes
            with self.subTest(changes):
                self.assertNotIn('', paper.as_printed(config, []))

    def test_a_study_that_departs_has_nothing_of_the_papers_beside_it(self):
        config = simulated_study.config({'u1_10': {}}, images=60)
        self.assertEqual(paper.as_printed(config, ['u1_10']), frozenset())

    def test_of_merged_workdirs_each_answers_for_its_own_conditions(self):
        root = pathlib.Path(self.create_tempdir().full_path)
        paths = [
            simulated_study.write(root / name, {name: settings}, images=60, repeats=2)
            for name, settings in simulated_study.PAPER_CONDITIONS.items()
        ]
        study = loading.load(paths)
        self.assertEqual(tables.as_printed(study), frozenset())
        headers = list(study.headers)
        sizes = {**headers[1]['config']['data'], 'test_size': 5000, 'validation_size': 5000}
        headers[1] = {**headers[1], 'config': {**headers[1]['config'], 'data': sizes}}
        study = dataclasses.replace(study, headers=tuple(headers))
        self.assertEqual(tables.as_printed(study), {'u1_5'})

    def test_every_cell_of_the_printed_tables_is_there(self):
        self.assertLen(paper.cells(), 30)
        self.assertEqual(paper.cell('n5_5_1', 'all', 'mse').text(), '0.253 ± 0.13')
        self.assertIsNone(paper.cell('u1_10', 'u1_5', 'mse'))
        self.assertIsNone(paper.cell('u1_10', 'u1_10', 'mpe'))

    def test_the_baselines_printed_spread_is_too_small_for_its_test_sets(self):
        # Two independent U(1, 10): E d⁴ = 9⁴/15, E d² = 9²/6; 5,000 images.
        spread = np.sqrt((9**4 / 15 - (9**2 / 6) ** 2) / 5000)
        self.assertAlmostEqual(spread, 0.226, places=3)
        self.assertLess(paper.cell('', 'u1_10', 'mse').std, spread / 2)
        rng = np.random.default_rng(0)
        guess, target = rng.uniform(1, 10, (2, 400_000))
        percent = 100 * np.abs(guess - target) / target
        self.assertLess(paper.cell('', 'u1_10', 'mape').std, percent.std() / np.sqrt(5000))


if __name__ == '__main__':
    absltest.main()
