"""The plan of a study on its devices: which runs go where, how many at once, what is cached.

The rule, fixed and not tuned at start-up:

- CPU: one device a core, the runs divided over them, one after the other on each (`lax.map`):
  small matrices that stay in a core's cache beat large batched ones there.
- GPU, TPU: all runs of a device at once (`vmap`).
- Images that are drawn are kept whole where they fit, else their noise, else nothing. On CPU fewer
  runs are taken together for that, which costs no time where they train one after the other.

The numbers do not depend on the plan beyond rounding.  A study writes its plan down at its first
start and keeps it, so that a resumed study repeats an uninterrupted one bit for bit.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from imbreg_jax.compute import backend, memory, units
from imbreg_jax.study import Condition, Study

# Steps of the paper's network and batch that one device takes in a chunk, a few seconds' worth, so
# that a signal is answered within that.
CPU_CHUNK = 800
ACCELERATOR_CHUNK = 200_000
# Of the memory that is there, the share the plan may fill; the rest is XLA's and the host's.
MEMORY_SHARE = 0.7
# No machine that a plan could have been made on has more.
MOST_CORES = 2**14


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a study is computed.

    Attributes:
      platform: 'cpu', 'gpu' or 'tpu'.
      devices: how many devices the runs are divided over.
      mapping: 'map' (runs one after the other on a device) or 'vmap' (all at once).
      cached: whether training and validation images are kept on the devices, or noise of which
        each step makes them.
      runs_per_unit: runs trained together at most.
      chunk_steps: training steps between two returns to the host, for each program; an epoch's
        last chunk is shorter where they do not divide it.
      bytes_predicted: on all devices together.
      cores: threads that share an operation on CPU, which decide the order of its sums; 0 where a
        version before this one made the plan.
      rendered: whether what is kept of tasks that draw is images; if not, noise, as in plans of
        earlier versions.
    """

    platform: str
    devices: int
    mapping: str
    cached: bool
    runs_per_unit: int
    chunk_steps: tuple[int, ...]
    bytes_predicted: int
    cores: int = 0
    rendered: bool = False

    @property
    def kept(self) -> str:
        """What becomes of the images between two epochs, in words."""
        if not self.cached:
            return 'drawn anew in every epoch'
        return 'cached on the device' + (', with what is drawn on them' if self.rendered else '')

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self) | {'chunk_steps': list(self.chunk_steps)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> 'Plan':
        """From `to_json`'s values."""
        return cls(**(values | {'chunk_steps': tuple(values['chunk_steps'])}))


class OutOfMemory(RuntimeError):
    """No plan fits; the text says what would."""


# Runs of a device that are trained with their noise kept, rather than more of them without.
_LEAST_KEPT = 4

# Of the paper's network on its batch of 50 images.
_PAPER_STEP = 50 * 2_874_870


def relative_work(condition: Condition) -> float:
    """What a training step takes, in steps of the paper's network and batch."""
    views = condition.training.batch_size * condition.remedy.views
    return views * condition.architecture.training_multiplications / _PAPER_STEP


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
      OutOfMemory: where not even one run of each device fits.
    """
    platform = backend.platform(devices)
    mapping = 'map' if platform == 'cpu' else 'vmap'
    if available is None:
        available = memory.available_bytes(devices)
    budget = int(MEMORY_SHARE * available)
    groups = study.programs()
    counts = [len(study.runs_of(program)) for program in range(len(groups))]
    most = max(counts)
    wanted = min(most, study.compute.runs_per_program or most)
    # A device without a run of its own would stand idle.
    least = min(len(devices), wanted)

    def need(runs: int, cached: bool, rendered: bool = False) -> int:
        used = min(len(devices), runs)
        return memory.bytes_needed(study, platform, used, runs, cached, rendered)

    together = _largest(least, wanted, lambda runs: need(runs, False) <= budget)
    if not together:
        raise OutOfMemory(
            f'{least} run(s) at once, one on each device, need about {need(least, False):,} bytes '
            f'and {budget:,} may be used; a smaller config.training.batch_size or '
            'config.evaluation.batch_size would fit'
        )
    # Equal units, so that none is left with a few runs and as much to wait for.
    together = units.slice_size(most, together)
    whole = 0
    if study.cache != 'never' and memory.renders(study):
        # What trains one after the other may as well be fewer.
        fewest = least if mapping == 'map' else together
        whole = _largest(fewest, together, lambda runs: need(runs, True, True) <= budget)
    cached = study.cache == 'always' or (study.cache == 'auto' and need(together, True) <= budget)
    if whole:
        cached, equal = True, units.slice_size(most, whole)
        # Units of fewer runs may be of more data sets, where they part the runs of one.
        together = equal if need(equal, True, True) <= budget else whole
    elif study.cache == 'always' and need(together, True) > budget:
        together = _largest(least, together, lambda runs: need(runs, True) <= budget)
        if not together:
            raise OutOfMemory(
                f'the cached data set of {least} run(s) needs about {need(least, True):,} bytes '
                f"and {budget:,} may be used; config.data.cache = 'auto' would fit"
            )
        together = units.slice_size(most, together)
    elif study.cache == 'auto' and not cached and mapping == 'map':
        # So may runs whose noise is drawn once for targets, epochs and all conditions of a repeat;
        # of a few for each device, one that waits for others would cost what that saves.
        kept = _largest(
            min(together, _LEAST_KEPT * least), together, lambda runs: need(runs, True) <= budget
        )
        if kept:
            cached, together = True, units.slice_size(most, kept)
    used = min(len(devices), together)
    chunk_steps = []
    chunk = CPU_CHUNK if platform == 'cpu' else ACCELERATOR_CHUNK
    for group, count in zip(groups, counts, strict=True):
        condition = study.conditions[group[0]]
        runs = units.slice_size(count, together)
        work = math.ceil(runs / used) * relative_work(condition)
        limit = min(study.compute.steps_per_chunk, max(1, int(chunk / work)))
        chunk_steps.append(chunk_length(condition.steps_per_epoch, limit))
    return Plan(
        platform, used, mapping, cached, together, tuple(chunk_steps),
        need(together, cached, whole > 0), backend.threads(), whole > 0,
    )  # fmt: skip


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest number from `low` to `high` that fits; 0 if `low` does not.

    Where one fits and not all below it do, some number that fits.
    """
    if not fits(low):
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


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
    if not 1 <= plan.runs_per_unit <= len(study.runs):
        refuse('runs_per_unit', f'from 1 to the {len(study.runs)} runs')
    if plan.bytes_predicted < 0:
        refuse('bytes_predicted', 'at least 0')
    programs = study.programs()
    if len(plan.chunk_steps) != len(programs):
        refuse('chunk_steps', f'{len(programs)} numbers, one for each program')
    for chunk, group in zip(plan.chunk_steps, programs, strict=True):
        steps = study.conditions[group[0]].steps_per_epoch
        if type(chunk) is not int or not 1 <= chunk <= steps:
            refuse('chunk_steps', f'integers from 1 to the {steps} steps of an epoch')
