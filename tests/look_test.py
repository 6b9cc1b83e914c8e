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

    def test_of_very_many_conditions_the_first_are_drawn_and_the_caption_says_so(self):
        study = self._study([f'normal({5 + i / 100:g}, 1)' for i in range(30)])
        self.assertEqual(look.drawn(study), [f'c{i}' for i in range(look.MOST_CURVES)])
        self.assertIn('The first 12 of 30 conditions', look.left_out(study))
        self.assertLen({look.styles(study)[name] for name in look.drawn(study)}, look.MOST_CURVES)
        few = self._study(['u1_10', 'u1_5'])
        self.assertEqual((look.drawn(few), look.left_out(few)), (['c0', 'c1'], ''))

    def test_a_shortened_name_is_given_in_full(self):
        law = 'mixture(' + ', '.join(['normal(5.5, 1), 0.01'] * 30) + ')'
        study = self._study([law])
        figure = look.figure(study, 'name', 'Title', 'Caption.', lambda: None, ['c0'], ['u1_10'])
        self.assertIn(f' is c0 [{law}].', figure.caption)


if __name__ == '__main__':
    absltest.main()
