"""Tests of imbreg_jax.training.out_of_memory."""

import jax
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax.compute import out_of_memory
from imbreg_jax.compute import plan as plan_lib


def _error(text: str) -> Exception:
    return jax.errors.JaxRuntimeError(text)


class OutOfMemoryTest(parameterized.TestCase):
    def _plan(self, study, **fields):
        values = {
            'platform': 'cpu', 'devices': 1, 'mapping': 'map', 'cached': True,
            'runs_per_unit': 5, 'chunk_steps': (2,), 'bytes_predicted': 10**9,
        }  # fmt: skip
        return plan_lib.Plan(**(values | fields))

    @parameterized.parameters(
        ('RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes.', 123456789),
        ('RESOURCE_EXHAUSTED: Out of memory while trying to allocate 2.50GiB.', 5 * 2**29),
        ('RESOURCE_EXHAUSTED: Failed to allocate request for 16.0KiB (16384B) on device', 16384),
        ('RESOURCE_EXHAUSTED: Out of memory: Requested 1024 bytes', 1024),
        ('RESOURCE_EXHAUSTED: no room', None),
    )
    def test_reads_how_much_was_asked_for(self, text, asked):
        self.assertTrue(out_of_memory.is_out_of_memory(_error(text)))
        self.assertEqual(out_of_memory.requested_bytes(_error(text)), asked)

    def test_other_errors_are_none_of_its_business(self):
        self.assertFalse(out_of_memory.is_out_of_memory(_error('INVALID_ARGUMENT: bytes')))
        self.assertFalse(out_of_memory.is_out_of_memory(ValueError('out of memory')))
        self.assertTrue(out_of_memory.is_out_of_memory(MemoryError()))

    def test_gives_up_the_cache_first_and_then_halves_down_to_one_run(self):
        study = small_study.study(repeats=5)
        plan, steps = self._plan(study), []
        while plan is not None:
            steps.append((plan.cached, plan.runs_per_unit))
            plan = out_of_memory.smaller(study, plan)
        self.assertEqual(steps, [(True, 5), (False, 5), (False, 3), (False, 2), (False, 1)])

    def test_keeps_noise_before_it_gives_up_the_cache(self):
        study = small_study.study(
            {'a': {}, 'b': {'train_distribution': 'u1_5'}},
            task__name='disc_radius', data__image_size=21,
        )  # fmt: skip
        plan, steps = self._plan(study, rendered=True, runs_per_unit=4), []
        while plan is not None and plan.cached:
            plan = out_of_memory.smaller(study, plan)
            steps.append((plan.cached, plan.rendered, plan.bytes_predicted))
        self.assertEqual([step[:2] for step in steps], [(True, False), (False, False)])
        self.assertGreater(steps[0][2], steps[1][2])

    def test_keeps_the_cache_where_the_config_insists(self):
        study = small_study.study(repeats=2, data__cache='always')
        smaller = out_of_memory.smaller(study, self._plan(study, runs_per_unit=2))
        self.assertEqual((smaller.cached, smaller.runs_per_unit), (True, 1))

    def test_says_what_was_asked_for_and_what_would_need_less(self):
        study = small_study.study({'a': {}, 'b': {'train_distribution': 'u1_5'}}, repeats=5)
        error = _error('RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes.')
        text = out_of_memory.sentence(error, study, self._plan(study, runs_per_unit=10))
        self.assertStartsWith(text, 'out of memory: 123,456,789 bytes were asked for, with 10 runs')
        self.assertRegex(text, r"config.data.cache = 'never' \(about [\d,]+ bytes\)")
        self.assertRegex(text, r'config.compute.runs_per_program = 5 \(about [\d,]+ bytes\)')
        least = self._plan(study, cached=False, runs_per_unit=1)
        text = out_of_memory.sentence(error, study, least)
        self.assertIn('a smaller config.training.batch_size', text)


if __name__ == '__main__':
    absltest.main()
