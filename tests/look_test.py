"""A law looks the same in every study, and very many conditions make few figures."""

from unittest import mock

from absl.testing import absltest

import simulated_study
from imbreg_jax.analysis import loading, look


class LookTest(absltest.TestCase):
    def _study(self, laws, **options):
        known = {law: (law, law, simulated_study.LAWS['u1_10'][2]) for law in laws}
        known |= simulated_study.LAWS
        conditions = {f'c{i}': {'train_distribution': law} for i, law in enumerate(laws)}
        networks = dict.fromkeys(conditions, (0.9, 0.01, 0.03))
        options = {'test_distributions': ('u1_10',), 'repeats': 1, 'images': 8} | options
        with mock.patch.dict(simulated_study.LAWS, known):
            folder = self.create_tempdir().full_path
            return loading.load([simulated_study.write(folder, conditions, networks, **options)])

    def test_a_law_looks_the_same_in_every_study(self):
        alone = look.styles(self._study(['u1_5']))
        together = look.styles(self._study(['u1_5', 'u1_10', 'n5_5_1']))
        self.assertEqual(alone['c0'], together['c0'])
        for part in ('color', 'marker', 'line'):
            self.assertLen({getattr(style, part) for style in together.values()}, 3)

    def test_very_many_conditions_make_a_bounded_number_of_figures(self):
        laws = [f'normal({5 + i / 100:g}, 1)' for i in range(120)]
        study = self._study([*laws, *laws[:3], *laws[:2]])
        groups = look.groups(study)
        self.assertLen(groups, 2)
        self.assertLessEqual(max(len(group.conditions) for group in groups), look.MOST_CURVES)
        self.assertEqual(groups[0].conditions, ['c0', 'c120', 'c123'])
        self.assertEqual(groups[0].heading, ', trained on normal(5, 1)')
        few = look.groups(self._study(laws[:3]))
        self.assertEqual(few, [look.Group('', '', ['c0', 'c1', 'c2'])])

    def test_a_figure_says_how_many_of_the_conditions_it_shows(self):
        study = self._study([f'normal({5 + i / 100:g}, 1)' for i in range(30)])
        figures = look.figures(study, 'name', 'Title', 'Caption.', lambda names: None, ['c3'])
        self.assertEqual([figure.name for figure in figures], ['name_other (1)'])
        self.assertIn('The first 24 of 30 conditions', figures[0].caption)

    def test_a_shortened_name_is_given_in_full(self):
        law = 'mixture(' + ', '.join(['normal(5.5, 1), 0.01'] * 30) + ')'
        study = self._study([law])
        figure = look.figure(study, 'name', 'Title', 'Caption.', lambda: None, ['c0'], ['u1_10'])
        self.assertIn(f' is c0 [{law}].', figure.caption)


if __name__ == '__main__':
    absltest.main()
