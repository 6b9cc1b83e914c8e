"""A whole study on 1, 2, 3 and 8 devices of one process: the same files, whatever the devices.

In a process of its own, since a process has one number of CPU devices, and the others' is 2.
"""

import os
import pathlib
import subprocess
import sys

import pytest
from absl.testing import absltest

_TESTS = pathlib.Path(__file__).resolve().parent
# Ten runs, which neither 3 nor 8 devices divide, in all ways in which runs lie on devices.
_STUDIES = """
import dataclasses, pathlib, sys
import kept_study, small_study, quick_compilation
import jax
from unittest import mock
from absl import flags
from imbreg_jax.compute import backend, plan

jax.config.update('jax_num_cpu_devices', 8)
quick_compilation.setUpModule()
flags.FLAGS(sys.argv[:1])
make = plan.make
folder = pathlib.Path(sys.argv[1])
for name in sys.argv[2:]:
    mapping, devices, _ = name.split('-')
    planned = lambda *args: dataclasses.replace(make(*args), mapping=mapping)
    with (
        mock.patch.object(backend, 'prepare', lambda *_: jax.devices()[:int(devices)]),
        mock.patch.object(plan, 'make', planned),
    ):
        kept_study.run(folder / name, repeats=5).finish()
"""


@pytest.mark.slow
class DevicesTest(absltest.TestCase):
    def test_results_do_not_depend_on_the_devices(self):
        import numpy as np

        import kept_study
        import small_study
        from imbreg_jax.study import resolve

        folder = pathlib.Path(self.create_tempdir().full_path)
        names = [f'map-{devices}-a' for devices in (1, 2, 3, 8)]
        names += ['map-3-b', 'vmap-1-a', 'vmap-3-a', 'vmap-8-a', 'vmap-8-b']
        done = subprocess.run(
            [sys.executable, '-c', _STUDIES, folder, *names],
            env=os.environ | {'PYTHONPATH': os.pathsep.join([str(_TESTS.parent), str(_TESTS)])},
            capture_output=True, text=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        study = resolve(kept_study.config(repeats=5))
        steps = study.conditions[0].steps
        first = folder / names[0]
        for name in names[1:]:
            same = []
            for file in kept_study.RESULTS:
                same.append((folder / name / file).read_bytes() == (first / file).read_bytes())
            print(name, dict(zip(kept_study.RESULTS, same, strict=True)))
            with (
                np.load(folder / name / 'weights.npz') as found,
                np.load(first / 'weights.npz') as wanted,
            ):
                self.assertEqual(found.files, wanted.files)
                for key in found.files:
                    small_study.assert_trained_alike(found[key], wanted[key], study, steps)
        # Under one plan, byte for byte.
        for file in kept_study.RESULTS:
            for again in ('map-3', 'vmap-8'):
                pair = [(folder / f'{again}-{start}' / file).read_bytes() for start in 'ab']
                self.assertEqual(*pair, (again, file))


if __name__ == '__main__':
    absltest.main()
