"""Measures what merging takes, with shards whose numbers nobody trained.

    python tests/merge_many.py --runs=100000 --shards=1000 FOLDER

A run leaves what a small study's does, and fifteen epochs' rows.
"""

import argparse
import os
import pathlib
import resource
import time
from unittest import mock

import numpy as np

from imbreg_jax import study as study_lib
from imbreg_jax.evaluation import evaluator
from imbreg_jax.results import assemble, files, merging
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import Run, Study, shards
from imbreg_jax.study.shards import Shard

_CONDITIONS = 100


def study_of(runs: int) -> Study:
    """A study of so many runs of small networks on 20 x 20 images."""
    config = study_lib.default_config()
    config.update_from_flattened_dict(
        {
            'name': 'many',
            'repeats': max(1, runs // _CONDITIONS),
            'test_distributions': ('u1_10', 'n5_5_1'),
            'data.image_size': 20,
            'data.train_size': 2000,
            'data.validation_size': 200,
            'data.test_size': 500,
            'model.conv_features': (3, 4),
            'model.dense_features': 6,
            'evaluation.dense_size': 500,
        }
    )
    laws = {f'u1_{i}': {'train_distribution': f'uniform(1, {10 + i})'} for i in range(_CONDITIONS)}
    return study_lib.resolve(config.to_dict() | {'conditions': laws})


def arrays_of(study: Study, count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """What a unit of so many runs leaves, [runs, ...]."""
    condition = study.conditions[0]
    tests, size = len(study.test_distributions), study.test_size
    validation, dense = condition.data.validation_size, study.evaluation.dense_size
    shapes = {
        'test_target': (tests, size),
        'test_generating': (tests, size),
        'test_prediction': (tests, size),
        'dense_target': (dense,),
        'dense_prediction': (dense,),
        'validation_target': (validation,),
        'validation_prediction': (validation,),
        'linear_moments': (tests, size),
        'moments': (len(evaluator.MOMENTS),),
        'relevance_points': (3,),
    }
    sides = condition.architecture.sides[-1] ** 2
    shapes |= {
        'conv1/kernel': (5, 5, 1, 3), 'conv1/bias': (3,), 'conv2/kernel': (5, 5, 3, 4),
        'conv2/bias': (4,), 'dense1/kernel': (4 * sides, 6), 'dense1/bias': (6,),
        'dense2/kernel': (6, 1), 'dense2/bias': (1,),
    }  # fmt: skip
    found = {
        name: generator.uniform(1, 10, (count, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    return found | {
        'diverged_epoch': np.zeros(count, np.int64), 'best_constant': np.full(count, 5.5)
    }  # fmt: skip


def write(workdir: pathlib.Path, study: Study, of: int) -> None:
    """Leaves finished shards of a study in a workdir."""
    generator = np.random.default_rng(0)
    pattern: list[bytes] = []
    for number, results in enumerate(shards.results(study, of), 1):
        shard, part = Shard(number, of), shards.of_results(study, results)
        # What is the same for all of them need not be found for each.
        part.__dict__['imbalance'] = study.imbalance
        unit = tuple(Run(*run) for run in part.runs)
        arrays = arrays_of(study, len(unit), generator)
        if not pattern:
            merged = assemble.merge(part, [assemble.Outcome(unit, arrays)])
            table = assemble.results(part, merged)
            _, repeat = part.results[0]
            own = table[(table.repeat == repeat) & table.condition.isin(['', 'u1_0'])]
            pattern = files.results_csv(own).splitlines(keepends=True)
            first = f',{repeat},'.encode()
        folder = merging.folder(workdir, shard)
        header, *lines = pattern
        rows = [header]
        for place, repeat in part.results:
            name = study.conditions[place].name.encode()
            for line in lines:
                if line.startswith(b'u1_0,') or place == 0:
                    line = line.replace(b'u1_0,u1_0', name + b',' + name, 1)
                    rows.append(line.replace(first, f',{repeat},'.encode(), 1))
        files.write_bytes(folder / 'results.csv', b''.join(rows))
        epochs = [
            {**assemble.run_columns(study, run), 'epoch': epoch, 'train_loss': 1 / (epoch + 3)}
            | {f'validation_{name}': 1 / (epoch + 7) for name in ('mse', 'mape', 'mpe', 'rmse')}
            for epoch in range(16)
            for run in part.runs
        ]
        files.write_bytes(folder / 'metrics.jsonl', files.json_lines(epochs))
        files.write_arrays(folder / 'checkpoints' / 'unit_0000.npz', arrays)
        timing = {
            'started': 'a', 'finished': 'b', 'seconds': 1.0, 'compile_seconds': 0.5,
            'images_per_second': 1.0,
            'conditions': {c.name: {'images': 1, 'seconds': 1.0} for c in study.conditions},
        }  # fmt: skip
        own = Workdir(folder, shard)
        own.write_config(part, ['cpu 0'], 'cpu', timing, finished=True, units=[unit])


def main() -> None:
    """Writes shards, merges them, and says what each took."""
    parser = argparse.ArgumentParser()
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('--runs', type=int, default=100_000)
    parser.add_argument('--shards', type=int, default=1000)
    arguments = parser.parse_args()
    study = study_of(arguments.runs)
    began = time.monotonic(), time.process_time()
    if not (arguments.folder / 'shards').is_dir():
        # To wait for the disk after each of thousands of files is the shards' part.
        with mock.patch.object(os, 'fsync'):
            write(arguments.folder, study, arguments.shards)
    print(
        f'{len(study.runs)} runs in {arguments.shards} shards: {_took(began)} to write', flush=True
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    began = time.monotonic(), time.process_time()
    with Workdir(arguments.folder, of_shards=True) as workdir:
        merging.merge(workdir)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = sum(p.stat().st_size for p in arguments.folder.glob('*.*')) / 2**30
    print(f'merging: {_took(began)}; {peak:.2f} GB of memory ({before:.2f} before), {size:.2f} GB')


def _took(began: tuple[float, float]) -> str:
    return f'{time.monotonic() - began[0]:.0f} s ({time.process_time() - began[1]:.0f} s of CPU)'


if __name__ == '__main__':
    main()
