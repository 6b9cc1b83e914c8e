"""Tests of imbreg_jax.compute.memory: what is predicted is needed."""

import jax
import pytest
from absl.testing import absltest, parameterized

import quick_compilation
import small_study
from imbreg_jax import study as study_lib
from imbreg_jax.compute import memory, units


class _Accelerator:
    """A GPU of a memory that this machine lacks."""

    platform = 'gpu'

    def __init__(self, bytes_limit):
        self.bytes_limit = bytes_limit

    def memory_stats(self):
        return {'bytes_limit': self.bytes_limit}


class MemoryTest(parameterized.TestCase):
    @pytest.mark.slow
    def test_of_a_cached_repeat_is_its_table(self):
        study = small_study.study()
        device = small_study.trained().engine.resident
        tables = sum(leaf.nbytes for leaf in jax.tree.leaves(device))
        predicted = memory.of(study, study.conditions[0], 'gpu')
        self.assertEqual(predicted.per_noise * len(study.repeats), tables)

    @parameterized.parameters(('',), ('rnc', 200), ('ranksim', 400))
    @pytest.mark.slow
    def test_of_a_run_is_within_a_factor_of_two_of_the_compilers(self, remedy, batch=None):
        """What a run adds to the training program, all runs at once, paper's network and batch.

        Of losses that compare the images of a batch, at one where these comparisons outweigh it.
        """
        config = study_lib.default_config()
        config.repeats, config.data.cache, config.remedy = 1, 'never', remedy
        if remedy:
            config.task.name, config.training.batch_size, config.training.epochs = 'mean', batch, 2
        config.data.train_size, config.data.validation_size = batch or 100, 10
        study = study_lib.resolve(config)
        needed = []
        # Buffers are laid out before the optimisations that this leaves out.
        quick_compilation.setUpModule()
        self.addCleanup(quick_compilation.tearDownModule)
        with small_study.precision():
            engine = small_study.engine(study, mapping='vmap', cached=False, chunk_steps=(2,))
            state = jax.eval_shape(engine.initialize)
            run, _, shared = engine.chunk_arguments(0, 0)
            for runs in (1, 3):
                shapes = jax.tree.map(
                    lambda a, runs=runs: jax.ShapeDtypeStruct(
                        (runs, *a.shape[1:]), a.dtype, sharding=engine.programs.layout.sharding
                    ),
                    (state, run),
                )
                compiled = engine.programs.chunk.lower(*shapes, {}, shared).compile()
                found = compiled.memory_analysis()
                needed.append(
                    found.argument_size_in_bytes
                    + found.output_size_in_bytes
                    - found.alias_size_in_bytes
                    + found.temp_size_in_bytes
                )
        per_run = (needed[1] - needed[0]) / 2
        predicted = memory.of(study, study.conditions[0], 'gpu').per_run
        self.assertBetween(predicted / per_run, 0.5, 2)

    def test_of_this_machine_is_found(self):
        available = memory.available_bytes(jax.devices())
        self.assertBetween(available, 2**24, 2**50)

    def test_of_several_accelerators_is_the_smallests_times_their_number(self):
        devices = [_Accelerator(5 * 2**30), _Accelerator(3 * 2**30)]
        self.assertEqual(memory.available_bytes(devices), 6 * 2**30)

    @parameterized.parameters((1, 10), (3, 10), (3, 7), (1, 3))
    def test_of_the_cache_is_enough_for_the_repeats_of_every_device(self, conditions, repeats):
        laws = ('u1_10', 'u1_5', 'n5_5_1')[:conditions]
        study = small_study.study(
            {law: {'train_distribution': law} for law in laws}, repeats=repeats
        )
        table = memory.of(study, study.conditions[0], 'gpu').per_noise
        for devices in (1, 2, 3):
            for most in range(devices, conditions * repeats + 1):
                runs = units.slice_size(conditions * repeats, most)
                kept, drawn = (
                    memory.bytes_needed(study, 'gpu', devices, runs, cached)
                    for cached in (True, False)
                )
                parts = [units.blocks(unit.runs, devices) for unit in units.cut(study, runs)]
                most = max(len({r.repeat for r in block}) for blocks in parts for block in blocks)
                self.assertEqual((kept - drawn) / table, devices * most, (devices, runs))

    def test_of_images_is_enough_for_the_data_sets_of_every_device(self):
        """Two laws, of which one has three conditions: noise of a repeat, or images of two sets."""
        conditions = {
            'a': {},
            'b': {'train_distribution': 'u1_5'},
            'c': {'training.learning_rate': 1e-4},
            'd': {'remedy': 'inverse(bins=3)'},
        }
        study = small_study.study(conditions, task__name='disc_radius', data__image_size=21)
        self.assertTrue(memory.renders(study))
        needed = memory.of(study, study.conditions[0], 'gpu')
        self.assertEqual(needed.per_images, 4 * 21**2 * (24 + 30))
        for devices, runs, noise, images in (
            (1, 8, 2, 4), (1, 4, 1, 2), (1, 3, 2, 2), (1, 1, 1, 1),
            (2, 8, 2, 4), (2, 4, 2, 4), (2, 2, 2, 2),
        ):  # fmt: skip
            drawn, kept, whole = (
                memory.bytes_needed(study, 'gpu', devices, runs, *how)
                for how in ((False, False), (True, False), (True, True))
            )
            self.assertEqual((kept - drawn) / needed.per_noise, noise, (devices, runs))
            self.assertEqual((whole - drawn) / needed.per_images, images, (devices, runs))

    def test_of_images_of_scaled_noise_is_that_of_noise(self):
        study = small_study.study({'a': {}, 'b': {'train_distribution': 'u1_5'}})
        self.assertFalse(memory.renders(study))
        kept, whole = (memory.bytes_needed(study, 'cpu', 1, 4, True, how) for how in (False, True))
        self.assertEqual(kept, whole)


if __name__ == '__main__':
    absltest.main()
