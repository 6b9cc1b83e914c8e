"""Tests of imbreg_jax.analysis.summary: what is said of a study where there is no page."""

import pathlib

from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import loading, reporting, summary
from imbreg_jax.analysis.paper import section as paper
from imbreg_jax.analysis.sections import comparisons, error_curve, results, warnings

_SECTIONS = (
    warnings.SECTION,
    results.SECTION,
    comparisons.SECTION,
    paper.SECTION,
    error_curve.SECTION,
)


class SummaryTest(absltest.TestCase):
    def _study(self, *args, **options):
        folder = pathlib.Path(self.create_tempdir().full_path)
        study = loading.load([simulated_study.write(folder / 'w', *args, images=40, **options)])
        return study, reporting.contents_of(study, _SECTIONS)

    def _conditions(self, count: int, **options):
        rates = {f'rate_{i}': {'model': {'dense_dropout_rate': 0.05 * i}} for i in range(count)}
        # The greater the rate, the smaller the error.
        scales = {name: (0.7 + 0.02 * i, 0.005, 0.03) for i, name in enumerate(rates)}
        return self._study(rates, scales, repeats=3, test_distributions=('u1_10',), **options)

    def test_of_the_paper_there_are_its_networks_and_a_verdict_on_each_claim(self):
        study, contents = self._study(repeats=10)
        found = summary.summary(study, contents)
        self.assertEqual(
            found.table.title, 'Tested on U(1, 10), mean ± standard deviation of 10 repeats'
        )
        rows = [[cell.text for cell in row] for row in found.table.rows()]
        self.assertEqual(
            [row[0] for row in rows], ['U(1, 10)', 'U(1, 5)', 'N(5.5, 1)', 'random guess']
        )
        held = contents['results'].tables[0].frame
        first = held[(held.predictor == 'cnn') & (held.test_distribution == 'u1_10')].iloc[0]
        self.assertEqual(rows[0][1], f'{first.mse_mean:.3f} ± {first.mse_std:.3f}')
        # Nothing is held against the reference but the others.
        self.assertEqual([row[3] == '—' for row in rows], [True, False, False, True])
        verdicts = {a.sentence: a.verdicts for a in found.answers}
        self.assertLen(verdicts, 6)
        self.assertEqual(verdicts['Every network beats the baseline.'], [('', 'stands')])
        frame = next(t for t in contents['paper'].tables if t.name == 'verdicts').frame
        own = frame[(frame.predictor == 'cnn') & (frame.claim == 3)]
        (given,) = [v for s, v in verdicts.items() if s.startswith('Training on N(5.5, 1)')]
        self.assertEqual({verdict for _, verdict in given}, set(own.status))

    def test_of_many_conditions_the_best_and_the_worst_are_shown(self):
        study, contents = self._conditions(11, diverged=[('rate_10', 1)])
        found = summary.summary(study, contents)
        names = [row[0].text.split(' ')[0] for row in found.table.rows()]
        best = [f'rate_{i}' for i in (10, 9, 8, 7)]
        worst = [f'rate_{i}' for i in (3, 2, 1, 0)]
        self.assertEqual(names[:-1], best + worst)
        self.assertIn('2 to 3 repeats; of 11 conditions the 4 with the least', found.table.title)
        # What touches all numbers comes first.
        self.assertIn('1 diverged and left out', found.answers[0].sentence)

    def test_the_whole_has_every_section_and_every_result(self):
        study, contents = self._conditions(9)
        found = summary.summary(study, contents, whole=True)
        self.assertIs(found.table, contents['results'].tables[0])
        said = {answer.sentence for answer in found.answers}
        self.assertContainsSubset({content.headline for content in contents.values()}, said)

    def test_where_nothing_is_compared_there_are_no_ratios(self):
        study, contents = self._study(
            {'u1_10': {}}, {'u1_10': (0.9, 0.01, 0.03)}, repeats=1, test_distributions=('u1_10',)
        )
        found = summary.summary(study, contents)
        self.assertEqual(found.table.headings, ['trained on', 'MSE', 'MAPE %'])
        self.assertIn('of 1 repeat', found.table.title)


if __name__ == '__main__':
    absltest.main()
