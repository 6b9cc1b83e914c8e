"""Tests of imbreg_jax.compute.backend: what a study's numbers must not depend on, they do not."""

import hashlib
import logging
import os
import pathlib
import subprocess
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized

import small_study
from imbreg_jax.compute import backend, environment
from imbreg_jax.study import ConfigError

_ROOT = pathlib.Path(__file__).resolve().parent.parent

# What a study draws and sums, under whatever the environment of the process says; then whether the
# process has its own settings back.
_NUMBERS = """
import jax
import backend_test, small_study
from imbreg_jax.compute import backend

study = small_study.study()
names = ('jax_enable_x64', 'jax_threefry_partitionable', 'jax_random_seed_offset')
before = [getattr(jax.config, name) for name in names]
with backend.pinned(study):
    trained = small_study.train(study)
print(backend_test.digest(trained), before == [getattr(jax.config, name) for name in names])
"""

# Sums of a few shapes on so many cores, of which the process may have fewer; and the threads.
_ON_CORES = """
import hashlib, os, sys
allowed, cores = map(int, sys.argv[1:])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:allowed])
import jax, jax.numpy as jnp, numpy as np
from imbreg_jax import study as study_lib
from imbreg_jax.compute import backend

config = study_lib.default_config()
config.compute.compilation_cache = False
study = study_lib.resolve(config)
with backend.pinned(study):
    devices = backend.prepare(study, cores)
    generator = np.random.default_rng(0)
    a = generator.standard_normal((400, 2000), np.float32)
    b = generator.standard_normal((2000, 50), np.float32)
    functions = jnp.matmul, lambda a, b: (a @ b).sum(0), lambda a, b: a.sum()
    out = [jax.jit(function)(a, b) for function in functions]
digest = hashlib.sha256(b''.join(np.asarray(x).tobytes() for x in out)).hexdigest()
print(digest, len(devices), backend.threads(), 'PJRT_NPROC' in os.environ)
"""

# A program that is kept in a folder, or loaded from there, in a process as studies set it up.
_KEPT = """
import sys
import jax, jax.numpy as jnp
import small_study
from imbreg_jax import studies
from imbreg_jax.compute import backend

settings = {'compute__compilation_cache': True, 'compute__compilation_cache_dir': sys.argv[1]}
backend.prepare(small_study.study(**settings))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((8, 8))).block_until_ready()
"""


def digest(trained: small_study.Trained) -> str:
    """Of everything that training made."""
    made = hashlib.sha256(np.asarray(trained.losses).tobytes())
    for name in sorted(trained.params):
        made.update(trained.params[name].tobytes())
    return made.hexdigest()


