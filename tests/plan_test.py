"""Tests of imbreg_jax.compute.plan: what fits is chosen, and what is predicted is needed."""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
from absl.testing import absltest, parameterized

from imbreg_jax import study as study_lib
from imbreg_jax.compute import backend, memory
from imbreg_jax.compute import plan as plan_lib


class _Device:
    """A device of a platform and memory that this machine lacks."""

    def __init__(self, platform, memory=None):
        self.platform = platform
        self.memory = memory

    def memory_stats(self):
        return None if self.memory is None else {'bytes_limit': self.memory}


_CPU, _GPU = [_Device('cpu')], [_Device('gpu')]


def _paper(**fields):
    """The paper's study at its full size; `fields` with __ for the dot."""
    config = study_lib.default_config()
    config.update_from_flattened_dict({k.replace('__', '.'): v for k, v in fields.items()})
    return study_lib.resolve(config)


def _budget(study, runs, repeats, cached, platform='gpu'):
    """Just enough available bytes for so much at once."""
    needed = memory.of(study, study.conditions[0], platform)
    return int(needed.total(runs, repeats, 1, cached) / plan_lib.MEMORY_SHARE) + 2


class RuleTest(parameterized.TestCase):
    @parameterized.parameters(
        ('cpu', 'cpu', 'map'),
        ('gpu', 'gpu', 'vmap'),
        ('cuda', 'gpu', 'vmap'),
        ('rocm', 'gpu', 'vmap'),
        ('tpu', 'tpu', 'vmap'),
    )
    def test_of_each_platform(self, platform, name, mapping):
        plan = plan_lib.make(_paper(), [_Device(platform)] * 3, 2**40)
        self.assertEqual((plan.platform, plan.mapping, plan.devices), (name, mapping, 3))
        self.assertTrue(plan.cached)
        self.assertEqual(plan.runs_per_unit, 10)

    def test_of_the_cache(self):
        study = _paper()
        enough = _budget(study, 10, 10, True)
        self.assertTrue(plan_lib.make(study, _GPU, enough).cached)
        short = plan_lib.make(study, _GPU, enough - 100)
        self.assertFalse(short.cached)
        self.assertEqual(short.runs_per_unit, 10)
        self.assertFalse(plan_lib.make(_paper(data__cache='never'), _GPU, 2**50).cached)

    def test_on_cpu_fewer_runs_are_taken_at_once_so_that_noise_is_kept(self):
        laws = ('u1_10', 'u1_5', 'n5_5_1')
        study = _paper(repeats=20, conditions={law: {'train_distribution': law} for law in laws})
        for repeats, kept in ((20, 60), (19, 30), (10, 30), (3, 9), (1, 0)):
            budget = _budget(study, 60 if repeats == 20 else 3 * repeats, repeats, True, 'cpu')
            plan = plan_lib.make(study, _CPU, budget)
            self.assertEqual(plan.cached, kept > 0, repeats)
            self.assertEqual(plan.runs_per_unit, kept or 60, repeats)
            # On an accelerator all runs step together: fewer at once would take longer.
            on_gpu = plan_lib.make(study, _GPU, _budget(study, 59, 19, True))
            self.assertFalse(on_gpu.cached)

    def test_of_images_that_are_drawn(self):
        """Whole images, else their noise, else none; on CPU fewer runs at once before that."""
        laws = ('u1_10', 'u1_5', 'n5_5_1', 'uniform(2, 9)')
        conditions = {f'law_{i}': {'train_distribution': law} for i, law in enumerate(laws)}
        fields: dict[str, Any] = {
            'task__name': 'disc_radius', 'data__train_size': 20_000, 'repeats': 5,
            'conditions': conditions,
        }  # fmt: skip
        study = _paper(**fields)
        for devices, platform in ((_GPU, 'gpu'), (_CPU, 'cpu')):
            needed = memory.of(study, study.conditions[0], platform)
            self.assertEqual(needed.per_images, 4 * 52**2 * 25_000)

            def made(runs, tables, cached, rendered, less=0, devices=devices, needed=needed):
                bytes_needed = needed.total(runs, tables, 1, cached, rendered)
                available = int(bytes_needed / plan_lib.MEMORY_SHARE) + 2 - less
                plan = plan_lib.make(study, devices, available)
                self.assertLessEqual(plan.bytes_predicted, plan_lib.MEMORY_SHARE * available)
                return plan.cached, plan.rendered, plan.runs_per_unit

            # A table for each law and repeat.
            self.assertEqual(made(20, 20, True, True), (True, True, 20))
            less = made(20, 20, True, True, 100)
            self.assertEqual(less, (True, True, 10) if platform == 'cpu' else (True, False, 20))
            # Of noise one for each repeat.
            noise = made(20, 5, True, False)
            self.assertEqual(noise, (True, True, 5) if platform == 'cpu' else (True, False, 20))
            # What cannot hold that may hold images of the runs of a smaller unit, but not of none.
            none = made(20, 5, True, False, 100)
            self.assertEqual(none, (True, True, 5) if platform == 'cpu' else (False, False, 20))
            self.assertEqual(made(20, 0, False, False), (False, False, 20))
        never = _paper(**fields, data__cache='never')
        self.assertFalse(plan_lib.make(never, _CPU, 2**50).rendered)
        self.assertFalse(plan_lib.make(_paper(), _CPU, 2**50).rendered)

    def test_says_what_becomes_of_images(self):
        plan = plan_lib.make(_paper(), _CPU, 2**40)
        for fields, text in (
            ({}, 'cached on the device'),
            ({'rendered': True}, 'cached on the device, with what is drawn on them'),
            ({'cached': False}, 'drawn anew in every epoch'),
        ):
            self.assertEqual(dataclasses.replace(plan, **fields).kept, text)

    def test_of_a_cache_that_is_asked_for(self):
        # Fewer runs at a time, rather than no cache.
        study = _paper(data__cache='always')
        plan = plan_lib.make(study, _GPU, _budget(study, 3, 3, True))
        self.assertTrue(plan.cached)
        self.assertLessEqual(plan.runs_per_unit, 3)

    def test_of_units_of_equal_size(self):
        study = _paper(data__cache='never')
        # Nine of ten would fit; five and five take as many programs and one compilation.
        plan = plan_lib.make(study, _GPU, _budget(study, 9, 9, False))
        self.assertEqual(plan.runs_per_unit, 5)

    @parameterized.parameters((1, 1), (3, 3), (9, 5), (10, 10), (99, 10))
    def test_of_runs_that_are_asked_for(self, runs, together):
        plan = plan_lib.make(_paper(compute__runs_per_program=runs), _GPU, 2**50)
        self.assertEqual(plan.runs_per_unit, together)

    @parameterized.parameters('cpu', 'gpu')
    def test_never_predicts_more_than_there_is(self, platform):
        study = _paper(repeats=40)
        devices = [_Device(platform)]
        for available in np.geomspace(2**31, 2**38, 15).astype(int).tolist():
            try:
                plan = plan_lib.make(study, devices, available)
            except plan_lib.OutOfMemory:
                continue
            self.assertLessEqual(plan.bytes_predicted, plan_lib.MEMORY_SHARE * available)
            needed = memory.of(study, study.conditions[0], platform)
            count = plan.runs_per_unit
            self.assertEqual(plan.bytes_predicted, needed.total(count, count, 1, plan.cached))

    def test_of_the_sizes_that_are_promised(self):
        # Ten repeats on a laptop of 16 GB, of which the system takes some.
        self.assertEqual(plan_lib.make(_paper(), _CPU, 12 * 2**30).runs_per_unit, 10)
        # A thousand on a GPU of 80 GB.
        plan = plan_lib.make(_paper(repeats=1000), _GPU, 78 * 2**30)
        self.assertGreater(plan.runs_per_unit, 100)

    def test_of_chunks_divides_an_epoch(self):
        for limit in (1, 7, 100, 10_000):
            study = _paper(compute__steps_per_chunk=limit)
            (steps,) = plan_lib.make(study, _GPU, 2**40).chunk_steps
            self.assertLessEqual(steps, limit)
            self.assertEqual(1000 % steps, 0)
        # On CPU a chunk is short enough to answer a signal.
        (steps,) = plan_lib.make(_paper(repeats=100), _CPU, 2**40).chunk_steps
        self.assertLessEqual(steps * 100, plan_lib.CPU_CHUNK)
        # Whatever a step takes: ten times the images, or five times the channels.
        for fields in ({'training__batch_size': 500}, {'model__conv_features': (50, 100)}):
            (fewer,) = plan_lib.make(_paper(repeats=100, **fields), _CPU, 2**40).chunk_steps
            self.assertLess(fewer, steps)

    def test_of_work_is_one_for_the_paper(self):
        study = _paper()
        self.assertEqual(plan_lib.relative_work(study.conditions[0]), 1)

    def test_of_devices_beyond_the_runs(self):
        plan = plan_lib.make(_paper(repeats=3), _CPU * 64, 2**40)
        self.assertEqual(plan.devices, 3)

    def test_keeps_the_cores_that_decide_the_order_of_sums(self):
        plan = plan_lib.make(_paper(), jax.devices(), 2**40)
        self.assertEqual(plan.cores, backend.threads())
        self.assertGreaterEqual(plan.cores, len(jax.devices()))
        # One that an earlier version wrote does not say.
        held = plan.to_json()
        del held['cores'], held['rendered']
        taken = plan_lib.Plan.from_json(held)
        self.assertEqual((taken.cores, taken.rendered), (0, False))

    def test_goes_to_json_and_back(self):
        plan = plan_lib.make(_paper(), _GPU, 2**40)
        values = json.loads(json.dumps(plan.to_json()))
        self.assertEqual(plan_lib.Plan.from_json(values), plan)


