"""Tests of imbreg_jax.compute.run_axis: runs on devices in order, each with its device's data."""

import dataclasses

import jax
import numpy as np
from absl.testing import absltest

import small_study
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.compute.run_axis import RunAxis


class RunAxisTest(absltest.TestCase):
    def _axis(self, runs, devices, mapping='map'):
        if jax.device_count() < devices:
            self.skipTest('one device, fixed before this test was loaded')
        plan = plan_lib.make(small_study.study(), jax.devices()[:devices], 2**34)
        plan = dataclasses.replace(plan, mapping=mapping)
        return RunAxis(plan, jax.devices()[:devices], runs)

    def test_spreads_and_fetches_runs_in_order(self):
        for runs, devices in ((4, 2), (3, 2), (1, 2), (3, 1)):
            axis = self._axis(runs, devices)
            values = np.arange(2.0 * runs).reshape(runs, 2)
            spread = axis.spread({'a': values})['a']
            self.assertEqual(len(spread) % devices, 0)
            np.testing.assert_array_equal(axis.fetch({'a': spread})['a'], values)
            # Fillers are the last run again: nothing that a sound run does not do.
            np.testing.assert_array_equal(spread[runs:], values[[-1] * (len(spread) - runs)])

    def test_computes_every_run_with_its_devices_data(self):
        function = lambda _, run, device, shared: run * shared + device[0]  # noqa: E731
        for mapping, at_once in (('map', 0), ('vmap', 0), ('vmap', 1), ('vmap', 2)):
            axis = self._axis(6, 2, mapping)
            program = axis.compile(function, at_once)
            runs = axis.spread(np.arange(6.0))
            found = program((), runs, axis.per_device(np.array([100.0, 200.0])), np.float32(2))
            np.testing.assert_array_equal(axis.fetch(found), [100, 102, 104, 206, 208, 210])


if __name__ == '__main__':
    absltest.main()
