"""Tests of imbreg_jax.runner.progress: which checkpoints a study goes on from, and which not."""

import dataclasses
from unittest import mock

import jax
import numpy as np
from absl.testing import absltest

import kept_study
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.results import checkpoints
from imbreg_jax.results.assemble import Outcome
from imbreg_jax.results.checkpoints import CheckpointError
from imbreg_jax.results.journal import Journal
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.runner import progress, study_run
from imbreg_jax.runner.progress import Position, Progress
from imbreg_jax.study import Run
from imbreg_jax.training.engine import Engine
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class ProgressTest(kept_study.TestCase):
    def test_epochs_that_were_edited_are_refused(self):
        self.abandon(Engine, 'train_chunk', lambda _, __, epoch, *___: epoch == 1)
        path = self.workdir / 'checkpoints' / 'epochs.jsonl'
        path.write_bytes(path.read_bytes().replace(b'"repeat": 1', b'"repeat": 0', 1))
        with self.assertRaisesRegex(CheckpointError, 'epochs.jsonl, which it needs, is damaged'):
            kept_study.run(self.workdir).finish()

    def test_refuses_a_checkpoint_that_does_not_fit(self):
        self.begin_as_reference()
        begun = {'runs': [[0, 0], [1, 0], [0, 1], [1, 1]], 'epoch': 1, 'step': 0}
        position = {
            'begun': [begun], 'journal': Journal(kept_study.run(None).study, None).mark(),
            'outcomes': [], 'plan': {}, 'seconds': 0.0, 'compile_seconds': 0.0,
        }  # fmt: skip
        arrays = [np.zeros(3, np.float32), np.zeros(4)]
        checkpoints.save(self.workdir / 'checkpoints', 4, arrays, position, 2)
        with self.assertRaisesRegex(CheckpointError, 'holds 1 arrays that are not the'):
            kept_study.run(self.workdir).finish()

    def test_seconds_are_counted_on_conditions_through_stops_and_without_compilation(self):
        study = kept_study.run(None).study
        plan = dataclasses.replace(plan_lib.make(study, jax.devices()[:1]), runs_per_unit=4)
        runs = (Run(0, 0), Run(1, 0), Run(0, 1), Run(1, 1))
        arrays = [np.arange(12.0).reshape(4, 3), np.arange(4)]
        with Workdir(self.workdir) as workdir, mock.patch.object(progress, 'time') as clock:
            clock.monotonic.return_value = 100.0
            first = Progress(study, workdir)
            first.restore(plan)
            first.begin_unit()
            first.compile_seconds += 2
            clock.monotonic.return_value = 110.0
            first.save(Position(0, 1, 0), arrays)
            # What comes after the last checkpoint is done again, and so is counted once.
            clock.monotonic.return_value = 150.0
            second = Progress(study, workdir)
            second.restore(plan)
            second.begin_unit()
            clock.monotonic.return_value = 156.0
            second.finish_unit(0, Outcome(list(runs), {'x': np.zeros(4)}))
            last = Progress(study, workdir)
            last.restore(plan)
        self.assertEqual((last.seconds, last.compile_seconds), (16, 2))
        np.testing.assert_allclose(last.spent, [7, 7])
        took = study_run._took(study, last)
        self.assertEqual(
            took['conditions'],
            {
                c.name: {'images': c.steps * c.training.batch_size, 'seconds': 3.5}
                for c in study.conditions
            },
        )

    def test_what_is_under_way_goes_on_in_smaller_units(self):
        study = kept_study.run(None).study
        plan = dataclasses.replace(plan_lib.make(study, jax.devices()[:1]), runs_per_unit=4)
        fewer = dataclasses.replace(plan, runs_per_unit=3)
        arrays = [np.arange(12.0).reshape(4, 3), np.arange(4)]
        runs = (Run(0, 0), Run(1, 0), Run(0, 1), Run(1, 1))
        with Workdir(self.workdir) as workdir:
            begun = Progress(study, workdir)
            begun.restore(plan)
            self.assertEqual([unit.runs for unit in begun.units], [runs])
            self.assertEqual(begun.begin_unit(), (Position(), None))
            begun.save(Position(0, 1, 2), arrays)

            smaller = Progress(study, workdir)
            smaller.restore(fewer)
            self.assertEqual([unit.runs for unit in smaller.units], [runs[:2], runs[2:]])
            where, first = smaller.begin_unit()
            self.assertEqual(where, Position(0, 1, 2))
            jax.tree.map(np.testing.assert_array_equal, first, [a[:2] for a in arrays])
            # The first part goes on and is finished; the other one waits in every checkpoint.
            smaller.save(Position(0, 1, 3), [a + 100 for a in first])
            for finish in (False, True):
                if finish:
                    smaller.finish_unit(0, Outcome(list(runs[:2]), {'x': np.zeros(2)}))
                resumed = Progress(study, workdir)
                resumed.restore(fewer)
                self.assertEqual([unit.runs for unit in resumed.units], [runs[:2], runs[2:]])
                if not finish:
                    where, found = resumed.begin_unit()
                    self.assertEqual(where, Position(0, 1, 3))
                    jax.tree.map(np.testing.assert_array_equal, found, [a + 100 for a in first])
            where, second = resumed.begin_unit()
            self.assertEqual(where, Position(1, 1, 2))
            jax.tree.map(np.testing.assert_array_equal, second, [a[2:] for a in arrays])


if __name__ == '__main__':
    absltest.main()
