"""Measures how fast this machine trains the paper's networks, and what that is held against.

    python -m imbreg_jax.benchmark [--runs=1,10] [--against=torch] [--variants] [--remedies]
        [--out=DIR]
    python -m imbreg_jax.benchmark --scaling [--runs=8] [--out=DIR]
    python -m imbreg_jax.benchmark --ahead=lowered | --ahead=v5e:2x2 [--runs=10] [--out=DIR]
    python -m imbreg_jax.benchmark --commands [--hundred] [--out=DIR]

The first table has one row for each number of runs: compile time of the training program (without
the persistent cache), images a second in total and for each run, arithmetic and memory traffic as
a share of what this machine reaches in a large matrix product and a large copy, measured in the
same process. `--against=torch` adds the same training in PyTorch (see `torch_loops`), ours and
theirs in turn, so that what else the machine does meets both alike; ratios are taken round by
round, and their median and range are what to quote. `--variants` adds how much slower other
networks and tasks train, in turn with the paper's (see `variants`), and `--remedies` how much
longer an epoch takes with each remedy against imbalance than with none (see `remedies`).

`--commands` times whole commands instead, as a user waits for them, and says what their time is
made of (see `commands`).

`--scaling` trains the same runs in one, two and four shards side by side, and says what that lets
one expect of many machines; see `scaling`.

`--ahead` times nothing: it says what the accelerator's form of training costs an image where there
is no accelerator, by lowering it and, for a topology of TPUs, compiling it; see `ahead`.
"""

import dataclasses
import importlib.util
import json
import logging
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from imbreg_jax import study, terminal
from imbreg_jax.benchmark import (
    ahead,
    commands,
    machine,
    ours,
    remedies,
    scaling,
    torch_plain,
    variants,
)
from imbreg_jax.compute import backend, environment
from imbreg_jax.compute.limits import usable_cores
from imbreg_jax.results import files
from imbreg_jax.results.provenance import git_commit, now, versions

_RUNS = flags.DEFINE_list('runs', ['1', '10'], 'Numbers of runs to train at once.')
_AGAINST = flags.DEFINE_enum('against', None, ['torch'], 'What to hold the training against.')
_SCALING = flags.DEFINE_bool('scaling', False, 'Measure shards side by side, and nothing else.')
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
_VARIANTS = flags.DEFINE_bool(
    'variants', False, "Also time other networks and tasks beside the paper's."
)
_REMEDIES = flags.DEFINE_bool('remedies', False, 'Also time every remedy beside none.')
_COMMANDS = flags.DEFINE_bool(
    'commands', False, 'Time whole commands, not training: the paper in one pass, and reports.'
)
_HUNDRED = flags.DEFINE_bool(
    'hundred', False, 'With --commands: the paper in one pass with 100 repeats, too.'
)
_AHEAD = flags.DEFINE_string(
    'ahead',
    None,
    "Count what training costs on accelerators, and nothing else: 'lowered', or a topology of TPUs "
    'to compile for.',
)
_OUT = flags.DEFINE_string('out', None, 'Folder for benchmark.json and benchmark.md.')


# Which of `torch_loops` -> what tables call it, images of its training set, networks (0: a core's).
_TORCH = {
    'plain': ('PyTorch, the eager loop, all cores', 5000, 1),
    'compiled': ('PyTorch, the eager loop under torch.compile, all cores', 5000, 1),
    'stacked': ('PyTorch, ten networks at once by torch.func, all cores', 1000, 10),
    'best': ('PyTorch, the best we could write, a network a core', 10000, 0),
}


