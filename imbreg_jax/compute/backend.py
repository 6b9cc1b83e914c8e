"""JAX's backend, made ready for a study: devices, settings, compiled programs that are kept.

Numbers must not depend on what else a user has set, nor on the machine's state at a resume. So a
study pins JAX's settings for its own length, XLA's are recorded, and of what decides the order of
sums on CPU, the number of threads, the first start's is kept.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jaxlib

from imbreg_jax.compute import environment, limits, self_test
from imbreg_jax.compute.environment import BackendError
from imbreg_jax.study import ConfigError, Study

logger = logging.getLogger('imbreg_jax')

_DETERMINISTIC = '--xla_gpu_deterministic_ops=true'
# XLA:CPU hands sums to YNNPACK in these, whose fusions are at fault; excluded in pyproject.toml,
# and met all the same in an environment that something else made.
_NO_YNN = '--xla_cpu_experimental_ynn_fusion_type='
FAULTY = {
    '0.10.2': 'sums wrongly on CPUs (jax issue 39103)',
    '0.11.0': 'crashes in reductions of many axes on CPUs (jax issue 39257)',
}

# These print some ten lines of alarm for each compiled program that they load, since the settings
# that they compiled with, the same machine's, are no features of its processor.
_FALSE_ALARM = ('0.10.0', '0.10.1')
# What JAX sets when it is imported, unless the user has: warnings and what is worse.
_USUAL_LOG_LEVEL = '1'
_FATAL = 3

# What is set for a study, whatever the user's own choice. These hold for the thread only …
_PINNED = {
    'threefry_partitionable': True,
    'enable_x64': False,
    'numpy_dtype_promotion': 'standard',
    'numpy_rank_promotion': 'allow',
    'default_prng_impl': 'threefry2x32',
    'legacy_prng_key': 'allow',
    'transfer_guard': 'allow',
    'default_device': None,
    'disable_jit': False,
    'debug_nans': False,  # A run that diverges is marked, and the others go on.
    'debug_infs': False,
    'debug_key_reuse': False,
}
# … and these, of which JAX has no context, for the process. An older or newer JAX lacks some.
_PINNED_GLOBALLY = {
    'jax_random_seed_offset': 0,
    'jax_disable_most_optimizations': False,
    'jax_optimization_level': 'UNKNOWN',
    'jax_exec_time_optimization_effort': 0.0,
    'jax_memory_fitting_effort': 0.0,
    'jax_memory_fitting_level': 'O2',
    'jax_enable_pgle': False,
    'jax_check_tracer_leaks': False,
    'jax_no_execution': False,
    'jax_raise_persistent_cache_errors': False,
}

# Threads of the backend that this process started, or None where somebody else started it.
_threads: int | None = None


@contextlib.contextmanager
def pinned(study: Study) -> Iterator[None]:
    """Sets whatever of JAX's settings decides numbers, and afterwards what was set before."""
    before = {
        name: getattr(jax.config, name) for name in _PINNED_GLOBALLY if hasattr(jax.config, name)
    }
    with contextlib.ExitStack() as stack:
        for name, value in before.items():
            if value != _PINNED_GLOBALLY[name]:
                stack.callback(jax.config.update, name, value)
                jax.config.update(name, _PINNED_GLOBALLY[name])
        for name, value in _PINNED.items():
            stack.enter_context(getattr(jax, name)(value))
        stack.enter_context(jax.default_matmul_precision(study.compute.matmul_precision))
        yield


def prepare(study: Study, cores: int = 0) -> list[Any]:
    """Makes JAX ready, unless the process has used it already, and returns the devices.

    Args:
      study: the study; call this under `pinned`.
      cores: CPU devices and threads; 0 for as many as this process has cores. The numbers of a
        study that was begun on other cores stay the same under the number that it was begun with.

    Raises:
      BackendError: JAX cannot start here, or does not compute what it should.
      ConfigError: an accelerator is required and there is none.
    """
    from jax._src import xla_bridge  # The public API cannot tell without starting the backend.

    environment.check()
    cores = cores or limits.usable_cores()
    in_use = xla_bridge.backends_are_initialized()
    if not in_use:
        configure()
    if study.compute.compilation_cache:
        use_compilation_cache(study.compute.compilation_cache_dir)
    devices = _devices() if in_use else _start(cores)
    if in_use:
        _say_what_is_too_late(devices, cores)
    if platform(devices) == 'cpu':
        keep_false_alarms_away()
    self_test.check(devices[0], cache_folder())
    if study.compute.require_accelerator and devices[0].platform == 'cpu':
        raise ConfigError(
            'compute.require_accelerator', True, 'JAX sees no accelerator here, only the CPU'
        )
    return devices


def configure() -> None:
    """Sets the XLA flags that a study needs and the user has not set; before a backend starts."""
    environment.add_xla_flag(_DETERMINISTIC)
    version = jaxlib.__version__
    if version in FAULTY and environment.add_xla_flag(_NO_YNN):
        logger.warning(
            'jaxlib %s %s, so its YNNPACK fusions are switched off, which costs some speed; '
            'jaxlib %s is sound',
            version, FAULTY[version], self_test.SOUND_JAXLIB,
        )  # fmt: skip


def keep_false_alarms_away() -> None:
    """Has XLA print nothing where it prints false alarms, unless the user chose what it prints.

    They count as errors, so all that it prints goes; what it raises is raised still. To be called
    when a backend has started: that sets what is printed.
    """
    # The public setting would silence Python's warnings too.
    from jax._src.lib import utils

    usual = os.environ.get('TF_CPP_MIN_LOG_LEVEL', _USUAL_LOG_LEVEL) == _USUAL_LOG_LEVEL
    if jaxlib.__version__ in _FALSE_ALARM and usual and hasattr(utils, 'absl_set_min_log_level'):
        utils.absl_set_min_log_level(_FATAL)


