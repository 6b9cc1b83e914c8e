"""How one study trains in shards side by side, and what that says of many machines.

The same runs are trained by one process on all cores or GPUs of this machine, by two on half of
them each, and so on, each from its start to what is merged. What many machines like this one would
take is then reckoned, not measured: each starts, compiles and trains its share, and one merges.
"""

import argparse
import dataclasses
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from imbreg_jax import study as study_lib
from imbreg_jax.compute.limits import usable_cores
from imbreg_jax.results import files, merging
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import Study
from imbreg_jax.study.shards import Shard

MACHINES = (1, 8, 64, 1000)
# What is reckoned: so many of the paper's trainings.
RUNS = 100_000
_PAPERS_IMAGES = 15 * 50_000
# The first of them waits for its program, and the others tell how long an epoch lasts.
_EPOCHS = 3


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a study took in so many shards side by side.

    Attributes:
      shards: how many.
      devices: cores or GPUs of each.
      seconds: from the first start to the last end.
      started: of these, on starting, evaluating and all else that is not below.
      compiled: on compiling what trains, in the shard where it took longest.
      trained: on an epoch once that is compiled, likewise.
      merged: on merging.
      copied: seconds to read and write a run's arrays, which is most of merging many.
      images: of an epoch of all runs.
      runs: how many.
    """

    shards: int
    devices: int
    seconds: float
    started: float
    compiled: float
    trained: float
    merged: float
    copied: float
    images: int
    runs: int

    @property
    def rate(self) -> float:
        """Images a second while all train."""
        return self.images / self.trained


def reckoned(measured: Measured, machines: int, runs: int, images: int) -> dict[str, float]:
    """Seconds that machines like the one measured would take.

    Args:
      measured: of one shard on all of a machine.
      machines: how many.
      runs: of the study; a machine has whole ones.
      images: that each is trained on.
    """
    each = math.ceil(runs / machines)
    parts = {
        'start': measured.started,
        'compile': measured.compiled,
        'train': each * images / measured.rate,
        'merge': runs * measured.copied,
    }
    return {**parts, 'all': sum(parts.values())}


def ways(devices: int) -> list[tuple[int, int]]:
    """(shards, devices of each) for one, two and four shards, as far as there are devices."""
    return [(count, devices // count) for count in (1, 2, 4) if count <= devices]


def measure(runs: int, train_size: int, precision: str) -> list[Measured]:
    """Trains so many runs of the paper's balanced condition in every way.

    Raises:
      RuntimeError: a process failed; the text is what it said last.
    """
    gpus = _gpus()
    places = gpus or [str(core) for core in _cores()]
    return [
        _measured(runs, train_size, precision, places[: shards * each], shards, bool(gpus))
        for shards, each in ways(len(places))
    ]


def _cores() -> list[int]:
    if not hasattr(os, 'sched_getaffinity'):
        return [0]  # Not Linux: a process cannot be kept to some of the cores.
    return sorted(os.sched_getaffinity(0))[: usable_cores()]


def _gpus() -> list[str]:
    """The GPUs that are here, without starting JAX on them, or none where JAX would use none."""
    if os.environ.get('JAX_PLATFORMS', 'cuda').split(',')[0] not in ('cuda', 'gpu'):
        return []
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if visible is not None:
        return [name for name in visible.split(',') if name]
    try:
        listed = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(number) for number in range(listed.stdout.count('GPU '))]


def _measured(
    runs: int, train_size: int, precision: str, places: Sequence[str], shards: int, gpus: bool
) -> Measured:
    each = len(places) // shards
    with tempfile.TemporaryDirectory(prefix='imbreg_jax_scaling_') as folder:
        began = time.monotonic()
        processes = []
        for number in range(shards):
            own = ','.join(places[number * each : (number + 1) * each])
            command = [sys.executable, '-m', 'imbreg_jax.benchmark.scaling', folder]
            command += [f'{number + 1}/{shards}', f'{runs}', f'{train_size}', precision]
            command += [] if gpus else [f'--cores={own}']
            environment = os.environ | ({'CUDA_VISIBLE_DEVICES': own} if gpus else {})
            processes.append(
                subprocess.Popen(
                    command, env=environment, text=True,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )
            )  # fmt: skip
        said = [process.communicate()[1] for process in processes]
        seconds = time.monotonic() - began
        for process, text in zip(processes, said, strict=True):
            if process.returncode:
                raise RuntimeError((text.strip().splitlines() or ['failed'])[-1])
        began = time.monotonic()
        with Workdir(folder, of_shards=True) as workdir:
            merging.merge(workdir)
        merged = time.monotonic() - began
        copied = _copied(Path(folder)) / runs
        ended = [_ended(path) for path in Path(folder).glob('shards/*/checkpoints/epochs.jsonl')]
    trained = max((last - first) / (_EPOCHS - 1) for _, first, last in ended)
    compiled = max(0.0, max(first - begun for begun, first, _ in ended) - trained)
    started = max(0.0, seconds - compiled - _EPOCHS * trained - merged)
    images = runs * train_size
    return Measured(
        shards, each, seconds, started, compiled, trained, merged, copied, images, runs
    )  # fmt: skip


def _copied(folder: Path) -> float:
    """Seconds to read and write what the units of all shards left."""
    units = list(folder.glob('shards/*/checkpoints/unit_*.npz'))
    began = time.monotonic()
    for path in units:
        files.write_arrays(folder / 'copy.npz', files.read_arrays(path.read_bytes()))
    return time.monotonic() - began


def _ended(journal: Path) -> tuple[float, float, float]:
    """When a shard began to train, had trained an epoch, and all of them."""
    rows = [files.parse_json(line) for line in journal.read_bytes().splitlines()]
    begun, first, last = (
        max(row['wall_time'] for row in rows if row['epoch'] == epoch) for epoch in (0, 1, _EPOCHS)
    )
    return begun, first, last


def study_of(runs: int, train_size: int, precision: str) -> Study:
    """A few epochs of the paper's balanced condition on so many images, evaluated on few.

    Raises:
      ConfigError: there is none of such sizes.
    """
    config = study_lib.default_config()
    config.name = 'scaling'
    config.repeats = runs
    config.data.train_size = train_size
    config.training.epochs = _EPOCHS
    config.data.validation_size = config.data.test_size = 50
    config.evaluation.dense_size = config.evaluation.moment_images = 50
    config.evaluation.moment_masks = 2
    config.compute.compilation_cache = False
    config.compute.tensorboard = False
    config.compute.matmul_precision = precision
    return study_lib.resolve(config)


def main() -> None:
    """Trains one shard, on some of the cores, and merges where it is the last."""
    parser = argparse.ArgumentParser()
    parser.add_argument('workdir')
    parser.add_argument('shard')
    parser.add_argument('runs', type=int)
    parser.add_argument('train_size', type=int)
    parser.add_argument('precision')
    parser.add_argument('--cores', default='')
    own = parser.parse_args()
    if own.cores and hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, map(int, own.cores.split(',')))
    # With it comes JAX, which looks at the cores that it has.
    from imbreg_jax.runner.shard_run import ShardRun

    number, of = map(int, own.shard.split('/'))
    study = study_of(own.runs, own.train_size, own.precision)
    ShardRun(study, Shard(number, of), own.workdir).finish()


def text(rows: Sequence[Measured]) -> list[str]:
    """Both tables, as lines of Markdown."""
    whole, *_ = rows
    header = ['shards', 'devices each', 'seconds', 'start', 'compile', 'an epoch', 'merge']
    lines = [
        [
            f'{row.shards}', f'{row.devices}', f'{row.seconds:.1f}', f'{row.started:.1f}',
            f'{row.compiled:.1f}', f'{row.trained:.1f}', f'{row.merged:.1f}', f'{row.rate:,.0f}',
            f'{row.rate / whole.rate:.2f}',
        ]
        for row in rows
    ]  # fmt: skip
    said = _markdown([*header, 'images/s', 'of one shard'], lines)
    lines = []
    for machines in MACHINES:
        parts = reckoned(whole, machines, RUNS, _PAPERS_IMAGES)
        lines.append([f'{machines:,}', *(_duration(value) for value in parts.values())])
    return [
        *said,
        '',
        f'Reckoned for {RUNS:,} trainings of the paper, on so many machines like this one:',
        '',
        *_markdown(['machines', 'start', 'compile', 'train', 'merge', 'all'], lines),
    ]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ['| ' + ' | '.join(line) + ' |' for line in [header, ['---'] * len(header), *rows]]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f'{seconds:.0f} s'
    if seconds < 7200:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.0f} h' if seconds < 172_800 else f'{seconds / 86_400:.0f} days'


if __name__ == '__main__':
    main()
