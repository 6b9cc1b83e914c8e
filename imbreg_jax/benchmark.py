"""Measures how fast this machine trains the paper's networks, and what that is held against.

    python -m imbreg_jax.benchmark [--runs=1,10] [--against=torch] [--out=DIR]

The first table has one row for each number of runs: compile time of the training program (without
the persistent cache), images a second in total and for each run, arithmetic and memory traffic as
a share of what this machine reaches in a large matrix product and a large copy, measured in the
same process. `--against=torch` adds the same training in PyTorch (see `torch_baseline`), ours and
theirs in turn, so that what else the machine does meets both alike; ratios are taken round by
round, and their median and range are what to quote.
"""

from imbreg_jax import terminal

if __name__ == '__main__':
    # Before the imports that take their time.
    terminal.end_on_interrupt()

import importlib.util
import json
import logging
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags

from imbreg_jax import study, torch_baseline
from imbreg_jax.compute import backend, environment
from imbreg_jax.compute.limits import usable_cores
from imbreg_jax.model import layers
from imbreg_jax.results import files
from imbreg_jax.results.workdir import git_commit, now, versions
from imbreg_jax.study import Condition
from imbreg_jax.training import engine as engine_lib
from imbreg_jax.training import plan as plan_lib

_RUNS = flags.DEFINE_list('runs', ['1', '10'], 'Numbers of runs to train at once.')
_AGAINST = flags.DEFINE_enum('against', None, ['torch'], 'What to hold the training against.')
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Timed rounds of each row.', lower_bound=1)
_SECONDS = flags.DEFINE_float('seconds', 3.0, 'About how long a timed round of ours lasts.')
_TRAIN_SIZE = flags.DEFINE_integer(
    'train_size',
    5000,
    'Images in the training set; the paper has 50,000, and the rate is the same.',
)
_PRECISION = flags.DEFINE_enum(
    'precision', 'highest', ['default', 'high', 'highest'], 'Precision of matrix products.'
)
_OUT = flags.DEFINE_string('out', None, 'Folder for benchmark.json and benchmark.md.')


def bytes_per_image(condition: Condition, size: int) -> int:
    """Bytes that training on one image moves if every activation is written and read once.

    Pixels, both layers' outputs and their gradients: a floor, since neighbours are gathered too.
    """
    first, second = condition.model.conv_features
    outer = layers.conv_and_pool_size(size, condition.model.kernel_size)
    inner = layers.conv_and_pool_size(outer, condition.model.kernel_size)
    values = size**2 + 2 * outer**2 * first + 2 * inner**2 * second
    return 2 * values * plan_lib.FLOAT


def _best_of(call: Callable[[], Any], rounds: int = 5) -> float:
    jax.block_until_ready(call())
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return min(times)


def machine_limits(devices: Sequence[Any]) -> tuple[float, float]:
    """(FLOP/s of a large float32 matrix product, bytes/s of a large copy) on all devices."""
    size, length = (1024, 2**24) if devices[0].platform == 'cpu' else (8192, 2**28)
    mesh = jax.sharding.Mesh(np.array(devices), ('d',))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('d'))
    square = jax.device_put(np.random.default_rng(0).normal(size=(size, size)).astype('f'))
    squares = jax.device_put(np.stack([square] * len(devices)), sharding)
    product = jax.jit(
        jax.shard_map(
            lambda a: a @ a,
            mesh=mesh,
            in_specs=jax.sharding.PartitionSpec('d'),
            out_specs=jax.sharding.PartitionSpec('d'),
        )
    )
    flops = 2 * size**3 * len(devices) / _best_of(lambda: product(squares))
    line = jax.device_put(np.ones((len(devices), length), np.float32), sharding)
    copy = jax.jit(lambda a: a + 1)
    moved = 2 * 4 * length * len(devices) / _best_of(lambda: copy(line))
    return flops, moved


