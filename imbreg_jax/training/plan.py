"""The plan of a study on its devices: which runs go where, how many at once, what is cached.

The rule, fixed and not tuned at start-up:

- CPU: one device a core, the runs divided over them, one after the other on each (`lax.map`):
  small matrices that stay in a core's cache beat large batched ones there.
- GPU, TPU: all runs of a device at once (`vmap`).

The numbers do not depend on the plan beyond rounding.  A study writes its plan down at its first
start and keeps it, so that a resumed study repeats an uninterrupted one bit for bit.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from imbreg_jax.compute import backend, limits
from imbreg_jax.model import layers
from imbreg_jax.study import Condition, Study

RUNS = 'runs'
# Steps of the paper's network and batch that one device takes in a chunk, a few seconds' worth, so
# that a signal is answered within that.
CPU_CHUNK = 800
ACCELERATOR_CHUNK = 200_000
# Images that all runs of one accelerator evaluate at once.
EVALUATED_AT_ONCE = 8_000
# Of the memory that is there, the share the plan may fill; the rest is XLA's and the host's.
MEMORY_SHARE = 0.7
FLOAT = 4
# No machine that a plan could have been made on has more.
MOST_CORES = 2**14


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes a study needs on its devices, predicted from shapes alone.

    Attributes:
      per_run: a run's parameters, optimiser state, targets and (on accelerators, where all runs
        step at once) the working set of a training step.
      per_repeat: a repeat's cached noise (training and validation images).
      per_device: the working set of evaluation and (on CPU) of a training step.
      fixed: what does not grow.
    """

    per_run: int
    per_repeat: int
    per_device: int
    fixed: int

    def total(self, runs: int, tables: int, devices: int, cached: bool) -> int:
        """Bytes for so many runs and noise tables, with or without the cached data set."""
        kept = tables * self.per_repeat if cached else 0
        return self.fixed + devices * self.per_device + runs * self.per_run + kept


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a study is computed.

    Attributes:
      platform: 'cpu', 'gpu' or 'tpu'.
      devices: how many devices the runs are divided over.
      mapping: 'map' (runs one after the other on a device) or 'vmap' (all at once).
      cached: whether noise is kept on the devices.
      repeats_per_unit: repeats trained together, with all conditions of a program.
      chunk_steps: training steps between two returns to the host, for each program; an epoch's
        last chunk is shorter where they do not divide it.
      bytes_predicted: on all devices together.
      cores: threads that share an operation on CPU, which decide the order of its sums; 0 where a
        version before this one made the plan.
    """

    platform: str
    devices: int
    mapping: str
    cached: bool
    repeats_per_unit: int
    chunk_steps: tuple[int, ...]
    bytes_predicted: int
    cores: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self) | {'chunk_steps': list(self.chunk_steps)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> 'Plan':
        """From `to_json`'s values."""
        return cls(**(values | {'chunk_steps': tuple(values['chunk_steps'])}))


class OutOfMemory(RuntimeError):
    """No plan fits; the text says what would."""


def parameter_count(condition: Condition, image_size: int) -> int:
    """Trainable numbers of a condition's network."""
    first, second = condition.model.conv_features
    taps = condition.model.kernel_size**2
    hidden = layers.conv_and_pool_size(image_size, condition.model.kernel_size)
    hidden = layers.conv_and_pool_size(hidden, condition.model.kernel_size)
    dense = condition.model.dense_features
    convolutions = taps * first + first + taps * first * second + second
    return convolutions + (hidden**2 * second + 1) * dense + dense + 1


def multiplications_per_image(condition: Condition, size: int) -> int:
    """Multiply-adds that training on one image takes, forward and backward, pool folded in.

    A layer's backward pass takes its forward's count once for the kernel's gradient and once for
    the input's, which the first layer does not need.
    """
    first, second = condition.model.conv_features
    kernel = (condition.model.kernel_size + 1) ** 2
    outer = layers.conv_and_pool_size(size, condition.model.kernel_size)
    inner = layers.conv_and_pool_size(outer, condition.model.kernel_size)
    hidden = condition.model.dense_features
    layer_1 = outer**2 * first * kernel
    layer_2 = inner**2 * second * first * kernel
    dense = inner**2 * second * hidden + hidden
    return 2 * layer_1 + 3 * layer_2 + 3 * dense


# Of the paper's network on its batch of 50 images.
_PAPER_STEP = 50 * 2_874_870


def _folded(condition: Condition) -> bool:
    return condition.model.order == 'pool_relu' and condition.model.conv_dropout == 'channel'


def relative_work(condition: Condition, size: int) -> float:
    """What a training step takes, in steps of the paper's network and batch."""
    step = condition.training.batch_size * multiplications_per_image(condition, size)
    return step * (1 if _folded(condition) else 4) / _PAPER_STEP


