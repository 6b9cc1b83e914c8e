"""Tests of imbreg_jax.compute.run_axis: runs on devices in order, each with its device's data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest

import small_study
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.compute.run_axis import Layout, RunAxis


class RunAxisTest(absltest.TestCase):
    def _layout(self, capacity, devices, mapping='map'):
        if jax.device_count() < devices:
            self.skipTest('one device, fixed before this test was loaded')
        plan = plan_lib.make(small_study.study(), jax.devices()[:devices], 2**34)
        plan = dataclasses.replace(plan, mapping=mapping)
        return Layout(plan, jax.devices()[:devices], capacity)

    def _axis(self, layout, runs):
        return RunAxis(layout, [(0, repeat) for repeat in range(runs)])

    def test_spreads_and_fetches_runs_in_order(self):
        for capacity, runs, devices in ((4, 4, 2), (4, 3, 2), (5, 1, 2), (3, 3, 1), (6, 2, 1)):
            axis = self._axis(self._layout(capacity, devices), runs)
            values = np.arange(2.0 * runs).reshape(runs, 2)
            spread = axis.spread({'a': values})['a']
            self.assertLen(spread, devices * -(-capacity // devices))
            np.testing.assert_array_equal(axis.fetch({'a': spread})['a'], values)
            # What fills a block up is a run again: nothing that a sound run does not do.
            for row in np.asarray(spread):
                self.assertIn(row.tolist(), values.tolist())

    def test_deals_runs_evenly(self):
        axis = self._axis(self._layout(8, 2), 5)
        self.assertEqual([len(block) for block in axis.blocks], [3, 2])

    def test_computes_every_run_with_its_devices_data(self):
        function = lambda _, run, device, shared: run * shared['by'] + device[0]  # noqa: E731
        for mapping, at_once in (('map', 0), ('vmap', 0), ('vmap', 1), ('vmap', 2)):
            layout = self._layout(6, 2, mapping)
            program = layout.compile(function, at_once)
            for count in (6, 5, 2):
                axis = self._axis(layout, count)
                data = axis.per_device(np.array([100.0, 200.0]))
                shared = axis.shared | {'by': np.float32(2)}
                found = axis.fetch(program((), axis.spread(np.arange(float(count))), data, shared))
                first = -(-count // 2)
                wanted = [2 * i + (100 if i < first else 200) for i in range(count)]
                np.testing.assert_array_equal(found, wanted)

    def test_takes_no_time_for_places_without_a_run(self):
        """Which device has how many runs is data: a loop over its own, and no more."""
        layout = self._layout(8, 1)

        def counted(_, run, __, shared):
            # What runs computed before this one would leave, if all places were.
            return run + shared['counts'][0]

        program = layout.compile(counted)
        axis = self._axis(layout, 3)
        out = program((), axis.spread(np.arange(3.0)), (), axis.shared)
        # Places that hold a copy of the last run, 2, are zeros and not 2 + 3.
        np.testing.assert_array_equal(out, [3, 4, 5, 0, 0, 0, 0, 0])

    def test_units_of_any_number_of_runs_share_a_compilation(self):
        layout, traced = self._layout(4, 1), []

        def function(_, run, __, ___):
            traced.append(1)
            return jnp.sin(run)

        program = layout.compile(function)
        for runs in (4, 1, 3):
            axis = self._axis(layout, runs)
            program((), axis.spread(np.arange(float(runs))), (), axis.shared)
            if runs == 4:
                once = len(traced)
        self.assertLen(traced, once)


if __name__ == '__main__':
    absltest.main()