class Training:
    """Our training of some runs on this machine, ready to be timed."""

    def __init__(self, runs: int, train_size: int):
        """Makes the engine and compiles its training program."""
        self.study = _resolved(runs, train_size)
        devices = backend.prepare(self.study)
        plan = plan_lib.make(self.study, devices)
        devices = devices[: plan.devices]
        unit = engine_lib.units(self.study, plan)[0]
        self.plan = plan
        with jax.default_matmul_precision(_PRECISION.value):
            self.engine = engine_lib.Engine(self.study, unit, plan, devices)
            self.state = self.engine.initialize()
            began = time.perf_counter()
            self.chunks(1)
            first = time.perf_counter() - began
        began = time.perf_counter()
        self.chunks(1)
        self.chunk_seconds = time.perf_counter() - began
        self.compile_seconds = max(first - self.chunk_seconds, 0.0)

    @property
    def images_per_chunk(self) -> int:
        """Image passes of all runs in a chunk."""
        return (
            len(self.engine.unit.runs)
            * self.engine.steps_before(1)
            * self.engine.training.batch_size
        )

    def chunks(self, count: int) -> None:
        """Trains for some chunks and waits for them."""
        with jax.default_matmul_precision(_PRECISION.value):
            for _ in range(count):
                self.state, loss = self.engine.train_chunk(self.state, 0, 0)
            jax.block_until_ready(loss)

    def rate(self, seconds: float) -> float:
        """Images a second, all runs together, over about so many seconds."""
        count = max(1, math.ceil(seconds / self.chunk_seconds))
        began = time.perf_counter()
        self.chunks(count)
        return count * self.images_per_chunk / (time.perf_counter() - began)


def torch_rate(which: str, images: int, networks: int) -> float:
    """Images a second of the PyTorch baseline, in a process of its own, training time only.

    Raises:
      RuntimeError: it failed; the text is what it printed.
    """
    command = [sys.executable, '-m', 'imbreg_jax.torch_baseline', f'--which={which}']
    command += [f'--images={images}', '--epochs=1', f'--networks={networks}']
    if jax.devices()[0].platform != 'cpu':
        command.append('--device=cuda')
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(answer.stderr.strip().splitlines()[-1] if answer.stderr else 'failed')
    values = json.loads(answer.stdout.strip().splitlines()[-1])
    return values['images_trained'] / values['seconds']


def _spread(values: Sequence[float], digits: int = 2) -> str:
    middle = statistics.median(values)
    return f'{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})'


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def main(argv: Sequence[str]) -> None:
    """Runs the benchmark, prints its tables and writes them where `--out` says.

    One sentence and status 2, before anything is timed, for what cannot be measured.
    """
    logging.getLogger('jax').setLevel(logging.WARNING)  # Else it lists what is not there.
    with terminal.guarded():
        try:
            runs = _checked(argv)
        except ValueError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        _main(runs)


def _checked(argv: Sequence[str]) -> list[int]:
    """Returns the numbers of runs.

    Raises:
      ValueError: the command line asks for what cannot be done; the text is one sentence.
    """
    if len(argv) > 1:
        raise ValueError(f'unexpected argument {argv[1]!r}: arguments are flags, such as --runs=10')
    numbers = []
    for text in _RUNS.value:
        if not (text.isascii() and text.isdigit() and int(text)):
            raise ValueError(
                f'--runs = {",".join(_RUNS.value)!r}: {text!r} is no number of runs; it must be '
                'whole numbers of at least 1, separated by commas, such as --runs=1,10'
            )
        numbers.append(int(text))
    if not numbers:
        raise ValueError("--runs = '': it must name a number of runs, such as --runs=10")
    try:
        _resolved(max(numbers), _TRAIN_SIZE.value)
    except study.ConfigError as error:
        raise ValueError(str(error)) from error
    if not _SECONDS.value > 0:
        raise ValueError(f'--seconds = {_SECONDS.value}: a timed round must last longer than 0 s')
    if _AGAINST.value == 'torch' and importlib.util.find_spec('torch') is None:
        raise ValueError(f'--against=torch: {torch_baseline.MISSING}')
    return numbers


