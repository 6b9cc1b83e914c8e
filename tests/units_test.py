"""Tests of imbreg_jax.compute.units: every run trains once, in slices that devices share evenly."""

from absl.testing import absltest, parameterized

import small_study
from imbreg_jax.compute import units
from imbreg_jax.study import Run


def _study(repeats=5):
    return small_study.study(
        {'a': {}, 'b': {'training.batch_size': 4}, 'c': {'train_distribution': 'u1_5'}},
        repeats=repeats,
        first_repeat=2,
    )


class CutTest(parameterized.TestCase):
    @parameterized.parameters(1, 2, 3, 4, 7, 15, 99)
    def test_holds_every_run_once_in_units_of_one_program(self, most):
        study = _study()
        parts = units.cut(study, most)
        runs = [run for unit in parts for run in unit.runs]
        self.assertLen(runs, 15)
        self.assertEqual(set(runs), {Run(c, r) for c in range(3) for r in range(2, 7)})
        for unit in parts:
            self.assertLessEqual(len(unit.runs), most)
            self.assertTrue(
                {run.condition_index for run in unit.runs} <= set(study.programs()[unit.program])
            )
        # No more units than there must be, and of one size but for what is left.
        for program, group in enumerate(study.programs()):
            sizes = [len(unit.runs) for unit in parts if unit.program == program]
            self.assertLen(sizes, -(-5 * len(group) // most))
            self.assertLessEqual(max(sizes) - min(sizes[:-1] or sizes), 0)

    def test_is_repeat_major(self):
        self.assertEqual(units.cut(_study(), 3)[0].runs, (Run(0, 2), Run(2, 2), Run(0, 3)))

    def test_goes_on_where_a_study_stands(self):
        """What is done is not done again, whatever the size."""
        study = _study()
        first, *_ = units.cut(study, 4)
        for most in (1, 2, 5, 99):
            parts = units.cut(study, most, first.runs)
            runs = [run for unit in parts for run in unit.runs] + list(first.runs)
            self.assertCountEqual(runs, [run for unit in units.cut(study, 4) for run in unit.runs])


class DealTest(parameterized.TestCase):
    @parameterized.parameters((10, 2, [5, 5]), (5, 2, [3, 2]), (4, 3, [2, 1, 1]), (1, 2, [1, 0]))
    def test_gives_devices_one_run_more_or_less(self, runs, devices, counts):
        self.assertEqual(units.deal(runs, devices), counts)
        every = [Run(0, r) for r in range(runs)]
        found = units.blocks(every, devices)
        self.assertEqual([run for block in found for run in block], every)
        self.assertEqual([len(block) for block in found], counts)

    def test_counts_what_runs_of_a_device_share_once(self):
        unit = units.Unit(0, (Run(0, 2), Run(2, 2), Run(0, 3), Run(2, 3), Run(0, 4)))
        for devices, of_repeats, of_conditions in ((1, 3, 2), (2, 2, 2), (5, 1, 1)):
            found = units.most_tables([unit], devices, lambda run: run.repeat)
            self.assertEqual(found, of_repeats, devices)
            found = units.most_tables([unit], devices, lambda run: run.condition_index)
            self.assertEqual(found, of_conditions, devices)
        self.assertEqual(
            units.tables_of(unit.runs, lambda run: run.repeat),
            {2: Run(0, 2), 3: Run(0, 3), 4: Run(0, 4)},
        )


if __name__ == '__main__':
    absltest.main()
