"""What remedies are said to cost beside no remedy."""

import dataclasses
import math
import pathlib

import numpy as np
from absl.testing import absltest

import simulated_remedies
from imbreg_jax.analysis import cost, loading, places


class CostTest(absltest.TestCase):
    def _study(self, *parts):
        """Parts, each {condition: (fields, images, seconds)}, joined."""
        root = pathlib.Path(self.create_tempdir().full_path)
        folders = [root / str(i) for i in range(len(parts))]
        for folder, part in zip(folders, parts, strict=True):
            simulated_remedies.write(folder, {k: v[0] for k, v in part.items()}, repeats=1)
        study = loading.load(folders)
        for header, part in zip(study.headers, parts, strict=True):
            header['timing']['conditions'] = {
                name: {'images': images, 'seconds': seconds}
                for name, (_, images, seconds) in part.items()
            }
        return study

    def test_is_the_geometric_mean_over_laws_of_what_is_known(self):
        of = simulated_remedies.of
        study = self._study(
            {
                'none': (of(), 100, 10.0),
                'a': (of('a()'), 200, 30.0),
                'none 5': (of(law='u1_5'), 100, 10.0),
                'a 5': (of('a()', 'u1_5'), 200, 120.0),
                # A version that did not count its time began it.
                'b 5': (of('b()', 'u1_5'), 1000, None),
            }
        )
        frame = cost.table(study, places.places(study)[0]).set_index('remedy')
        np.testing.assert_allclose(frame.loc['', ['passes', 'time']].astype(float), 1)
        np.testing.assert_allclose(frame.loc['a()', ['passes', 'time']].astype(float), [2, 6])
        self.assertAlmostEqual(frame.loc['b()', 'passes'], 10)
        self.assertTrue(math.isnan(frame.loc['b()', 'time']))

    def test_times_of_two_studies_are_never_compared(self):
        of = simulated_remedies.of
        first = {'none': (of(), 100, 10.0), 'a': (of('a()'), 100, 15.0)}
        study = self._study(first, {'b': (of('b()'), 300, 99.0)})
        ((place,), _) = places.places(study)
        none, a, b = place.entries
        self.assertEqual(cost.relative(study, a, none), (1.0, 1.5))
        passes, time = cost.relative(study, b, none)
        self.assertEqual(passes, 3.0)
        self.assertTrue(math.isnan(time))

    def test_of_a_study_of_before_nothing_is_known(self):
        root = self.create_tempdir().full_path
        study = simulated_remedies.write(root, simulated_remedies.grid(('', 'a()')), repeats=1)
        self.assertFalse(cost.known(study))
        none, a = places.places(study)[0][1].entries
        self.assertTrue(np.isnan(cost.relative(study, a, none)).all())

    def test_a_time_is_the_median_over_rates_and_workdirs_whichever_was_chosen(self):
        parts = []
        # One of them on a machine that had other work to do.
        for rate, seconds in ((1e-3, 15.0), (1e-2, 10.0), (1e-1, 400.0)):
            fields = {'training__learning_rate': rate}
            parts.append({
                f'none {rate}': (simulated_remedies.of(**fields), 100, 10.0),
                f'a {rate}': (simulated_remedies.of('a()', **fields), 100, seconds),
            })  # fmt: skip
        study = self._study(*parts)
        ((place,), _) = places.places(study)
        none, a = place.entries
        for condition in a.conditions:
            chosen = dataclasses.replace(a, condition=condition)
            self.assertEqual(cost.relative(study, chosen, none), (1.0, 1.5))


if __name__ == '__main__':
    absltest.main()