class OutOfMemoryTest(absltest.TestCase):
    def _sentence(self, study):
        with self.assertRaises(plan_lib.OutOfMemory) as caught:
            plan_lib.make(study, _GPU, 2**28)
        text = str(caught.exception)
        self.assertNotIn('\n', text)
        # What is needed and what there is, in bytes.
        self.assertRegex(text, r'needs? about [\d,]+ bytes')
        self.assertIn(f'{int(plan_lib.MEMORY_SHARE * 2**28):,}', text)
        return text

    def test_says_what_would_fit(self):
        text = self._sentence(_paper())
        self.assertIn('config.training.batch_size', text)

    def test_of_a_cache_says_so(self):
        study = _paper(data__cache='always')
        with self.assertRaisesRegex(plan_lib.OutOfMemory, r"config\.data\.cache = 'auto'"):
            plan_lib.make(study, _GPU, _budget(study, 1, 1, False))


class ChunkTest(parameterized.TestCase):
    @parameterized.parameters(
        (1000, 100, 100), (1000, 99, 50), (1000, 19, 10), (1000, 1, 1), (1000, 0, 1),
        (997, 997, 997), (12, 100, 12), (1, 1, 1),
        # Prime numbers, and twice one: chunks of equal length would be of one step or two.
        (997, 996, 499), (997, 100, 100), (997, 30, 30), (997, 10, 10), (1994, 100, 100),
        (7, 6, 4), (3, 2, 2),
    )  # fmt: skip
    def test_is_long_and_within_the_limit(self, steps, limit, expected):
        self.assertEqual(plan_lib.chunk_length(steps, limit), expected)

    def test_makes_never_twice_the_chunks_that_are_needed(self):
        for steps in range(1, 200):
            for limit in range(1, steps + 1):
                chunk = plan_lib.chunk_length(steps, limit)
                self.assertBetween(chunk, 1, limit)
                self.assertLessEqual(-(-steps // chunk), 2 * -(-steps // limit))


if __name__ == '__main__':
    absltest.main()