def _process(code: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own."""
    path = os.pathsep.join([str(_ROOT), str(_ROOT / 'tests')])
    settings = {'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': path}
    return subprocess.run(
        [sys.executable, '-c', code, *arguments],
        env=os.environ | settings | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def _python(code: str, *arguments: str, **variables: str) -> list[str]:
    """What a process of its own prints last, in words."""
    done = _process(code, *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


class PinnedTest(parameterized.TestCase):
    @pytest.mark.slow
    def test_settings_of_the_environment_change_no_number(self):
        variables = {
            'JAX_ENABLE_X64': '1',
            'JAX_THREEFRY_PARTITIONABLE': '0',
            'JAX_NUMPY_DTYPE_PROMOTION': 'strict',
            'JAX_NUMPY_RANK_PROMOTION': 'raise',
            'JAX_TRANSFER_GUARD': 'disallow',
            'JAX_DEFAULT_PRNG_IMPL': 'rbg',
            'JAX_RANDOM_SEED_OFFSET': '3',
            'JAX_DEFAULT_MATMUL_PRECISION': 'bfloat16',
            'JAX_DEBUG_KEY_REUSE': '1',
        }
        plain = digest(small_study.trained())
        self.assertEqual(_python(_NUMBERS, **variables), [plain, 'True'])

    def test_a_notebooks_own_settings_hold_before_and_after(self):
        study = small_study.study()
        with jax.enable_x64(True), jax.numpy_dtype_promotion('strict'), jax.debug_nans(True):
            with backend.pinned(study):
                self.assertEqual(jnp.arange(2.0).dtype, jnp.float32)
                self.assertEqual((jnp.int32(1) + jnp.float32(1)).dtype, jnp.float32)
                self.assertTrue(np.isnan(jnp.zeros(1) / 0).all())
            self.assertEqual(jnp.arange(2.0).dtype, jnp.float64)
            self.assertEqual(jax.config.jax_numpy_dtype_promotion, 'strict')
        jax.config.update('jax_random_seed_offset', 5)
        self.addCleanup(jax.config.update, 'jax_random_seed_offset', 0)
        with self.assertRaises(ZeroDivisionError), backend.pinned(study):
            self.assertEqual(jax.config.jax_random_seed_offset, 0)
            1 / 0  # noqa: B018
        self.assertEqual(jax.config.jax_random_seed_offset, 5)


class CoresTest(absltest.TestCase):
    @pytest.mark.slow
    def test_sums_are_those_of_the_cores_a_study_was_begun_on(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest('one core')
        everywhere = _python(_ON_CORES, '2', '2')
        self.assertEqual(everywhere[1:], ['2', '2', 'False'])
        self.assertEqual(_python(_ON_CORES, '1', '2'), everywhere)
        self.assertEqual(_python(_ON_CORES, '1', '0')[1:], ['1', '1', 'False'])


class FlagsTest(parameterized.TestCase):
    @parameterized.parameters(
        ('0.10.2', '', True),
        ('0.11.0', '--a', True),
        ('0.10.1', '', False),
        ('0.10.2', '--xla_cpu_experimental_ynn_fusion_type=dot', False),
    )
    def test_faulty_fusions_are_switched_off_unless_the_user_set_them(self, version, text, off):
        with (
            mock.patch.dict(os.environ, {'XLA_FLAGS': text}),
            mock.patch.object(backend.jaxlib, '__version__', version),
        ):
            with self.assertLogs('imbreg_jax') as logs:
                backend.logger.log(logging.INFO, 'nothing')
                backend.configure()
            flags = environment.xla_flags()
        self.assertEqual('--xla_cpu_experimental_ynn_fusion_type=' in flags, off)
        self.assertIn('--xla_gpu_deterministic_ops=true', flags)
        self.assertContainsSubset(text.split(), flags)
        self.assertLen(logs.output, 1 + off)

    def test_a_faulty_jaxlib_that_is_in_use_already_is_said(self):
        with (
            mock.patch.dict(os.environ, {'XLA_FLAGS': ''}),
            mock.patch.object(backend.jaxlib, '__version__', '0.10.2'),
            self.assertLogs('imbreg_jax', 'WARNING') as logs,
        ):
            backend._say_what_is_too_late(jax.devices(), 1)
        self.assertIn('jaxlib 0.10.2 sums wrongly', logs.output[0])


class CacheTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(
            jax.config.update, 'jax_compilation_cache_dir', jax.config.jax_compilation_cache_dir
        )

    def test_a_folder_that_is_named_and_cannot_be_written_is_refused(self):
        path = self.create_tempfile().full_path
        with self.assertRaisesRegex(
            ConfigError, 'compilation_cache_dir = .*: compiled programs cannot be kept there'
        ):
            backend.use_compilation_cache(path)

    @pytest.mark.slow
    def test_a_program_that_is_kept_is_loaded_without_alarm(self):
        folder = self.create_tempdir().full_path
        for level, alarm in (('1', False), ('1', False), ('0', True)):
            done = _process(_KEPT, folder, TF_CPP_MIN_LOG_LEVEL=level)
            self.assertEqual(done.returncode, 0, done.stderr)
            if not alarm or jax.__version__ in ('0.10.0', '0.10.1'):
                self.assertEqual('cpu_aot_loader' in done.stderr, alarm, done.stderr)
        self.assertNotEmpty(os.listdir(folder))

    def test_the_default_folder_is_done_without(self):
        path = self.create_tempfile().full_path
        with mock.patch.dict('os.environ', {'XDG_CACHE_HOME': path}):
            with self.assertLogs('imbreg_jax', 'WARNING') as logs:
                backend.use_compilation_cache('')
        self.assertIn('so every start compiles anew', logs.output[0])

    def test_a_program_that_was_cut_short_is_removed_and_kept_anew(self):
        from jax._src import compilation_cache

        path = pathlib.Path(self.create_tempdir().full_path)
        self.addCleanup(compilation_cache.reset_cache)
        least = jax.config.jax_persistent_cache_min_compile_time_secs
        self.addCleanup(jax.config.update, 'jax_persistent_cache_min_compile_time_secs', least)

        def compiled():
            """Compiles a program in a process that has not done so, as far as JAX knows."""
            compilation_cache.reset_cache()
            backend.use_compilation_cache(str(path))
            jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
            program = jax.jit(lambda x: jnp.sum(x * 3) + 11)
            self.assertEqual(program(jnp.ones(5)), 26)
            return {entry.name: entry.read_bytes() for entry in path.glob('*lambda*-cache')}

        whole = compiled()
        self.assertLen(whole, 1)
        ((name, content),) = whole.items()
        (path / name).write_bytes(content[: len(content) // 2])
        with self.assertLogs('imbreg_jax', 'WARNING') as logs:
            # Warnings are errors here: JAX must not meet what is left of it.
            again = compiled()
        self.assertIn('1 damaged program(s)', logs.output[0])
        self.assertLen(logs.output, 1)
        self.assertEqual(set(again), {name})
        with self.assertNoLogs('imbreg_jax', 'WARNING'):
            self.assertEqual(compiled(), again)

    def test_only_what_was_written_since_the_last_look_is_read(self):
        path = pathlib.Path(self.create_tempdir().full_path)
        backend.remove_damaged(path)
        (path / 'a-cache').write_bytes(b'damaged')
        os.utime(path / 'a-cache', (1, 1))
        (path / 'other').write_bytes(b'not one of them')
        self.assertEqual(backend.remove_damaged(path), [])
        (path / 'a-cache').write_bytes(b'damaged')
        with self.assertLogs('imbreg_jax', 'WARNING'):
            self.assertEqual(backend.remove_damaged(path), ['a-cache'])
        self.assertTrue((path / 'other').exists())


if __name__ == '__main__':
    absltest.main()
