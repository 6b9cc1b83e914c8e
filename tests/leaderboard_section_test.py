"""What the report says of remedies, and that its figures show the numbers of its tables."""

import warnings

import numpy as np
from absl.testing import absltest
from scipy import stats

import simulated_remedies
from imbreg_jax.analysis import canvas, comparison, leaderboard, places
from imbreg_jax.analysis.registry import SECTIONS
from imbreg_jax.analysis.sections import leaderboard as section

_TASK = 'task.name'
_BIASES = {'': 0.1, 'inverse()': 0.08, 'fds()': 0.12}


def _bias(own):
    return 0.1 if own['train_distribution'] == 'u1_10' else _BIASES[own['remedy']]


def _draw(figure):
    with canvas.settings():
        return figure.draw()


def _named(content, name):
    return next(table for table in content.tables if table.name == name)


class LeaderboardSectionTest(absltest.TestCase):
    def _study(self, conditions, *arguments, **options):
        return simulated_remedies.write(self.create_tempdir().full_path, conditions, *arguments,
                                      **options)  # fmt: skip

    def test_it_stands_after_doses_and_is_of_studies_with_a_remedy_beside_none_alone(self):
        names = [s.name for s in SECTIONS]
        self.assertEqual(names[names.index('dose-response') + 1], 'leaderboard')
        grid = simulated_remedies.grid
        for remedies, expected in (
            (('', 'a()'), True),
            (('',), False),
            (('a()', 'b()'), False),
        ):
            study = self._study(grid(remedies), repeats=1)
            self.assertEqual(section.SECTION.applies(study), expected)

    def test_the_headline_counts_and_names_what_the_tests_show(self):
        study = self._study(simulated_remedies.grid(_BIASES), _bias)
        self.assertEqual(
            section.SECTION.build(study).headline,
            'Against no remedy, of 2 comparisons of MSE on U(1, 10) under imbalance 1 better, 1 '
            'worse, 0 same within the margin, 0 undecided; winners: inverse (1 of 1); losers: fds '
            '(1 of 1); without imbalance 2 of 2 leave the error the same.',
        )

    def test_no_remedy_is_said_to_help_where_none_is_shown_to(self):
        study = self._study(simulated_remedies.grid(('', 'fds()')), _bias)
        self.assertIn('; no remedy is shown to help', section.SECTION.build(study).headline)
        balanced = self._study(simulated_remedies.grid(('', 'fds()'), ('u1_10',)), _bias)
        self.assertEqual(
            section.SECTION.build(balanced).headline,
            'No remedy is held against none under imbalance, in MSE on U(1, 10); without imbalance '
            '1 of 1 leave the error the same.',
        )

    def test_every_law_has_an_answer_and_the_best_an_interval_of_all_at_once(self):
        study = self._study(simulated_remedies.grid(_BIASES), _bias)
        content = section.SECTION.build(study)
        table = _named(content, 'leaderboard_answers')
        balanced, missing = table.frame.to_dict('records')
        self.assertEqual(balanced['answer'], 'nothing is shown to help')
        self.assertEqual(missing['answer'], 'inverse alone helps')
        self.assertEqual([balanced['compared'], missing['compared']], [2, 2])
        self.assertEqual([balanced['better'], missing['better'], missing['worse']], [0, 1, 1])
        self.assertTrue(np.isnan(balanced['ratio']))
        logs = np.log(
            study.values('cnn', 'u1_5 inverse()', 'u1_10', 'mse')
            / study.values('cnn', 'u1_5 none', 'u1_10', 'mse')
        )
        # Two remedies at once: each at 1 - .05 / 2.
        wanted = stats.t.interval(0.975, 7, logs.mean(), stats.sem(logs))
        np.testing.assert_allclose(np.log([missing['low'], missing['high']]), wanted)
        self.assertAlmostEqual(missing['ratio'], np.exp(logs.mean()))

    def test_every_test_law_has_an_answer_and_harm_counts_on_each(self):
        study = self._study(
            simulated_remedies.grid(_BIASES), _bias, test_distributions=('u1_10', 'u1_5')
        )
        table = _named(section.SECTION.build(study), 'leaderboard_answers')
        places = table.frame[['law', 'test_distribution', 'better', 'worse']].values.tolist()
        # On U(1, 5) what was trained on it is what has no imbalance.
        whole, part = 'uniform(1, 10)', 'uniform(1, 5)'
        self.assertEqual(
            places,
            [[whole, 'u1_10', 0, 0], [part, 'u1_10', 1, 1],
             [whole, 'u1_5', 0, 0], [part, 'u1_5', 1, 1]],
        )  # fmt: skip
        for row in table.rows():
            self.assertIn(row[table.headings.index('tested on')].text, ('U(1, 10)', 'U(1, 5)'))

    def test_a_gain_within_the_margin_is_told_as_such(self):
        names = {'a()': 'a', 'b()': 'b'}
        for better, slight, expected in (
            (0, 0, 'nothing is shown to help'),
            (1, 0, 'a alone helps'),
            (1, 1, 'a alone helps, by less than the margin'),
            (3, 0, '3 help, a with the least ratio'),
            (3, 2, '3 help, 2 by less than the margin, a with the least ratio'),
        ):
            row = {'best': 'a()' if better else '', 'better': better, 'slight': slight}
            self.assertEqual(section.answer(row, names), expected)
        # Errors go with the square of what a network's predictions are away from the target.
        biases = {'': 0.1, 'a()': 0.099, 'b()': 0.08}
        study = self._study(
            simulated_remedies.grid(biases, ('u1_5',)),
            lambda own: biases[own['remedy']],
            repeats=20,
        )
        (row,) = _named(section.SECTION.build(study), 'leaderboard_answers').frame.to_dict(
            'records'
        )
        self.assertEqual(row['answer'], '2 help, 1 by less than the margin, b with the least ratio')
        self.assertGreater(row['detectable'], 1)

    def test_what_a_factor_hid_is_told_beside_what_it_was(self):
        content = section.SECTION.build(self._study(simulated_remedies.grid(_BIASES), _bias))
        (said,) = (note for note in content.notes if 'the one factor that fits' in note)
        scaled = _named(content, 'leaderboard_answers_scaled').frame
        self.assertEqual(scaled['better'].sum(), 0)
        self.assertStartsWith(said, 'Of 1 ratios of MSE on U(1, 10) that are better, once every')
        self.assertEndsWith(said, '1 the same within the margin. Of 3 others none are better then.')

    def test_says_where_sign_flips_can_show_nothing(self):
        for repeats, told in ((5, True), (8, False)):
            study = self._study(simulated_remedies.grid(_BIASES), _bias, repeats=repeats)
            said = ' '.join(section.SECTION.build(study).notes)
            # Two remedies, all signs alike: 2 · 2 / 2^n.
            self.assertEqual('Sign flips of 5 repeats cannot show' in said, told, repeats)

    def test_what_is_better_here_and_worse_there_is_on_neither_side(self):
        conditions = simulated_remedies.grid(('', 'a()'), ('u1_5', 'n5_5_1'))
        study = self._study(
            conditions,
            lambda own: (
                0.1 if not own['remedy'] else 0.08 if 'u1' in own['train_distribution'] else 0.12
            ),
        )
        headline = section.SECTION.build(study).headline
        self.assertIn('1 better in some and worse in others', headline)
        self.assertNotRegex(headline, 'winners|losers')

    def test_what_costs_more_or_stands_under_fewer_laws_is_named(self):
        specs = ('', 'inverse()', 'conr()', 'ensemble(size=3) + rnc()', 'own_of_nobody()')
        conditions = simulated_remedies.grid(specs, ('u1_10', 'u1_5', 'n5_5_1'))
        del conditions['u1_5 inverse()']
        content = section.SECTION.build(self._study(conditions, repeats=2))
        cost = [note for note in content.notes if 'Not all cost the same' in note]
        self.assertLen(cost, 1)
        self.assertIn('counted: conr 2, ensemble + rnc 6; of all others', cost[0])
        notes = _named(content, 'leaderboard').notes
        self.assertIn('Under fewer laws than others: inverse.', ' '.join(notes))
        alike = section.SECTION.build(self._study(simulated_remedies.grid(_BIASES), repeats=2))
        said = ' '.join([*alike.notes, *_named(alike, 'leaderboard').notes])
        self.assertNotRegex(said, 'cost|fewer laws')

    def test_every_number_says_where_it_is_from(self):
        study = self._study(
            simulated_remedies.grid(_BIASES), _bias, strata=simulated_remedies.strata
        )
        content = section.SECTION.build(study)
        names = [
            'leaderboard_answers',
            'leaderboard_answers_scaled',
            'leaderboard',
            'neutrality',
            'leaderboard_by_law',
        ]
        self.assertEqual([table.name for table in content.tables], names)
        for table in content.tables:
            self.assertNotEmpty(table.frame)
            for row in table.rows():
                self.assertLen(row, len(table.columns))
                for heading, cell in zip(table.headings, row, strict=True):
                    if cell.kind == 'number' and cell.key != '':
                        self.assertIn('results.csv', cell.source, f'{table.name}: {heading}')

    def test_what_the_test_law_chooses_stands_beside_and_says_what_it_assumes(self):
        conditions = {
            f'{r or "none"} {rate}': simulated_remedies.of(r, 'u1_5', training__learning_rate=rate)
            for r in ('', 'a()')
            for rate in (1e-3, 1e-2)
        }
        study = self._study(
            conditions,
            lambda own: 0.08 if own['remedy'] else 0.1,
            selection=lambda own, law: 1 if own[places.RATE] == 1e-3 or law else 2,
        )
        content = section.SECTION.build(study)
        said = ' '.join(content.notes)
        self.assertIn('rarely at hand. Both choose the same rate in 2 of 2 cases under', said)
        for table in (_named(content, 'leaderboard'), _named(content, 'leaderboard_by_law')):
            at = table.headings.index('ratio, test law’s rate')
            values = [row[at].key for row in table.rows() if row[at].key]
            main = table.headings.index('ratio')
            self.assertEqual(values, [row[main].key for row in table.rows() if row[main].key])
            self.assertNotEmpty(values)
        answers = _named(content, 'leaderboard_answers_informed')
        self.assertIn('of the test law', answers.title)
        self.assertEqual(list(answers.frame['best']), ['a()'])
        plain = section.SECTION.build(self._study(simulated_remedies.grid(_BIASES), repeats=1))
        self.assertNotIn('leaderboard_answers_informed', [table.name for table in plain.tables])
        self.assertNotIn('rarely at hand', ' '.join(plain.notes))
        for table in plain.tables:
            self.assertNotIn('ratio, test law’s rate', table.headings)
            self.assertNotIn('time', table.headings)

    def test_costs_stand_beside_where_the_study_says_what_conditions_took(self):
        study = self._study(simulated_remedies.grid(_BIASES), repeats=1)
        study.headers[0]['timing']['conditions'] = {
            name: {'images': 200 if 'fds' in name else 100, 'seconds': 30 if 'fds' in name else 10}
            for name in study.conditions
        }
        table = _named(section.SECTION.build(study), 'leaderboard')
        places = [table.headings.index(name) for name in ('remedy', 'image passes', 'time')]
        shown = {row[places[0]].text: [row[i].text for i in places[1:]] for row in table.rows()}
        self.assertEqual(shown['fds'], ['2.00', '3.00'])
        self.assertEqual(shown['inverse'], ['1.00', '1.00'])

    def test_neutrality_is_of_the_law_that_is_the_test_law_alone(self):
        study = self._study(
            simulated_remedies.grid(('', 'a()')), test_distributions=('u1_10', 'u1_5')
        )
        table = next(t for t in section.SECTION.build(study).tables if t.name == 'neutrality')
        rows = table.frame[table.frame['metric'] == 'mse']
        # A law of missing targets misses none on itself.
        self.assertEqual(
            list(rows[['condition', 'test_distribution']].itertuples(index=False, name=None)),
            [('u1_10 a()', 'u1_10'), ('u1_5 a()', 'u1_5')],
        )
        self.assertEqual(set(rows['neutrality']), {'same within the margin'})

    def test_ratios_are_drawn_where_the_table_has_them(self):
        study = self._study(simulated_remedies.grid(_BIASES), _bias)
        content = section.SECTION.build(study)
        (figure,) = content.figures
        (axes,) = _draw(figure).axes
        labels = [text.get_text() for text in axes.get_yticklabels()]
        self.assertEqual(labels, ['inverse  1', 'fds  2'])
        table = next(t for t in content.tables if t.name == 'leaderboard_by_law').frame
        rows = table[table['metric'] == 'mse'].set_index(['law', 'remedy'])
        self.assertLen(axes.containers, 2)
        for container, law in zip(
            axes.containers, ('uniform(1, 10)', 'uniform(1, 5)'), strict=True
        ):
            drawn = dict(
                zip(
                    np.round(container.lines[0].get_ydata()),
                    container.lines[0].get_xdata(),
                    strict=True,
                )
            )
            expected = [rows.loc[(law, remedy), 'ratio'] for remedy in ('inverse()', 'fds()')]
            np.testing.assert_array_equal([drawn[0], drawn[1]], expected)
        margin = comparison.margin(study)
        low, high = axes.get_xlim()
        self.assertTrue(low < 1 - margin and high > 1 + margin)
        self.assertEqual(axes.get_xscale(), 'log')

    def test_gains_are_drawn_against_losses(self):
        study = self._study(simulated_remedies.grid(_BIASES), strata=simulated_remedies.strata)
        content = section.SECTION.build(study)
        figure = content.figures[1]
        self.assertIn('U(1, 5): MAE, zero-shot', figure.caption)
        (axes,) = _draw(figure).axes
        frame = next(t for t in content.tables if t.name == 'leaderboard_by_law').frame
        expected = leaderboard.rarest(frame)[['many', 'rarest']].to_numpy(float)
        (container,) = axes.containers
        np.testing.assert_array_equal(container.lines[0].get_xydata(), expected)
        # Both points have their number.
        texts = [text.get_text() for text in axes.texts]
        self.assertContainsSubset({'1', '2'}, texts)

    def test_many_remedies_and_tasks_are_drawn_as_far_as_can_be_read(self):
        remedies = ['', *(f'inverse(bins={k})' for k in range(2, 45))]
        tasks = ('std', 'median', 'mean', 'disc_radius')
        conditions = {
            f'{task} {name}': {**own, _TASK: task}
            for task in tasks
            for name, own in simulated_remedies.grid(remedies, ('u1_5',)).items()
        }
        study = self._study(conditions, repeats=2, images=4)
        figures = section.SECTION.build(study).figures
        self.assertEqual([f.name for f in figures], ['leaderboard', 'leaderboard_2'])
        self.assertIn('first 40 of 43 remedies', figures[0].caption)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            first, second = map(_draw, figures)
        self.assertEqual([axes.get_title() for axes in first.axes], list(tasks[:3]))
        self.assertLen(second.axes, 1)
        self.assertLen(first.axes[0].get_yticks(), 40)

    def test_what_cannot_be_said_is_left_out(self):
        cases = {
            'one repeat': {'repeats': 1},
            'a remedy diverged': {
                'repeats': 2,
                'diverged': [('u1_5 inverse()', 0), ('u1_5 inverse()', 1), ('u1_5 fds()', 0)],
            },
        }
        for name, options in cases.items():
            with self.subTest(name), warnings.catch_warnings():
                warnings.simplefilter('error')
                study = self._study(simulated_remedies.grid(_BIASES), **options)
                content = section.SECTION.build(study)
                self.assertRegex(content.headline, r'^[^\n]{10,}\.$')
                self.assertNotRegex(content.headline, r'\bnan\b|n/a')
                self.assertIn('Ranks are given an interval of 6 repeats or more.', content.notes)
                for figure in content.figures:
                    canvas.finish(figure.name, figure.title, figure.caption, _draw(figure))


if __name__ == '__main__':
    absltest.main()
