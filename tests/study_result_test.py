"""Tests of imbreg_jax.study_result: a finished study in Python.

What `run_study` returns is in studies_test.py, and networks are in trained_test.py.
"""

import pathlib
from unittest import mock

import pandas as pd
from absl.testing import absltest

import imbreg_jax
import simulated_study
from imbreg_jax.analysis import AnalysisError, reporting
from imbreg_jax.analysis.sections import targets
from imbreg_jax.results.workdir import WorkdirError
from imbreg_jax.study_result import TemporaryWorkdir


class StudyResultTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(absltest.TEST_TMPDIR.value) / 'study_result_test'
        laws = simulated_study.PAPER_CONDITIONS
        cls.workdirs = [
            simulated_study.write(cls.root / name, {name: laws[name]}, repeats=3, images=40)
            for name in ('u1_10', 'u1_5')
        ]
        cls.result = imbreg_jax.load(cls.workdirs[0])

    def test_holds_the_numbers_of_its_files(self):
        rows = pd.read_csv(self.workdirs[0] / 'results.csv')
        self.assertEqual(self.result.results.columns.tolist(), rows.columns.tolist())
        own = rows[(rows.predictor == 'cnn') & (rows.test_distribution == 'u1_5')]
        table = self.result.table.set_index(['predictor', 'test_distribution'])
        self.assertAlmostEqual(
            table.loc[('cnn', 'u1_5'), 'mse_mean'], own[own.metric == 'mse'].value.mean()
        )
        self.assertEqual(set(self.result.metrics.repeat), {0, 1, 2})
        run = self.result.predictions['u1_10', 2]
        self.assertEqual(run.test_prediction['n5_5_1'].shape, (40,))

    def test_draws_the_figures_of_the_report(self):
        self.assertIn('Figure 2', self.result.figures['figure_2_samples'])
        drawing = self.result.plot('figure_2_samples')
        self.assertEqual([axes.get_title() for axes in drawing.axes[:2]], ['N(0, 2²)', 'N(0, 10²)'])
        self.assertEqual(drawing._repr_png_()[:4], b'\x89PNG')
        with self.assertRaisesRegex(KeyError, 'did you mean learning_curves'):
            self.result.plot('learning_curve')

    def test_shows_its_answers_and_where_it_lies(self):
        text = str(self.result)
        self.assertLessEqual(len(text.splitlines()), 25)
        self.assertIn('Every network beats the baseline.', text)
        self.assertEndsWith(text, f'Workdir: {self.workdirs[0]}')
        page = self.result._repr_html_()
        self.assertIn('Every network beats the baseline.', page)
        self.assertIn('figure_2_samples', page)

    def test_several_are_compared_as_one(self):
        both = imbreg_jax.compare([self.result, self.workdirs[1]])
        self.assertEqual(list(both.study.conditions), ['u1_10', 'u1_5'])
        self.assertIn('U(1, 5)', str(both))
        self.assertIn('ratio to U(1, 10)', both._repr_html_())
        with self.assertRaisesRegex(ValueError, 'networks are those of one study'):
            _ = both.networks
        other = simulated_study.write(self.root / 'seed', {'u1_10': {}}, repeats=1, seed=1)
        with self.assertRaisesRegex(AnalysisError, 'are not paired, so analyse them apart'):
            imbreg_jax.compare([self.result, other])

    def test_writes_its_report_into_a_folder(self):
        with self.assertRaisesRegex(ValueError, 'a report is a folder'):
            self.result.report(self.root / 'report.html')
        # One section's figures are enough.
        few = mock.patch.object(reporting.build, '__defaults__', ((targets.SECTION,),))
        with few:
            page = self.result.report(self.root / 'report')
        self.assertEqual(page, self.root / 'report' / 'report.html')
        self.assertIn('target_densities', page.read_text('utf-8'))
        self.assertTrue((page.parent / 'figures' / 'target_densities.svg').is_file())

    def test_what_is_not_finished_is_refused_at_once(self):
        with self.assertRaisesRegex(WorkdirError, 'no study has been started'):
            imbreg_jax.load(self.create_tempdir().full_path)
        with self.assertRaisesRegex(WorkdirError, 'is no folder'):
            imbreg_jax.load(self.workdirs[0] / 'config.json')

    def test_labels_are_text(self):
        name = '<img src=x onerror=y>'
        workdir = simulated_study.write(
            self.root / 'hostile', {name: {}}, {name: (0.9, 0.01, 0.03)}, repeats=2, images=40
        )
        page = imbreg_jax.load(workdir)._repr_html_()
        self.assertNotIn('<img', page)
        self.assertIn('&lt;img', page)


class TemporaryWorkdirTest(absltest.TestCase):
    def test_lives_as_long_as_who_holds_it(self):
        folder = TemporaryWorkdir('mine')
        folder.path.mkdir()
        root = folder.path.parent
        held = imbreg_jax.StudyResult([folder.path], folder)
        del folder
        self.assertTrue(root.exists())
        del held
        self.assertFalse(root.exists())


if __name__ == '__main__':
    absltest.main()
