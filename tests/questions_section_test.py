"""What the report says of questions to remedies, and that its figures show what its tables have."""

import pathlib
import warnings
from unittest import mock

import numpy as np
from absl.testing import absltest

import leaderboard_test
import simulated_study
from imbreg_jax.analysis import canvas, comparison, loading
from imbreg_jax.analysis.registry import SECTIONS
from imbreg_jax.analysis.sections import questions as section

_REMEDIES = ('', 'smogn(relabel=False)', 'smogn(relabel=True)', 'homogeneous()')


def _bias(own):
    cost = {'u1_10': 0.1, 'u1_5': 0.15}[own['train_distribution']]
    return {'smogn(relabel=True)': 0.8 * cost, 'homogeneous()': 0.1}.get(own['remedy'], cost)


def _draw(figure):
    with canvas.settings():
        return figure.draw()


class QuestionsTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        conditions = {
            f'{rate} {name}': {**own, 'model.conv_dropout_rate': rate}
            for rate in (0.5, 0.0)
            for name, own in leaderboard_test.grid(_REMEDIES).items()
        }
        folder = pathlib.Path(absltest.TEST_TMPDIR.value) / 'questions'
        cls.study = leaderboard_test.write(
            folder, conditions, _bias, repeats=6, images=100, strata=leaderboard_test.strata
        )
        cls.content = section.SECTION.build(cls.study)

    def test_it_stands_after_the_leaderboard_and_is_of_studies_with_remedies(self):
        names = [each.name for each in SECTIONS]
        self.assertEqual(names[names.index('leaderboard') + 1], 'questions')
        self.assertTrue(section.SECTION.applies(self.study))
        plain = leaderboard_test.write(
            self.create_tempdir().full_path, leaderboard_test.grid(('',)), repeats=1
        )
        self.assertFalse(section.SECTION.applies(plain))

    def test_the_headline_counts_what_the_tests_show(self):
        self.assertEqual(
            self.content.headline,
            'Something helps on targets that training has none of: of 6 ratios of MAE to no remedy '
            '6 better, 0 worse, 0 same within the margin, 0 undecided. Held against relabel=False, '
            'another value makes the MSE 4 better, 0 worse, 0 same within the margin, 0 undecided '
            '(of 4). Imbalance is shown to be irrelevant to the MSE (same within the margin as '
            'under U(1, 10)) in 2 of 8 cases; under every law with homogeneous, conv_dropout_rate '
            '= 0.5 (std), homogeneous, conv_dropout_rate = 0 (std). From std, conv_dropout_rate = '
            '0.5 to std, conv_dropout_rate = 0: of 6 ratios of MSE to no remedy 0 are better under '
            'the first, 0 worse, 6 same within the margin. Averaged with a plain network, 4 of 6 '
            'remedied ones are shown to be better than it on the rarest targets and no worse on '
            'frequent ones; alone 4.',
        )

    def test_every_number_says_where_it_is_from(self):
        names = [table.name for table in self.content.tables]
        wanted = 'missing parameters laws settings kept averaged'.split()
        self.assertEqual(names, [f'questions_{name}' for name in wanted])
        for table in self.content.tables:
            self.assertNotEmpty(table.frame)
            for row in table.rows():
                for heading, cell in zip(table.headings, row, strict=True):
                    if cell.kind == 'number' and cell.key != '':
                        self.assertRegex(cell.source, 'results.csv|predictions.npz', heading)

    def test_paragraphs_give_the_farthest_with_its_interval(self):
        note = next(n for n in self.content.notes if n.startswith('Remedies by one parameter'))
        self.assertRegex(note, r'Most better: smogn\(relabel=True\).*: 0\.\d+ \[0\.\d+, 0\.\d+\]')
        self.assertLen(self.content.notes, 6)

    def test_what_is_drawn_is_what_the_tables_have(self):
        tables = {table.name: table.frame for table in self.content.tables}
        self.assertLen(self.content.figures, 5)
        for figure in self.content.figures:
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                axes = _draw(figure).axes
            own = tables[figure.name]['ratio'].to_numpy(float)
            drawn = np.concatenate(
                [held.lines[0].get_xdata() for each in axes for held in each.containers]
            )
            self.assertNotEmpty(drawn)
            self.assertContainsSubset(drawn.tolist(), own.tolist())
            low, high = axes[0].get_xlim()
            margin = comparison.margin(self.study)
            self.assertTrue(low < 1 - margin and high > 1 + margin)

    def test_what_cannot_be_said_is_left_out(self):
        conditions = leaderboard_test.grid(('', 'inverse()', 'fds()'))
        for options in (
            {'repeats': 1},
            {'repeats': 2, 'diverged': [('u1_5 none', 0), ('u1_5 none', 1), ('u1_5 fds()', 1)]},
        ):
            with self.subTest(str(options)), warnings.catch_warnings():
                warnings.simplefilter('error')
                folder = self.create_tempdir().full_path
                study = leaderboard_test.write(folder, conditions, **options)
                content = section.SECTION.build(study)
                self.assertNotRegex(' '.join([content.headline, *content.notes]), r'\bnan\b')
                for figure in content.figures:
                    canvas.finish(figure.name, figure.title, figure.caption, _draw(figure))

    def test_a_law_that_is_not_known_any_more_leaves_errors_without_strata(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        conditions = {
            'none': leaderboard_test.of('', 'u1_5'),
            'lds': leaderboard_test.of('lds()', 'u1_5'),
        }
        laws = {**simulated_study.LAWS, 'u1_5': ('gone', 'gone_law(3)', lambda u: 1 + 4 * u)}
        with mock.patch.object(simulated_study, 'LAWS', laws):
            simulated_study.write(
                folder, conditions, dict.fromkeys(conditions, (0.9, 0.01, 0.02)),
                test_distributions=('u1_10',), repeats=4, images=40,
            )  # fmt: skip
        tables = {t.name: t for t in section.SECTION.build(loading.load([folder])).tables}
        self.assertEmpty(tables['questions_kept'].frame)
        self.assertEqual(set(tables['questions_averaged'].frame['metric']), {'mse', 'mape', 'mae'})


if __name__ == '__main__':
    absltest.main()