def torch_rate(which: str, images: int, networks: int) -> float:
    """Images a second of the PyTorch baseline, in a process of its own, training time only.

    Raises:
      RuntimeError: it failed; the text is what it printed.
    """
    command = [sys.executable, '-m', 'imbreg_jax.benchmark.torch_loops', f'--which={which}']
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

    One sentence and status 2, before anything is timed, for what cannot be measured; status 1 where
    a command that is timed fails.
    """
    logging.getLogger('jax').setLevel(logging.WARNING)  # Else it lists what is not there.
    with terminal.guarded():
        try:
            runs = _checked(argv)
        except ValueError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        try:
            _main(runs)
        except RuntimeError as error:
            if isinstance(error, jax.errors.JaxRuntimeError):
                raise  # Not what a process of its own said.
            print(error, file=sys.stderr)
            sys.exit(1)


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
        ours.study_of(max(numbers), _TRAIN_SIZE.value, _PRECISION.value)
    except study.ConfigError as error:
        raise ValueError(str(error)) from error
    if _AHEAD.value is not None:
        ahead.refuse(_AHEAD.value)
    if not _SECONDS.value > 0:
        raise ValueError(f'--seconds = {_SECONDS.value}: a timed round must last longer than 0 s')
    if _AGAINST.value == 'torch' and importlib.util.find_spec('torch') is None:
        raise ValueError(f'--against=torch: {torch_plain.MISSING}')
    return numbers


def parse(argv: list[str]) -> list[str]:
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
    if _SCALING.value:
        name, (measured, text) = 'scaling', _measure_scaling(max(numbers))
    elif _AHEAD.value is not None:
        name, (measured, text) = 'ahead', _count_ahead(numbers, _AHEAD.value)
    elif _COMMANDS.value:
        name, (measured, text) = 'commands', _measure_commands()
    else:
        name, (measured, text) = 'benchmark', _measure_training(numbers)
    report |= measured
    text.insert(
        0,
        f'{report["hardware"]}; jax {jax.__version__}, Python '
        f'{platform.python_version()}; {report["date"]}.',
    )
    print('\n'.join(text))
    if _OUT.value:
        files.write_json(Path(_OUT.value) / f'{name}.json', report)
        files.write_bytes(Path(_OUT.value) / f'{name}.md', ('\n'.join(text) + '\n').encode())


def _measure_scaling(runs: int) -> tuple[dict[str, Any], list[str]]:
    """Measures shards, in processes of their own: this one must not take what they need."""
    rows = scaling.measure(runs, _TRAIN_SIZE.value, _PRECISION.value)
    report = {'hardware': environment.processor(), 'rows': list(map(dataclasses.asdict, rows))}
    what = f'{runs} runs of three epochs of {_TRAIN_SIZE.value:,} images.'
    return report, [what, '', *scaling.text(rows)]


def _count_ahead(numbers: Sequence[int], target: str) -> tuple[dict[str, Any], list[str]]:
    found = [cost for n in numbers for cost in ahead.measure(n, target, _PRECISION.value)]
    header = ['runs', 'for', 'operations/image', 'bytes/image', 'device memory', 'compile s']
    rows = [
        [
            str(cost.runs), cost.of, f'{cost.operations:,.0f}', f'{cost.bytes:,.0f}',
            f'{cost.memory / 1e6:,.0f} MB' if cost.memory else '',
            f'{cost.seconds:.0f}' if cost.seconds else '',
        ]
        for cost in found
    ]  # fmt: skip
    report = {'hardware': environment.processor(), 'costs': [cost._asdict() for cost in found]}
    return report, [f'Matrix products {_PRECISION.value}.', '', _markdown(header, rows)]


def _measure_commands() -> tuple[dict[str, Any], list[str]]:
    found = commands.measure(_ROUNDS.value, _HUNDRED.value)
    header = ['command', 'seconds (range)', 'to the first steps', 'made of (medians)']
    rows = []
    for what, rounds in found.items():
        first = [one.first_step for one in rounds if one.first_step is not None]
        parts = {
            part: statistics.median(one.parts.get(part, 0.0) for one in rounds)
            for part in rounds[0].parts
        }
        made_of = ', '.join(f'{part} {seconds:.1f}' for part, seconds in parts.items())
        rows.append([
            what, _spread([one.seconds for one in rounds], 1),
            _spread(first, 1) if first else '', made_of if len(parts) > 1 else '',
        ])  # fmt: skip
    timed = {what: [one._asdict() for one in rounds] for what, rounds in found.items()}
    # Only now, since a process may take all of a device's memory.
    devices = backend.prepare(ours.study_of(1, _TRAIN_SIZE.value, _PRECISION.value))
    report = {'hardware': machine.name(devices), 'commands': timed}
    return report, ['', _markdown(header, rows)]


def _measure_training(numbers: Sequence[int]) -> tuple[dict[str, Any], list[str]]:
    rows: list[dict[str, Any]] = []
    limits: tuple[float, float] | None = None
    for runs in numbers:
        # The one before is let go first: its images may be most of a device's memory.
        training = None
        training = ours.Training(ours.study_of(runs, _TRAIN_SIZE.value, _PRECISION.value))
        devices = jax.devices()[: training.plan.devices]
        limits = limits or machine.limits(devices)
        rows.append(_row(runs, training, limits))
    assert limits is not None and training is not None
    report: dict[str, Any] = {
        'hardware': machine.name(devices),
        'precision': _PRECISION.value,
        'peak_flops': limits[0],
        'copy_bytes_per_second': limits[1],
        'rows': rows,
    }
    text = [
        f'Matrix products {_PRECISION.value}. Limits measured in this process: '
        f'{limits[0] / 1e9:.0f} GFLOP/s in a large matrix product, {limits[1] / 1e9:.1f} GB/s in a '
        'large copy.',
        '',
        _table(rows),
    ]
    if _AGAINST.value == 'torch':
        report['torch'] = _against_torch(training)
        text += ['', *report['torch'].pop('text')]
    if _VARIANTS.value:
        training = None
        found = variants.measure(
            numbers[-1], _TRAIN_SIZE.value, _PRECISION.value, _ROUNDS.value, _SECONDS.value
        )
        report['variants'] = {name: beside._asdict() for name, beside in found.items()}
        lines = [
            [name, _spread(beside.rates, 0), _spread(beside.ratios)]
            for name, beside in found.items()
        ]
        header = ['network or task', 'images/s (range)', 'times as long (range)']
        text += ['', _markdown(header, lines)]
    if _REMEDIES.value:
        training = None
        timed = remedies.measure(numbers[-1], _TRAIN_SIZE.value, _PRECISION.value, _ROUNDS.value)
        report['remedies'] = {name: beside._asdict() for name, beside in timed.items()}
        text += ['', *_remedies_table(timed)]
    return report, text


def _remedies_table(timed: Mapping[str, remedies.Beside]) -> list[str]:
    header = ['remedy', 'image passes', 'times as long (range)']
    lines = [
        [name, str(beside.passes), _spread(beside.ratios)]
        for name, beside in timed.items()
        if not beside.refused
    ]
    return [
        _markdown(header, lines),
        *(f'{name}: {beside.refused}' for name, beside in timed.items() if beside.refused),
    ]


def _row(runs: int, training: ours.Training, limits: tuple[float, float]) -> dict[str, Any]:
    """Times the training of so many runs, beside what the machine reaches at its best."""
    rates = [training.rate(_SECONDS.value) for _ in range(_ROUNDS.value)]
    condition = training.study.conditions[0]
    size = condition.data.image_size
    work = 2 * condition.model.architecture(size).training_multiplications
    rate = statistics.median(rates)
    return {
        'runs': runs,
        'runs_together': len(training.engine.unit.runs),
        'cached': training.plan.cached,
        'compile_seconds': training.compile_seconds,
        'images_per_second': rates,
        'gflops': rate * work / 1e9,
        'share_of_peak': rate * work / limits[0],
        'share_of_bandwidth': rate * ours.bytes_per_image(condition, size) / limits[1],
    }


def _table(rows: Sequence[dict[str, Any]]) -> str:
    header = ['runs', 'compile s', 'images/s (range)', 'images/s per run', 'µs/image', 'GFLOP/s']
    lines = []
    for row in rows:
        rate = statistics.median(row['images_per_second'])
        lines.append(
            [
                str(row['runs']),
                f'{row["compile_seconds"]:.1f}',
                _spread(row['images_per_second'], 0),
                f'{rate / row["runs_together"]:.0f}',
                f'{1e6 / rate:.1f}',
                f'{row["gflops"]:.0f}',
                f'{row["share_of_peak"]:.0%}',
                f'{row["share_of_bandwidth"]:.0%}',
            ]
        )
    return _markdown([*header, 'of peak', 'bytes floor of bandwidth'], lines)


def _against_torch(training: ours.Training) -> dict[str, Any]:
    """Rounds of PyTorch and ours in turn."""
    cores = usable_cores()
    measured: dict[str, list[float]] = {which: [] for which in ('ours', *_TORCH)}
    ratios: dict[str, list[float]] = {which: [] for which in _TORCH}
    for _ in range(_ROUNDS.value):
        for which, (_, images, networks) in _TORCH.items():
            measured[which].append(torch_rate(which, images, networks or cores))
            measured['ours'].append(training.rate(_SECONDS.value))
            ratios[which].append(measured['ours'][-1] / measured[which][-1])
    rows = [['imbreg_jax', _spread(measured['ours'], 0), '1']]
    rows += [[_TORCH[w][0], _spread(measured[w], 0), _spread(ratios[w])] for w in _TORCH]
    header = ['training', 'images/s (range)', 'imbreg_jax is faster by (range)']
    return {'rates': measured, 'ratios': ratios, 'text': [_markdown(header, rows)]}
