"""Tests of imbreg_jax.compute.environment: what is refused before JAX is loaded."""

import os
import resource
import subprocess
import sys
from unittest import mock

from absl.testing import absltest, parameterized

from imbreg_jax.compute import environment, limits
from imbreg_jax.compute.environment import BackendError

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class FlagsTest(parameterized.TestCase):
    def _flags(self, text: str):
        return mock.patch.dict(os.environ, {'XLA_FLAGS': text})

    @parameterized.parameters(
        ('', []),
        ('--a=1 --b', ['--a=1', '--b']),
        ('--a=1 --b --a=2', ['--a=2', '--b']),
        ("--a='x y'", ['--a=x y']),
        ("--a='x", ["--a='x"]),
    )
    def test_are_those_that_count(self, text, flags):
        with self._flags(text):
            self.assertEqual(environment.xla_flags(), flags)

    def test_may_stand_in_a_file(self):
        path = self.create_tempfile(content='--a=1\n--b=2\n').full_path
        with self._flags(path):
            self.assertEqual(environment.xla_flags(), ['--a=1', '--b=2'])
            environment.add_xla_flag('--c=3')
            self.assertEqual(os.environ['XLA_FLAGS'], '--a=1 --b=2 --c=3')

    def test_that_the_user_set_are_not_set_otherwise(self):
        with self._flags('--a=1 --bc=2'):
            self.assertFalse(environment.add_xla_flag('--a=3'))
            self.assertTrue(environment.add_xla_flag('--b=4'))
            self.assertEqual(os.environ['XLA_FLAGS'], '--a=1 --bc=2 --b=4')

    @parameterized.parameters(
        '--xla_cpu_enable_fast_math=true',
        '--xla_cpu_enable_fast_math',
        '--xla_cpu_enable_fast_math=1',
        '--a=b --xla_cpu_enable_fast_min_max=true',
        '--xla_gpu_ftz=true',
        '--xla_cpu_enable_fast_math=false --xla_cpu_enable_fast_math=true',
    )
    def test_of_fast_math_are_refused(self, text):
        with self._flags(text), self.assertRaisesRegex(BackendError, 'XLA_FLAGS has --xla_.*math'):
            environment.check()

    @parameterized.parameters(
        '--xla_cpu_enable_fast_math=false',
        '--xla_cpu_enable_fast_math=true --xla_cpu_enable_fast_math=0',
        '--xla_cpu_fast_math_honor_nans=true',
        '--xla_gpu_deterministic_ops=true',
    )
    def test_of_other_kinds_are_not(self, text):
        with self._flags(text):
            environment.check()

    def test_are_recorded_with_what_else_decides_arithmetic(self):
        with self._flags('--b=2 --a=1'), mock.patch.dict(os.environ, {'NVIDIA_TF32_OVERRIDE': '1'}):
            self.assertEqual(
                environment.arithmetic(), {'xla_flags': '--a=1 --b=2', 'NVIDIA_TF32_OVERRIDE': '1'}
            )


class AddressSpaceTest(absltest.TestCase):
    def test_too_small_a_one_is_refused(self):
        needed = limits.address_space_of_jax(limits.usable_cores())
        stack = resource.getrlimit(resource.RLIMIT_STACK)

        def limited(to):
            return lambda which: (to, to) if which == resource.RLIMIT_AS else stack

        with mock.patch.object(resource, 'getrlimit', limited(needed - 1024)):
            with self.assertRaisesRegex(BackendError, r'\(ulimit -v \d+\) .* unlimited') as caught:
                environment.check()
        self.assertNotIn('\n', str(caught.exception))
        for enough in (needed, resource.RLIM_INFINITY):
            with mock.patch.object(resource, 'getrlimit', limited(enough)):
                environment.check()


class CommandTest(parameterized.TestCase):
    """What a start ends with that JAX cannot be used in, each in a process of its own."""

    @parameterized.named_parameters(
        ('fast_math', {'XLA_FLAGS': '--xla_cpu_enable_fast_math=true'}, 0, 'fast math'),
        ('a_setting_that_jax_cannot_read', {'JAX_ENABLE_X64': 'maybe'}, 0, 'sets JAX_ENABLE_X64'),
        ('a_platform_that_is_absent', {'JAX_PLATFORMS': 'abacus'}, 0, 'where it has cpu'),
        ('little_address_space', {}, 700 * 2**20, 'ulimit -v'),
    )
    def test_one_sentence_and_status_2(self, variables, address_space, message):
        workdir = os.path.join(self.create_tempdir().full_path, 'w')
        limit = f'ulimit -v {address_space // 1024}; ' if address_space else ''
        command = ['bash', '-c', f'{limit}exec "$@"', 'bash']
        command += [sys.executable, '-m', 'imbreg_jax.main', f'--workdir={workdir}']
        command += [f'--config={os.path.join(_ROOT, "configs", "smoke.py")}']
        done = subprocess.run(
            command,
            env=os.environ | {'JAX_PLATFORMS': 'cpu'} | variables,
            capture_output=True,
            text=True,
            cwd=_ROOT,
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        self.assertEqual(done.stdout, '')


if __name__ == '__main__':
    absltest.main()
