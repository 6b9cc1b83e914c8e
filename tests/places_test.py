"""Where remedies stand beside no remedy, and which rate is chosen for each."""

import json
import pathlib

from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import leaderboard, loading, places
from imbreg_jax.analysis.sections import leaderboard as section
from simulated_remedies import grid, of, write

_RATE = places.RATE


class PlacesTest(absltest.TestCase):
    def _study(self, conditions, *arguments, **options):
        return write(self.create_tempdir().full_path, conditions, *arguments, **options)

    def test_remedies_stand_beside_none_alike_in_everything_else(self):
        budgets = {
            f'{task} {r or "none"}': of(r, task__name=task, training__learning_rate=rate)
            for task, rate in (('std', 1e-6), ('median', 1e-3))
            for r in ('', 'inverse()')
        }
        cases = {
            'two laws': (
                grid(('', 'inverse()', 'fds()')),
                [('std', 'uniform(1, 10)', 2), ('std', 'uniform(1, 5)', 2)],
                [],
            ),
            # What a task's budget sets is no change within it.
            'tasks with budgets': (
                budgets,
                [('std', 'uniform(1, 10)', 1), ('median', 'uniform(1, 10)', 1)],
                [],
            ),
            'another setting': (
                {
                    f'{r or "none"} {rate}': of(r, model__conv_dropout_rate=rate)
                    for rate in (0, 0.5)
                    for r in ('', 'inverse()')
                },
                [
                    ('std, conv_dropout_rate = 0.5', 'uniform(1, 10)', 1),
                    ('std, conv_dropout_rate = 0', 'uniform(1, 10)', 1),
                ],
                [],
            ),
            'two changes at once': (
                {
                    'none': of(),
                    'a': of('inverse()'),
                    'b': of('fds()', model__conv_dropout_rate=0.1),
                },
                [('std', 'uniform(1, 10)', 1)],
                ['b'],
            ),
            'a change that always comes with the remedy': (
                {'none': of(), 'a': of('inverse()', model__conv_dropout_rate=0.1)},
                [],
                ['a'],
            ),
            'no partner of its law': (
                {**grid(('', 'inverse()'), ('u1_10',)), 'alone': of('fds()', 'u1_5')},
                [('std', 'uniform(1, 10)', 1)],
                ['alone'],
            ),
            'no remedy': (grid(('',)), [], []),
            'remedies alone': (grid(('inverse()', 'fds()'), ('u1_10',)), [], None),
        }
        for name, (conditions, expected, lone) in cases.items():
            with self.subTest(name):
                study = self._study(conditions, repeats=1)
                found, left = places.places(study)
                shown = [(p.setting, p.law, len(p.entries) - 1) for p in found]
                if name == 'two changes at once':
                    # Told apart from the other value of the setting.
                    shown = [(s.partition(',')[0], *more) for s, *more in shown]
                self.assertEqual(shown, expected)
                for place in found:
                    self.assertEqual(place.entries[0].remedy, '')
                self.assertEqual(left, list(conditions) if lone is None else lone)

    def test_a_rate_is_chosen_by_validation_before_anything_is_compared(self):
        best = {'': 1e-3, 'inverse()': 1e-2}
        conditions = {
            f'{r or "none"} {rate}': of(r, training__learning_rate=rate)
            for r in best
            for rate in (1e-4, 1e-3, 1e-2)
        }
        study = self._study(
            conditions,
            # On test images other rates are best: none of it may count.
            lambda own: 0.05 if own[_RATE] == 1e-4 else 0.1,
            validation=lambda own: 1.0 if own[_RATE] == best[own['remedy']] else 2.0,
        )
        ((place,), lone) = places.places(study)
        self.assertEmpty(lone)
        for entry in place.entries:
            self.assertEqual(entry.rate, best[entry.remedy])
            self.assertEqual(entry.condition, f'{entry.remedy or "none"} {entry.rate}')
            self.assertEqual(entry.tried, (1e-4, 1e-3, 1e-2))
        self.assertEqual(set(leaderboard.table(study, [place], {})['rates_tried']), {3})
        self.assertEqual(places.at_ends([place]), (0, 1, 2))
        self.assertEmpty(places.unfinished(study))

    def test_rates_are_chosen_over_the_repeats_that_all_were_tried_in(self):
        folders, validation = [], {'none': (1.0, 9.0), 'inverse()': (3.0, 0.1)}
        for rate, repeats in ((1e-3, 4), (1e-2, 2)):
            conditions = {
                f'{r} {rate}': of(r.replace('none', ''), training__learning_rate=rate)
                for r in validation
            }
            folders.append(pathlib.Path(self.create_tempdir().full_path))
            write(folders[-1], conditions, repeats=repeats, validation=lambda own: 2.0)
        path = folders[0] / 'metrics.jsonl'
        rows = [json.loads(line) for line in path.read_text('utf-8').splitlines()]
        for row in rows:
            name, _ = row['condition'].split()
            row['validation_mse'] = validation[name][row['repeat'] >= 2]
        path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows), 'utf-8')
        simulated_study.seal(folders[0])
        study = loading.load(folders)
        ((place,), _) = places.places(study)
        # Over all of their repeats both would be the other.
        self.assertEqual([entry.rate for entry in place.entries], [1e-3, 1e-2])
        # What is left to be trained is the chosen one that has two repeats of four.
        left = [('inverse() 0.01', 2, 4, ('',))]
        self.assertEqual([*places.unfinished(study).itertuples(index=False, name=None)], left)
        # More repeats of another task leave nothing of this one.
        elsewhere = {f'far {r}': of(r, task__name='mean') for r in ('', 'inverse()')}
        folders.append(pathlib.Path(self.create_tempdir().full_path))
        write(folders[-1], elsewhere, repeats=6)
        more = places.unfinished(loading.load(folders))
        self.assertEqual([*more.itertuples(index=False, name=None)], left)
        content = section.SECTION.build(study)
        (shown,) = (table for table in content.tables if table.name == 'leaderboard_unfinished')
        self.assertEqual(shown.frame['chosen_under'].tolist(), ['the training law'])
        self.assertStartsWith(content.notes[0], 'Not to be read yet: 1 of the conditions')

    def test_a_rate_at_which_a_repeat_diverges_is_not_chosen(self):
        conditions = {
            f'{r or "none"} {rate}': of(r, training__learning_rate=rate)
            for r in ('', 'inverse()')
            for rate in (1e-3, 1e-2)
        }
        study = self._study(
            conditions,
            validation=lambda own: 1.0 if own[_RATE] == 1e-2 else 2.0,
            diverged=[('inverse() 0.01', 0)],
        )
        ((place,), _) = places.places(study)
        self.assertEqual([entry.rate for entry in place.entries], [1e-2, 1e-3])

    def test_a_rate_at_which_all_repeats_diverge_was_tried_all_the_same(self):
        conditions = {
            f'{r or "none"} {rate}': of(r, training__learning_rate=rate)
            for r in ('', 'inverse()', 'fds()')
            for rate in (1e-3, 1e-2)
        }
        lost = [('none 0.01', 0), ('none 0.01', 1), ('none 0.01', 2)]
        # Of rates at which repeats diverge, that which loses the fewest.
        lost += [('inverse() 0.001', k) for k in range(3)] + [('inverse() 0.01', 0)]
        lost += [(f'fds() {rate}', k) for rate in (1e-3, 1e-2) for k in range(3)]
        study = self._study(conditions, repeats=3, diverged=lost)
        ((place,), lone) = places.places(study)
        self.assertEqual(
            [(e.remedy, e.rate) for e in place.entries], [('', 1e-3), ('inverse()', 1e-2)]
        )
        self.assertEqual({entry.tried for entry in place.entries}, {(1e-3, 1e-2)})
        self.assertEmpty(lone)

    def test_other_rates_than_no_remedy_had_are_no_fair_comparison(self):
        conditions = {
            f'{r or "none"} {rate}': of(r, training__learning_rate=rate)
            for r, rates in (('', (1e-3,)), ('inverse()', (1e-3,)), ('fds()', (1e-3, 1e-2)))
            for rate in rates
        }
        study = self._study(conditions, repeats=2)
        ((place,), lone) = places.places(study)
        self.assertEqual([entry.remedy for entry in place.entries], ['', 'inverse()'])
        self.assertEqual(lone, ['fds() 0.001', 'fds() 0.01'])


if __name__ == '__main__':
    absltest.main()
