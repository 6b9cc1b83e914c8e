"""The paper's tables beside ours, and what they rule out."""

import dataclasses
import pathlib

import numpy as np
from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import loading
from imbreg_jax.analysis.paper import printed as paper
from imbreg_jax.analysis.paper import section as paper_section
from imbreg_jax.analysis.paper import tables as paper_tables
from imbreg_jax.analysis.render import markdown


class PaperTablesTest(absltest.TestCase):
    def _study(self, **options):
        workdir = simulated_study.write(
            pathlib.Path(self.create_tempdir().full_path), **{'images': 200, **options}
        )
        return loading.load([workdir])

    def test_all_five_tables_have_all_printed_cells(self):
        found = paper_tables.paper_tables(self._study())
        self.assertEqual({k: len(v) for k, v in found.items()}, {1: 4, 2: 6, 3: 6, 4: 8, 5: 6})

    def test_there_may_be_none_of_what_was_tested(self):
        """The paper printed nothing of U(1, 10)-networks on U(1, 5) alone."""
        study = self._study(
            conditions={'u1_10': simulated_study.PAPER_CONDITIONS['u1_10']},
            test_distributions=('u1_5',),
        )
        self.assertEmpty(paper_tables.ruled_out(study))
        self.assertNotIn('ruled_out', [t.name for t in paper_section.SECTION.build(study).tables])

    def test_what_departs_from_the_paper_is_not_held_against_its_numbers(self):
        for images, held in ((5000, True), (200, False)):
            study = self._study(images=images)
            self.assertEqual(bool(study.departures()), not held)
            tables = {table.name: table for table in paper_section.SECTION.build(study).tables}
            titles = {column.heading for column in tables['table_1'].columns}
            self.assertIn('paper', titles)
            self.assertEqual({'difference', 'paper inside?'} <= titles, held)
            self.assertEqual('ruled_out' in tables, held)

    def test_of_one_repeat_the_headline_says_that_nothing_is_tested(self):
        content = paper_section.SECTION.build(self._study(repeats=1))
        self.assertIn('a single repeat has no spread', content.headline)

    def test_a_row_is_mean_interval_difference_and_the_range_for_ten_repeats(self):
        study = self._study()
        row = paper_tables.paper_tables(study)[1].iloc[0]
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
        row = paper_tables.paper_tables(study)[5].iloc[0]
        pooled = np.concatenate(
            [study.values('cnn', 'u1_10', test, 'mse') for test in ('u1_10', 'u1_5', 'n5_5_1')]
        )
        self.assertAlmostEqual(row['mean'], pooled.mean(), places=12)
        self.assertAlmostEqual(row['std'], pooled.std(ddof=1), places=12)

    def test_cells_that_cannot_be_right_are_marked_and_explained(self):
        study = self._study(images=5000)
        table = paper_tables.paper_tables(study)[2]
        marks = {(r.trained_on, r.tested_on, r.metric): r.paper_marks for r in table.itertuples()}
        self.assertEqual(marks['U(1, 5)', 'U(1, 5)', 'mape'], 'a,d')
        self.assertEqual(marks['U(1, 5)', 'U(1, 10)', 'mape'], 'b,d')
        self.assertEqual(marks['U(1, 5)', 'U(1, 10)', 'mse'], '')
        self.assertEqual(marks['Baseline', 'U(1, 10)', 'mse'], 'c')
        text = markdown.table(paper_section.printed_table(study, 2, table))
        self.assertIn('9.175 ± 0.978 [a,d]', text)
        self.assertIn("[a] Table 2's percentage on U(1, 5) repeats Table 1's row", text)
        self.assertIn('(doubtful cell)', text)

    def test_tables_without_their_condition_are_left_out(self):
        study = self._study(conditions={'u1_10': {}})
        self.assertEqual(list(paper_tables.paper_tables(study)), [1, 4, 5])

    def test_one_repeat_has_no_range_to_lie_in(self):
        table = paper_tables.paper_tables(self._study(repeats=1))[1]
        self.assertEqual(set(table['paper_inside']), {'no spread'})

    def test_printed_tables_rule_out_what_is_far_from_them_and_nothing_else(self):
        # A paper-like network misses the printed MSE of 0.375 by little; one twice as shrunk, far.
        conditions = {'like': {}, 'unlike': {'model': {'order': 'relu_pool'}}}
        networks = {'like': (0.892, 0.01, 0.035), 'unlike': (0.7, 0.01, 0.035)}
        table = paper_tables.ruled_out(
            self._study(conditions=conditions, networks=networks, images=5000)
        )
        verdicts = {(r.condition, r.table): r.ruled_out for r in table.itertuples()}
        self.assertEqual({verdicts['unlike', t] for t in (1, 4, 5)}, {'yes'})
        self.assertEqual(verdicts['like', 1], verdicts['like', 4])
        self.assertEqual(set(table['variant']), {'', 'model.order = relu_pool'})
        like = table[(table['condition'] == 'like') & (table['table'] == 1)].iloc[0]
        self.assertGreater(like['holm_p'], 0.001)


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
        self.assertEqual(paper_tables.as_printed(study), frozenset())
        headers = list(study.headers)
        sizes = {**headers[1]['config']['data'], 'test_size': 5000, 'validation_size': 5000}
        headers[1] = {**headers[1], 'config': {**headers[1]['config'], 'data': sizes}}
        study = dataclasses.replace(study, headers=tuple(headers))
        self.assertEqual(paper_tables.as_printed(study), {'u1_5'})

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