def memory(study: Study, condition: Condition, platform: str) -> Memory:
    """Predicts a study's memory; see `Memory`.

    The working set of a step is counted as the arrays that live at its backward pass's peak: per
    image the pixels, both layers' patches or shifted products, and their activations.
    """
    size = study.data.image_size
    first, second = condition.model.conv_features
    outer = layers.conv_and_pool_size(size, condition.model.kernel_size) / 2 + 1
    # Per image: pixels, patches of layer 1 (4 blocks of 16 pixels), its output, gradient and
    # gradient's products; 9 shifts of layer 2's output, forward and backward.
    spread = 1 if _folded(condition) else 4
    per_image = 2 * size**2 + outer**2 * spread * (64 + 4 * 4 * first + 2 * 9 * second)
    step = int(condition.training.batch_size * per_image * FLOAT)
    evaluated = study.evaluation.batch_size
    if platform != 'cpu':
        evaluated = max(evaluated * len(study.test_distributions), EVALUATED_AT_ONCE)
    evaluation = int(evaluated * per_image * FLOAT)
    state = 4 * parameter_count(condition, size) * FLOAT
    # Generating values, targets, and the order of an epoch and of the next.
    data = 4 * FLOAT * (study.data.train_size + study.data.validation_size)
    images = (study.data.train_size + study.data.validation_size) * size**2 * FLOAT
    if platform == 'cpu':
        return Memory(state + data, images, step + evaluation, 2**28)
    return Memory(state + data + step, images, evaluation, 2**29)