def _resolved(runs: int, train_size: int) -> study.Study:
    """The study whose training is timed."""
    config = study.default_config()
    config.repeats = runs
    config.data.train_size = train_size
    config.data.validation_size = 50
    config.compute.compilation_cache = False
    config.compute.matmul_precision = _PRECISION.value
    return study.resolve(config)


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags above; one sentence and status 2 if that cannot be done."""
    if any(argument.lstrip('-') in ('help', 'h') for argument in argv[1:]):
        print(__doc__)
        print(flags.FLAGS.module_help(flags.FLAGS.find_module_defining_flag('against')))
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        print(' '.join(str(error).split()), file=sys.stderr)
        sys.exit(2)


def _main(numbers: Sequence[int]) -> None:
    report: dict[str, Any] = {'date': now(), 'versions': versions(), 'git_commit': git_commit()}
    rows: list[dict[str, Any]] = []
    trained: dict[int, Training] = {}
    limits: tuple[float, float] | None = None
    for runs in numbers:
        training = Training(runs, _TRAIN_SIZE.value)
        trained[runs] = training
        devices = jax.devices()[: training.plan.devices]
        limits = limits or machine_limits(devices)
        rates = [training.rate(_SECONDS.value) for _ in range(_ROUNDS.value)]
        condition = training.study.conditions[0]
        size = training.study.data.image_size
        work = 2 * plan_lib.multiplications_per_image(condition, size)
        traffic = bytes_per_image(condition, size)
        rate = statistics.median(rates)
        rows.append(
            {
                'runs': runs,
                'runs_together': len(training.engine.unit.runs),
                'cached': training.plan.cached,
                'compile_seconds': training.compile_seconds,
                'images_per_second': rates,
                'gflops': rate * work / 1e9,
                'share_of_peak': rate * work / limits[0],
                'share_of_bandwidth': rate * traffic / limits[1],
            }
        )
        if runs != numbers[-1]:
            del trained[runs]
    assert limits is not None
    kind = f'{len(devices)} x {devices[0].device_kind}'
    if devices[0].platform == 'cpu':
        kind = f'{len(devices)} cores of {environment.processor()}'
    report |= {
        'hardware': kind,
        'precision': _PRECISION.value,
        'peak_flops': limits[0],
        'copy_bytes_per_second': limits[1],
        'rows': rows,
    }
    text = [
        f'{kind}; jax {jax.__version__}, Python {platform.python_version()}; matrix products '
        f'{_PRECISION.value}; {report["date"]}.',
        f'Limits measured in this process: {limits[0] / 1e9:.0f} GFLOP/s in a large '
        'matrix product, '
        f'{limits[1] / 1e9:.1f} GB/s in a large copy.',
        '',
        _markdown(
            ['runs', 'compile s', 'images/s (range)', 'images/s per run', 'µs/image', 'GFLOP/s',
             'of peak', 'bytes floor of bandwidth'],
            [
                [
                    str(row['runs']), f'{row["compile_seconds"]:.1f}',
                    _spread(row['images_per_second'], 0),
                    f'{statistics.median(row["images_per_second"]) / row["runs_together"]:.0f}',
                    f'{1e6 / statistics.median(row["images_per_second"]):.1f}',
                    f'{row["gflops"]:.0f}', f'{row["share_of_peak"]:.0%}',
                    f'{row["share_of_bandwidth"]:.0%}',
                ]
                for row in rows
            ],
        ),
    ]  # fmt: skip
    if _AGAINST.value == 'torch':
        training = trained[numbers[-1]]
        report['torch'] = _against_torch(training)
        text += ['', *report['torch'].pop('text')]
    print('\n'.join(text))
    if _OUT.value:
        files.write_json(Path(_OUT.value) / 'benchmark.json', report)
        files.write_bytes(Path(_OUT.value) / 'benchmark.md', ('\n'.join(text) + '\n').encode())


def _against_torch(training: Training) -> dict[str, Any]:
    """Rounds of PyTorch and ours in turn."""
    cores = usable_cores()
    measured: dict[str, list[float]] = {'ours': [], 'plain': [], 'best': []}
    for _ in range(_ROUNDS.value):
        for which, networks, images in (('plain', 1, 5000), ('best', cores, 10000)):
            measured[which].append(torch_rate(which, images, networks))
            measured['ours'].append(training.rate(_SECONDS.value))
    ours = measured['ours']
    ratios = {
        'plain': [a / b for a, b in zip(ours[0::2], measured['plain'], strict=True)],
        'best': [a / b for a, b in zip(ours[1::2], measured['best'], strict=True)],
    }
    names = {
        'plain': 'PyTorch, the eager loop, all cores',
        'best': 'PyTorch, the best we could write, a network a core',
    }
    rows = [['imbreg_jax', _spread(ours, 0), '1']]
    rows += [[names[w], _spread(measured[w], 0), _spread(ratios[w])] for w in ('plain', 'best')]
    header = ['training', 'images/s (range)', 'imbreg_jax is faster by (range)']
    return {'rates': measured, 'ratios': ratios, 'text': [_markdown(header, rows)]}


if __name__ == '__main__':
    app.run(main, flags_parser=_parse)