def threads() -> int:
    """How many threads share an operation on CPU, which decides in what order it sums."""
    if _threads is not None:
        return _threads
    affinity = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else ()
    return max(len(affinity) or os.cpu_count() or 1, len(jax.local_devices()))


def platform(devices: list[Any]) -> str:
    """'cpu', 'gpu' or 'tpu'."""
    name = devices[0].platform
    return 'gpu' if name in ('gpu', 'cuda', 'rocm') else name


def _start(cores: int) -> list[Any]:
    global _threads
    jax.config.update('jax_num_cpu_devices', cores)
    # XLA has as many threads as this variable says, or else as the process has cores.
    before = os.environ.get('PJRT_NPROC')
    os.environ['PJRT_NPROC'] = str(cores)
    try:
        devices = _devices()
    finally:
        if before is None:
            del os.environ['PJRT_NPROC']
        else:
            os.environ['PJRT_NPROC'] = before
    _threads = cores
    return devices


def _devices() -> list[Any]:
    try:
        return jax.local_devices()
    except RuntimeError as error:
        asked = jax.config.values['jax_platforms']
        reason = ' '.join(str(error).split())
        if not asked:
            raise BackendError(f'JAX cannot start: {reason}') from error
        raise BackendError(
            f'JAX_PLATFORMS = {asked!r}: JAX cannot start that here, where it has '
            f'{_platforms_here()}; unset it or name one of those ({reason})'
        ) from error


def _platforms_here() -> str:
    """The platforms that start, as text; none of them is left started."""
    from jax.extend import backend

    asked = jax.config.values['jax_platforms']
    try:
        jax.config.update('jax_platforms', None)
        return ', '.join(sorted({device.platform for device in jax.devices()}))
    except RuntimeError:
        return 'none'
    finally:
        jax.config.update('jax_platforms', asked)
        backend.clear_backends()


def _say_what_is_too_late(devices: list[Any], cores: int) -> None:
    """Warns where JAX was used before the study in this process, so that it cannot be set up."""
    version = jaxlib.__version__
    if devices[0].platform == 'cpu' and len(devices) < cores:
        logger.warning(
            'JAX was in use in this process before the study, which therefore trains on %d of %d '
            'cores; run a study before anything else that uses JAX',
            len(devices), cores,
        )  # fmt: skip
    elif platform(devices) == 'gpu' and not environment.has_xla_flag(_DETERMINISTIC):
        logger.warning(
            'JAX was in use in this process before the study, so a resumed study may end with '
            'other last digits; run a study before anything that uses JAX, or set XLA_FLAGS=%s',
            _DETERMINISTIC,
        )  # fmt: skip
    if version in FAULTY and not environment.has_xla_flag(_NO_YNN):
        logger.warning(
            'jaxlib %s %s, and it was in use in this process before the study; run a study before '
            'anything that uses JAX, set XLA_FLAGS=%s, or install jaxlib %s',
            version, FAULTY[version], _NO_YNN, self_test.SOUND_JAXLIB,
        )  # fmt: skip


# --- compiled programs that are kept ------------------------------------------------------------


def cache_folder() -> Path:
    """The user's cache folder for this package."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return Path(base) / 'imbreg_jax'


def use_compilation_cache(directory: str) -> None:
    """Has JAX keep compiled programs, in the user's cache folder where `directory` is ''.

    Raises:
      ConfigError: `directory` is named and cannot be written.
    """
    path = Path(directory or cache_folder() / 'xla')
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b'x' * 4096)
            file.flush()
        remove_damaged(path)
    except OSError as error:
        reason = error.strerror or str(error)
        if directory:
            raise ConfigError(
                'compute.compilation_cache_dir',
                directory,
                f'compiled programs cannot be kept there ({reason}); it must be a folder that can '
                'be written, or config.compute.compilation_cache = False',
            ) from error
        logger.warning(
            'the compilation cache %s cannot be written (%s), so every start compiles anew; '
            '--config.compute.compilation_cache_dir=DIR names another', path, reason,
        )  # fmt: skip
        jax.config.update('jax_compilation_cache_dir', None)
        return
    jax.config.update('jax_compilation_cache_dir', str(path))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.05)


def remove_damaged(path: Path) -> list[str]:
    """Removes compiled programs that were cut short from JAX's cache folder.

    JAX writes them in place, so that a killed process leaves a part of one, and it never replaces
    one that is there: it would warn of it at every start. Looked at is what was written since the
    last look.

    Returns:
      The names of what was removed.
    """
    looked = path / '.looked_at'
    since = looked.stat().st_mtime_ns if looked.exists() else 0
    looked.touch()
    removed = []
    for entry in path.glob('*-cache'):
        with contextlib.suppress(FileNotFoundError):  # Another process removed it.
            if entry.stat().st_mtime_ns >= since and not _is_whole(entry.read_bytes()):
                entry.unlink()
                removed.append(entry.name)
    if removed:
        logger.warning(
            'the compilation cache %s held %d damaged program(s), which are compiled anew: %s',
            path, len(removed), ', '.join(sorted(removed)),
        )  # fmt: skip
    return removed


def _is_whole(entry: bytes) -> bool:
    """Whether a compressed entry can be taken apart."""
    try:
        from jax._src.compilation_cache import decompress_executable
    except ImportError:
        return True
    try:
        decompress_executable(entry)
    except Exception as error:  # zlib's, or that of whichever zstd JAX has
        logger.debug('not whole: %s', error)
        return False
    return True
