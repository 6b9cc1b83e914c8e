"""Tests of imbreg_jax.runner.dry_run: what a study would be and take."""

import pathlib
from unittest import mock

import jax
from absl.testing import absltest

import small_study
from imbreg_jax.compute import backend
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.runner import dry_run, speed
from imbreg_jax.study.shards import Shard
from imbreg_jax.training.programs import Programs


class DryRunTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.create_tempdir().full_path)
        self.enter_context(mock.patch.object(backend, 'cache_folder', lambda: folder))
        self.workdir = folder / 'workdir'
        self.study = small_study.study(
            sweep='model.conv_dropout_rate = 0, 0.2; data.image_size = 18, 20', repeats=3
        )

    def test_says_what_shares_a_program_and_starts_nothing(self):
        with mock.patch.object(Programs, '__init__', side_effect=AssertionError):
            text = dry_run.text(self.study, str(self.workdir))
        self.assertFalse(self.workdir.exists())
        self.assertIn('4 conditions x 3 repeats = 12 runs', text)
        self.assertIn('conditions differ in: data.image_size, model.conv_dropout_rate', text)
        programs = [line for line in text.splitlines() if line.startswith('program ')]
        self.assertLen(programs, 2)
        for size, line in zip((18, 20), programs, strict=True):
            self.assertIn('2 conditions, 6 runs in 1 unit of up to 6', line)
            self.assertIn(f'; data.image_size = {size}; data to it: model.conv_dropout_rate', line)
        self.assertIn('* training.batch_size = 6', text)
        self.assertIn('  training.adam_b1 = 0.9', text)
        planned = plan_lib.make(self.study, jax.devices())
        self.assertIn(f'memory: about {planned.bytes_predicted / 1e9:.2g} GB', text)

    def test_says_of_each_shard_what_it_takes(self):
        devices = jax.devices()
        speed.remember(devices, 1000.0, 1000.0 * 10 / speed.work(self.study))
        text = dry_run.text(self.study, str(self.workdir), Shard(2, 2))
        self.assertFalse(self.workdir.exists())
        # Each has one of the two programs, and all of its repeats.
        (program,) = [line for line in text.splitlines() if line.startswith('program ')]
        self.assertStartsWith(program, 'program 2 of 2: 2 conditions, 6 runs in 1 unit')
        first, second = text.splitlines()[-2:]
        self.assertRegex(first, r'^  1: 6 runs in 1 program, .* GB of memory, .* MB on disk, 4 s$')
        # The larger images take longer.
        self.assertRegex(second, r'^\* 2: 6 runs in 1 program, .* MB on disk, 6 s$')
        many = dry_run.text(self.study, str(self.workdir), Shard(1, 40)).splitlines()
        self.assertIn(' 13: nothing, as the study has fewer runs', '\n'.join(many))
        self.assertEqual(many[-1], '  and 20 more')

    def test_says_which_data_sets_lack_folds(self):
        parts = {'data__folds': 3, 'data__validation_size': 12}
        for repeats, first, wanted in (
            (3, 0, ()),
            (2, 0, ('data set 0 lacks repeat 2',)),
            (3, 1, ('data set 0 lacks repeat 0', 'data set 1 lacks repeats 4, 5')),
        ):
            study = small_study.study(repeats=repeats, first_repeat=first, **parts)
            text = dry_run.text(study, str(self.workdir))
            self.assertEqual('lacks' in text, bool(wanted))
            for part in wanted:
                self.assertIn(part, text)

    def test_says_what_is_kept(self):
        for task, text in (
            ('std', 'images cached on the device'),
            ('disc_radius', 'images cached on the device, with what is drawn on them'),
        ):
            study = small_study.study(task__name=task, data__image_size=21)
            lines = dry_run.text(study, str(self.workdir)).splitlines()
            (memory,) = [line for line in lines if line.startswith('memory: ')]
            self.assertEndsWith(memory, text)

    def test_expects_the_time_of_the_last_study_here(self):
        devices = jax.devices()
        self.assertIn('time: unknown', dry_run.text(self.study, str(self.workdir)))
        speed.remember(devices, speed.work(self.study), 90.0)  # Too small to say anything.
        self.assertIsNone(speed.recall(devices))
        # As fast as takes this study 10 seconds.
        speed.remember(devices, 1000.0, 1000.0 * 10 / speed.work(self.study))
        text = dry_run.text(self.study, str(self.workdir))
        self.assertIn('time: about 10 s for 576 images', text)

    def test_bounds_what_a_study_keeps(self):
        study = small_study.study({'a': {}, 'b': {'train_distribution': 'u1_5'}})
        count = study.conditions[0].architecture.parameters
        weights = 4 * len(study.runs) * count
        # Weights, and two checkpoints that are kept beside one that is written.
        self.assertGreater(dry_run.disk(study), 10 * weights)
        self.assertLess(dry_run.disk(study), 10 * weights + 10**5)


if __name__ == '__main__':
    absltest.main()
