"""Studies small enough to train inside a test, on two devices even where a machine has one core.

Import it before anything starts JAX's backend; the number of CPU devices is fixed from then on.
"""

import atexit
import contextlib
import dataclasses
import functools
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from imbreg_jax import study as study_lib
from imbreg_jax.compute import backend, units
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.data import images, randomness
from imbreg_jax.data.randomness import Purpose
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import Programs
from imbreg_jax.training.step import TrainState

# The flags of a real start, without which a faulty jaxlib is refused.
backend.configure()
with contextlib.suppress(RuntimeError):  # The backend has started: tests that need two say so.
    jax.config.update('jax_num_cpu_devices', 2)

# Most of a test's time is compilation, and many tests, workers and children compile the same
# programs. A test file that runs by itself has a folder of its own.
if 'IMBREG_JAX_TESTS_COMPILED' not in os.environ:
    _folder = tempfile.TemporaryDirectory(prefix='imbreg_jax_compiled_')
    atexit.register(_folder.cleanup)
    os.environ['IMBREG_JAX_TESTS_COMPILED'] = _folder.name
COMPILED = os.environ['IMBREG_JAX_TESTS_COMPILED']
jax.config.update('jax_compilation_cache_dir', COMPILED)
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.05)

# The smallest network whose every layer still has a few pixels to work on, and a handful of steps
# of a rate at which weights move far beyond rounding.
_FIELDS: dict[str, Any] = {
    'name': 'small',
    'repeats': 2,
    'test_distributions': ('u1_10', 'n5_5_1'),
    'data.image_size': 20,
    'data.train_size': 24,
    'data.validation_size': 30,
    'data.test_size': 14,
    'model.conv_features': (3, 4),
    'model.dense_features': 6,
    'training.batch_size': 6,
    'training.epochs': 2,
    'training.learning_rate': 1e-3,
    'evaluation.batch_size': 5,
    'evaluation.dense_size': 7,
    'evaluation.moment_images': 12,
    'evaluation.moment_masks': 3,
    'compute.steps_per_chunk': 2,
    'compute.compilation_cache': False,
    'compute.tensorboard': False,
}


def config(conditions: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A small config as plain values.

    Args:
      conditions: name -> {dotted field: value}.
      **fields: other values than the small ones, with __ for the dot: `training__epochs=1`.
    """
    made = study_lib.default_config()
    made.update_from_flattened_dict(
        _FIELDS | {name.replace('__', '.'): value for name, value in fields.items()}
    )
    return made.to_dict() | {'conditions': dict(conditions or {})}


def study(conditions: Mapping[str, Any] | None = None, **fields: Any) -> study_lib.Study:
    """A small study; see `config`."""
    return study_lib.resolve(config(conditions, **fields))


class Trained(NamedTuple):
    """A unit and what it looked like after some epochs, on the host.

    Attributes:
      engine: its programs.
      state: on the devices.
      params: {'conv1/kernel': [runs, ...], ...}.
      losses: [epochs, chunks, runs] sums over a chunk's steps.
      diverged_step: [runs].
    """

    engine: Engine
    state: TrainState
    params: dict[str, np.ndarray]
    losses: np.ndarray
    diverged_step: np.ndarray


def programs(
    study: study_lib.Study, devices: int = 1, parts: Sequence[units.Unit] = (), **planned: Any
) -> Programs:
    """A study's first programs, for `parts` too; `planned` overrides fields of its plan."""
    available = jax.devices()[:devices]
    plan = dataclasses.replace(plan_lib.make(study, available), **planned)
    return Programs(study, 0, plan, available[: plan.devices], parts)


def engine(study: study_lib.Study, devices: int = 1, **planned: Any) -> Engine:
    """The engine of a study's first unit; `planned` overrides fields of its plan."""
    made = programs(study, devices, **planned)
    return Engine(made, units.cut(study, made.plan.runs_per_unit)[0])


@contextlib.contextmanager
def precision() -> Iterator[None]:
    """The default config's arithmetic."""
    with jax.default_matmul_precision('highest'):
        yield


def train(study: study_lib.Study, devices: int = 1, **planned: Any) -> Trained:
    """Trains the first unit of a study."""
    return train_unit(engine(study, devices, **planned))


def train_unit(made: Engine) -> Trained:
    """Trains a unit, chunk by chunk as a study is trained."""
    with precision():
        state = made.initialize()
        losses = []
        for epoch in range(made.training.epochs):
            for step in range(0, made.steps_per_epoch, made.chunk_steps):
                state, loss = made.train_chunk(state, epoch, step)
                losses.append(made.axis.fetch(loss))
            state = made.end_epoch(state, epoch)
        chunks = -(-made.steps_per_epoch // made.chunk_steps)
        return Trained(
            made,
            state,
            flat(made.axis.fetch(state.params)),
            np.array(losses).reshape(-1, chunks, len(made.unit.runs)),
            made.axis.fetch(state.diverged_step),
        )


@functools.cache
def trained() -> Trained:
    """The default small study, trained on one device; do not hand its state to `train_chunk`."""
    return train(study(), mapping='map')


def flat(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Nested parameters as {'layer/kind': array} on the host."""
    return {
        f'{layer}/{kind}': np.asarray(value)
        for layer, kinds in params.items()
        for kind, value in kinds.items()
    }


def noise(study: study_lib.Study, repeat: int, purpose: Purpose, count: int) -> np.ndarray:
    """[count, size, size]: a split's noise by its definition."""
    key = randomness.purpose_key(randomness.root_key(study.seed), repeat, purpose)
    indices = np.arange(count, dtype=np.int32)
    return np.asarray(_noise(key, indices, study.conditions[0].data.image_size))


_noise = jax.jit(images.noise, static_argnums=2)


def assert_trained_alike(found: Any, wanted: Any, study: study_lib.Study, steps: int) -> None:
    """Trained weights [...] are alike but for the order of float32 sums: nearly all to `rounding`.

    Where a map is active nowhere that a weight looks, its gradient is 0; sums that take products of
    sums of neighbours leave 1e-9 there, of which Adam, whose epsilon is 1e-8, makes a step of its
    own size. It is few weights of a step: as many as one in twenty may be off by as many steps, in
    opposite directions. Another repeat, mask or image moves most of them.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    np.testing.assert_equal(found.shape, wanted.shape)
    far = np.abs(found - wanted)
    few = far > rounding(study, steps)
    np.testing.assert_array_less(few.sum(), found.size // 20 + 1)
    np.testing.assert_array_less(far, 2 * steps * study.conditions[0].training.learning_rate)


def rounding(study: study_lib.Study, steps: int) -> float:
    """How far trained weights may differ when only the order of float32 sums does.

    A weight moves by at most about the learning rate a step, whatever the gradient's size. A
    gradient's entry is a sum of some 10^4 products, each off by 6e-8, and where they cancel to a
    hundredth it is off by 1e-5 to 1e-4 of itself, as is its step; a thousandth of the whole way
    leaves a decade. Another repeat, mask or image moves it by the whole way.
    """
    return 1e-3 * steps * study.conditions[0].training.learning_rate