def noise_tables(conditions: int, repeats: int, devices: int) -> int:
    """Noise tables on all devices together: each has those of the repeats among its runs."""
    runs = conditions * repeats
    length = -(-runs // devices)
    repeat = [min(i, runs - 1) // conditions for i in range(length * devices)]
    blocks = [repeat[i : i + length] for i in range(0, len(repeat), length)]
    return devices * max(len(set(block)) for block in blocks)


def bytes_needed(study: Study, platform: str, devices: int, repeats: int, cached: bool) -> int:
    """Bytes that a study's largest program needs with so many repeats at once."""
    return max(
        memory(study, study.conditions[group[0]], platform).total(
            -(-len(group) * repeats // devices) * devices,
            noise_tables(len(group), repeats, devices),
            devices,
            cached,
        )
        for group in study.programs()
    )


def available_bytes(devices: list[Any]) -> int:
    """Bytes of memory that the devices may use together."""
    if devices[0].platform != 'cpu':
        granted = [(d.memory_stats() or {}).get('bytes_limit', 2**33) for d in devices]
        return int(min(granted)) * len(devices)
    return limits.host_bytes()


def chunk_length(steps: int, limit: int) -> int:
    """How many of an epoch's steps a chunk takes: at most `limit`, and at least 1.

    Chunks are equal where that takes less than twice as many of them as the limit does; otherwise,
    as for a prime number of steps, they are as long as can be, and the last one is shorter.
    """
    limit = max(1, min(steps, limit))
    divisor = max(d for d in range(1, limit + 1) if steps % d == 0)
    return divisor if 2 * divisor > limit else -(-steps // -(-steps // limit))


def make(study: Study, devices: list[Any], available: int | None = None) -> Plan:
    """Plans a study.

    Args:
      study: the study.
      devices: the devices it may use.
      available: bytes they have; None to ask them.

    Returns:
      The plan.

    Raises:
      OutOfMemory: where not even one repeat fits.
    """
    platform = 'gpu' if devices[0].platform in ('gpu', 'cuda', 'rocm') else devices[0].platform
    mapping = 'map' if platform == 'cpu' else 'vmap'
    budget = int(MEMORY_SHARE * (available_bytes(devices) if available is None else available))
    groups = study.programs()
    wanted = study.compute.runs_per_program
    repeats = len(study.repeats)
    most = max(len(group) for group in groups)
    if wanted:
        repeats = min(repeats, max(1, wanted // most))

    def used(count: int) -> int:
        # A device without a run of its own would only train a copy of another's.
        return min(len(devices), most * count)

    def need(count: int, cached: bool) -> int:
        return bytes_needed(study, platform, used(count), count, cached)

    fitting = [n for n in range(1, repeats + 1) if need(n, False) <= budget]
    if not fitting:
        raise OutOfMemory(
            f'one repeat of {most} conditions needs about {need(1, False):,} bytes and '
            f'{budget:,} may be used; a smaller config.training.batch_size or '
            'config.evaluation.batch_size, or fewer conditions, would fit'
        )
    together = fitting[-1]
    # Equal units, so that one compilation serves all of them.
    together = -(-len(study.repeats) // -(-len(study.repeats) // together))
    cached = study.data.cache == 'always' or (
        study.data.cache == 'auto' and need(together, True) <= budget
    )
    if study.data.cache == 'always' and need(together, True) > budget:
        fitting = [n for n in range(1, together + 1) if need(n, True) <= budget]
        if not fitting:
            raise OutOfMemory(
                f'the cached data set of one repeat needs about {need(1, True):,} bytes and '
                f"{budget:,} may be used; config.data.cache = 'auto' would fit"
            )
        together = fitting[-1]
    chunk_steps = []
    chunk = CPU_CHUNK if platform == 'cpu' else ACCELERATOR_CHUNK
    for group in groups:
        condition = study.conditions[group[0]]
        steps = study.data.train_size // condition.training.batch_size
        per_device = math.ceil(len(group) * together / used(together))
        work = per_device * relative_work(condition, study.data.image_size)
        limit = min(study.compute.steps_per_chunk, max(1, int(chunk / work)))
        chunk_steps.append(chunk_length(steps, limit))
    return Plan(
        platform, used(together), mapping, cached, together, tuple(chunk_steps),
        need(together, cached), backend.threads(),
    )  # fmt: skip


def check(plan: Plan, study: Study) -> None:
    """Refuses a plan that was written down, unless it is one for the study.

    Raises:
      ValueError: with the field, its value and what would be right.
    """

    def refuse(field: str, rule: str) -> None:
        raise ValueError(f'{field} is {getattr(plan, field)!r}, and it must be {rule}')

    for field in dataclasses.fields(plan):
        # A bool is an int to Python, and no number of devices.
        if field.type in (bool, int, str) and type(getattr(plan, field.name)) is not field.type:
            refuse(field.name, f'a value of type {field.type.__name__}')
    if plan.platform not in ('cpu', 'gpu', 'tpu'):
        refuse('platform', 'cpu, gpu or tpu')
    if plan.mapping not in ('map', 'vmap'):
        refuse('mapping', 'map or vmap')
    if not 1 <= plan.devices <= len(study.runs):
        refuse('devices', f'from 1 to the {len(study.runs)} runs')
    if not 1 <= plan.repeats_per_unit <= len(study.repeats):
        refuse('repeats_per_unit', f'from 1 to the {len(study.repeats)} repeats')
    if plan.bytes_predicted < 0:
        refuse('bytes_predicted', 'at least 0')
    programs = study.programs()
    if len(plan.chunk_steps) != len(programs):
        refuse('chunk_steps', f'{len(programs)} numbers, one for each program')
    for chunk, group in zip(plan.chunk_steps, programs, strict=True):
        steps = study.data.train_size // study.conditions[group[0]].training.batch_size
        if type(chunk) is not int or not 1 <= chunk <= steps:
            refuse('chunk_steps', f'integers from 1 to the {steps} steps of an epoch')


class RunAxis:
    """Compiles functions of one run into programs over all runs, sharded over the devices.

    Every array of a program leads with the run axis, in blocks of equal length, one a device.
    """

    def __init__(self, plan: Plan, devices: list[Any], runs: int):
        """Args: the plan, its devices, and how many runs there are."""
        self.plan = plan
        self.mesh = Mesh(np.array(devices), (RUNS,))
        self.sharding = NamedSharding(self.mesh, P(RUNS))
        self.replicated = NamedSharding(self.mesh, P())
        self.runs = runs
        self.padded = -(-runs // len(devices)) * len(devices)

    def spread(self, tree: Any) -> Any:
        """Puts arrays [runs, ...] of the host on the devices, the last run repeated to fill up."""

        def put(a):
            a = np.asarray(a)
            fill = [(0, self.padded - len(a))] + [(0, 0)] * (a.ndim - 1)
            return jax.device_put(np.pad(a, fill, mode='edge'), self.sharding)

        return jax.tree.map(put, tree)

    def per_device(self, tree: Any) -> Any:
        """Puts arrays [devices * n, ...], n to each device."""
        return jax.tree.map(lambda a: jax.device_put(np.asarray(a), self.sharding), tree)

    def fetch(self, tree: Any) -> Any:
        """Arrays [runs, ...] on the host, fillers dropped."""
        return jax.tree.map(lambda a: np.asarray(a)[: self.runs], tree)

    def compile(self, function: Callable[..., Any], at_once: int = 0) -> Callable[..., Any]:
        """A program over all runs from a function of one.

        Args:
          function: (carried, run, device, shared) -> tree; `carried` and `run` of one run,
            `device` a tree of the arrays that belong to its device, `shared` common to all.
          at_once: with `vmap`, at most so many runs at a time (0: all).

        Returns:
          (carried, run, device, shared) -> tree, run axis leading; `carried` is donated.
        """

        def block(carried, run, device, shared):
            one = lambda pair: function(*pair, device, shared)  # noqa: E731
            if self.plan.mapping == 'map':
                return lax.map(one, (carried, run))
            length = jax.tree.leaves(run)[0].shape[0]
            if at_once and at_once < length:
                return lax.map(one, (carried, run), batch_size=at_once)
            return jax.vmap(lambda c, r: function(c, r, device, shared))(carried, run)

        spread = P(RUNS)
        program = jax.shard_map(
            block,
            mesh=self.mesh,
            in_specs=(spread, spread, spread, P()),
            out_specs=spread,
            check_vma=False,
        )
        return jax.jit(program, donate_argnums=0)
