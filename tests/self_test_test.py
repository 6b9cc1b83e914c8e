"""Tests of imbreg_jax.compute.self_test: a wrong sum is refused, a sound JAX is not asked twice."""

import pathlib
import re
from unittest import mock

import jax
import numpy as np
from absl.testing import absltest, parameterized

import small_study  # noqa: F401 - sets XLA's flags as a start does
from imbreg_jax.compute import environment, self_test
from imbreg_jax.compute.environment import BackendError

_ROOT = pathlib.Path(__file__).resolve().parent.parent


class SelfTestTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.device = jax.devices()[0]
        cls.given = jax.device_put(self_test.inputs(), cls.device)
        program = jax.jit(self_test.results, static_argnums=1)
        cls.found = jax.device_get(program(cls.given, False))

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.create_tempdir().full_path) / 'cache'

    def _check(self, found):
        """Checks a device that gives these results; returns how often it was asked."""
        with mock.patch.object(self_test, 'results', side_effect=lambda *_: found) as results:
            self_test.check(self.device, self.folder)
        return results.call_count

    def test_a_sound_jax_passes_either_way_of_mapping_runs(self):
        self.assertIsNone(self_test.failure(self.found))
        program = jax.jit(self_test.results, static_argnums=1)
        self.assertIsNone(self_test.failure(jax.device_get(program(self.given, True))))

    def test_every_result_has_its_case(self):
        self.assertEqual(set(self.found), set(self_test.cases()))
        for name, case in self_test.cases().items():
            self.assertEqual(case.expected.shape, self.found[name].shape)
            self.assertEqual(case.tolerance.shape, self.found[name].shape)
            # Tight enough that a lost term of a sum shows: it is no more than a few per mille.
            typical = np.sqrt(np.mean(case.expected**2))
            self.assertLess(np.median(case.tolerance), 5e-3 * typical, name)

    @parameterized.parameters(
        'rows', 'std', 'loss', 'loss_gradient', 'pool', 'convolution_1_kernel',
        'convolution_2_output', 'convolution_2_input', 'dense_output', 'dense_kernel',
    )  # fmt: skip
    def test_one_wrong_entry_is_found(self, name):
        for wrong in (lambda a: 0.99 * a, lambda a: np.float32(np.nan)):
            found = dict(self.found)
            values = np.array(found[name])
            worst = np.unravel_index(np.argmax(np.abs(values)), values.shape)
            values[worst] = wrong(values[worst])
            found[name] = values
            self.assertRegex(self_test.failure(found), f'^1 of {values.size} .* (is|are) wrong')

    def test_a_wrong_sum_is_refused_in_one_sentence_that_says_what_to_install(self):
        # As jaxlib 0.10.2 did: the last row.
        rows = np.array(self.found['rows'])
        rows[-1] *= 1 - 2**-11
        for version, advice in (('0.10.2', 'pip install'), (self_test.SOUND_JAXLIB, 'suspect')):
            with mock.patch.object(self_test.jaxlib, '__version__', version):
                with self.assertRaisesRegex(BackendError, 'computes wrongly: 1 of 32769') as caught:
                    self._check(self.found | {'rows': rows})
            self.assertIn(advice, str(caught.exception))
            self.assertNotIn('\n', str(caught.exception))
        # It is not remembered as sound.
        self.assertEqual(self._check(self.found), 1)

    def test_is_made_once_for_each_version_machine_and_set_of_flags(self):
        self.assertEqual(self._check(self.found), 1)
        self.assertEqual(self._check(self.found), 0)
        for target, name, value in (
            (self_test.jaxlib, '__version__', '0.9'),
            (self_test.platform, 'node', lambda: 'elsewhere'),
            (environment, 'arithmetic', lambda: {'xla_flags': '--x'}),
            (self_test.importlib.metadata, 'version', lambda _: '9'),
        ):
            with mock.patch.object(target, name, value):
                self.assertEqual(self._check(self.found), 1, name)
                self.assertEqual(self._check(self.found), 0, name)

    def test_is_made_each_time_where_nothing_can_be_remembered(self):
        self.folder.write_text('no folder')
        self.assertEqual(self._check(self.found), 1)
        self.assertEqual(self._check(self.found), 1)

    def test_what_is_remembered_and_damaged_does_not_count(self):
        self._check(self.found)
        (passed,) = self.folder.glob('self_test/*')
        for content in (b'', b'\xff', b'{}'):
            passed.write_bytes(content)
            self.assertEqual(self._check(self.found), 1)
            self.assertEqual(self._check(self.found), 0)

    def test_advises_what_the_lock_names(self):
        lock = (_ROOT / 'requirements.lock').read_text()
        self.assertEqual(re.findall(r'^jaxlib==(.*)$', lock, re.M), [self_test.SOUND_JAXLIB])
        self.assertEqual(re.findall(r'^jax==(.*)$', lock, re.M), [self_test.SOUND_JAXLIB])


if __name__ == '__main__':
    absltest.main()
