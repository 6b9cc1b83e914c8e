"""Workdirs as a study leaves them, drawn with numpy from known laws: what analysis is tested on.

No network is trained: a "network" of repeat k predicts scale_k · target · (1 + noise) + offset_k,
so every number that analysis should find is known beforehand.
"""

import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

LAWS = {
    'u1_10': ('U(1, 10)', 'uniform(1, 10)', lambda u: 1 + 9 * u),
    'u1_5': ('U(1, 5)', 'uniform(1, 5)', lambda u: 1 + 4 * u),
    'n5_5_1': ('N(5.5, 1)', 'normal(5.5, 1)', None),
    'triangular(1, 5, 10)': (
        'triangular(1, 5, 10)',
        'triangular(1, 5, 10)',
        lambda u: np.where(u < 4 / 9, 1 + np.sqrt(36 * u), 10 - np.sqrt(45 * (1 - u))),
    ),
}
MOMENTS = (
    'images',
    'b',
    'mean_y',
    'mean_y2',
    'mean_a',
    'mean_a2',
    'mean_ay',
    'mean_s',
    'channel_mean_a',
    'channel_mean_a2',
    'channel_mean_ay',
    'channel_mean_s',
    'channel_mean_abar2',
)


def quantile(name: str, uniforms: np.ndarray) -> np.ndarray:
    """Returns targets of distribution `name` for uniforms in (0, 1)."""
    law = LAWS[name][2]
    if law is None:
        from scipy import stats

        return stats.norm.ppf(uniforms, 5.5, 1)
    return law(uniforms)


def config(
    conditions: Mapping[str, Mapping[str, Any]],
    test_distributions: Sequence[str] = ('u1_10', 'u1_5', 'n5_5_1'),
    repeats: int = 10,
    first_repeat: int = 0,
    images: int = 300,
) -> dict[str, Any]:
    """Returns a resolved config as `config.json` holds it, with the paper's settings elsewhere."""
    return {
        'name': 'simulated',
        'seed': 0,
        'repeats': repeats,
        'first_repeat': first_repeat,
        'train_distribution': 'u1_10',
        'test_distributions': list(test_distributions),
        'conditions': {k: dict(v) for k, v in conditions.items()},
        'task': {'name': 'std', 'target': 'measured', 'ddof': 0},
        'data': {
            'image_size': 52,
            'train_size': 50000,
            'validation_size': images,
            'test_size': images,
            'cache': 'auto',
        },
        'model': {
            'conv_features': [10, 20],
            'kernel_size': 5,
            'dense_features': 50,
            'order': 'pool_relu',
            'conv_dropout_rate': 0.5,
            'dense_dropout_rate': 0.5,
            'conv_dropout': 'channel',
            'initialization': 'pytorch',
        },
        'training': {
            'objective': 'mse',
            'learning_rate': 5e-7,
            'batch_size': 50,
            'epochs': 15,
            'adam_b1': 0.9,
            'adam_b2': 0.999,
            'adam_eps': 1e-8,
        },
        'evaluation': {
            'batch_size': 250,
            'dense_size': 1000,
            'dense_low': 0.25,
            'dense_high': 20.0,
            'guess_low': 1.0,
            'guess_high': 10.0,
            'moment_images': 100,
            'moment_masks': 8,
        },
        'analysis': {
            'equivalence_margin': 0.1,
            'confidence': 0.95,
            'seed': 0,
        },
        'compute': {'matmul_precision': 'highest'},
    }


PAPER_CONDITIONS = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5', 'n5_5_1')}

# Per condition: mean scale, its spread over repeats, and noise relative to the target. Chosen so
# that balanced < normal < missing in error, as in the paper.
PAPER_NETWORKS = {
    'u1_10': (0.91, 0.006, 0.03),
    'u1_5': (0.885, 0.012, 0.035),
    'n5_5_1': (0.905, 0.006, 0.035),
}


def write(
    workdir: pathlib.Path,
    conditions: Mapping[str, Mapping[str, Any]] = PAPER_CONDITIONS,
    networks: Mapping[str, tuple[float, float, float]] = PAPER_NETWORKS,
    test_distributions: Sequence[str] = ('u1_10', 'u1_5', 'n5_5_1'),
    repeats: int = 10,
    first_repeat: int = 0,
    images: int = 300,
    diverged: Sequence[tuple[str, int]] = (),
    worse: Sequence[tuple[str, int]] = (),
    seed: int = 0,
) -> pathlib.Path:
    """Writes the four files that analysis reads, and returns `workdir`.

    Every draw hangs on (seed, repeat) and the distribution, never on the condition, so conditions
    are paired and three single-condition workdirs hold what one of three conditions holds.

    Args:
      workdir: folder to write to; made if it is not there.
      conditions: condition name -> overrides of the config.
      networks: condition name -> (mean scale, its std over repeats, relative noise).
      test_distributions: names from `LAWS`.
      repeats: number of repeats.
      first_repeat: number of the first repeat.
      images: test images per split.
      diverged: (condition, repeat) pairs whose numbers become nan.
      worse: (condition, repeat) pairs whose validation MSE ends far above where it began.
      seed: of all draws.
    """
    workdir = pathlib.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    settings = config(conditions, test_distributions, repeats, first_repeat, images)
    settings['seed'] = seed
    trains = {k: v.get('train_distribution', 'u1_10') for k, v in conditions.items()}
    numbers = list(range(first_repeat, first_repeat + repeats))
    tests = list(test_distributions)
    generating = np.zeros((len(tests), repeats, images), np.float32)
    measured = np.zeros_like(generating)
    guesses = np.zeros_like(generating)
    noise = np.zeros_like(generating)
    for k, repeat in enumerate(numbers):
        for t, test in enumerate(tests):
            rng = np.random.default_rng([seed, repeat, 1, len(test), ord(test[0])])
            generating[t, k] = quantile(test, rng.uniform(1e-6, 1 - 1e-6, images))
            measured[t, k] = generating[t, k] * (1 + 0.0136 * rng.standard_normal(images))
            guesses[t, k] = rng.uniform(1, 10, images)
            noise[t, k] = rng.standard_normal(images)
    dense_target = np.linspace(0.25, 20, 1000).astype(np.float32)
    dense_noise = np.random.default_rng([seed, 2]).standard_normal(1000)
    results, metrics, names, prediction, dense, moments, factors = [], [], [], [], [], [], []
    validation_target, validation_prediction = [], []

    def score(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
        error = predicted.astype(np.float64) - target.astype(np.float64)
        return {
            'mse': np.mean(error**2),
            'mape': 100 * np.mean(np.abs(error) / target),
            'mpe': 100 * np.mean(error / target),
            'mae': np.mean(np.abs(error)),
        }

    for condition, train in trains.items():
        mean_scale, spread, relative_noise = networks[condition]
        for k, repeat in enumerate(numbers):
            rng = np.random.default_rng([seed, repeat, 3])
            scale = mean_scale + spread * rng.standard_normal()
            offset = 0.05 + 0.02 * rng.standard_normal()
            lost = (condition, repeat) in diverged
            predicted = scale * measured[:, k] * (1 + relative_noise * noise[:, k]) + offset
            curve = scale * dense_target * (1 + relative_noise * dense_noise) + offset
            target_v = quantile(train, rng.uniform(1e-6, 1 - 1e-6, images)).astype(np.float32)
            predicted_v = (
                scale * target_v * (1 + relative_noise * rng.standard_normal(images)) + offset
            )
            if lost:
                predicted, curve, predicted_v = (
                    predicted * np.nan,
                    curve * np.nan,
                    predicted_v * np.nan,
                )
                results.append([condition, train, 'cnn', repeat, '', 'diverged_epoch', 3.0])
            factor = np.sum(predicted_v * target_v) / np.sum(predicted_v**2)
            names.append((condition, train, repeat))
            prediction.append(predicted.astype(np.float32))
            dense.append(curve.astype(np.float32))
            validation_target.append(target_v)
            validation_prediction.append(predicted_v.astype(np.float32))
            factors.append(factor)
            y2 = np.mean(target_v.astype(np.float64) ** 2)
            a2, s = scale**2 * y2, scale * (1 - scale) * y2
            # Stationary under dense dropout of one half alone: E[a·y] = E[a²] + E[s], b = 0.
            moments.append(
                [
                    images,
                    0.0,
                    target_v.mean(),
                    y2,
                    scale * target_v.mean(),
                    a2,
                    a2 + s,
                    s,
                    scale * target_v.mean(),
                    1.01 * a2,
                    1.01 * a2 + s,
                    s,
                    a2,
                ]
            )
            for predictor, multipliers in (
                ('cnn', np.ones(len(tests))),
                ('cnn_calibrated', np.full(len(tests), factor)),
                (
                    'cnn_scaled',
                    (predicted * measured[:, k]).sum(-1) / (predicted**2).sum(-1),
                ),
            ):
                for t, test in enumerate(tests):
                    told = multipliers[t] * predicted[t]
                    for metric, value in score(told, measured[t, k]).items():
                        results.append([condition, train, predictor, repeat, test, metric, value])
            for epoch in range(16):
                value = 0.3 + 20 * np.exp(-epoch / 2) + 0.02 * rng.standard_normal()
                if lost and epoch >= 3:
                    value = np.nan
                if (condition, repeat) in worse and epoch == 15:
                    value = 100.0
                metrics.append(
                    {
                        'condition': condition,
                        'train_distribution': train,
                        'repeat': repeat,
                        'epoch': epoch,
                        'train_loss': None if epoch == 0 else 2 * value,
                        'validation_mse': value,
                        'validation_mape': 9 + 70 * np.exp(-epoch / 2),
                        'validation_mpe': -8.0,
                        'diverged': bool(lost and epoch >= 3),
                    }
                )
    for k, repeat in enumerate(numbers):
        for t, test in enumerate(tests):
            for metric, value in score(guesses[t, k], measured[t, k]).items():
                results.append(['', '', 'random_guess', repeat, test, metric, value])
    columns = [
        'condition',
        'train_distribution',
        'predictor',
        'repeat',
        'test_distribution',
        'metric',
        'value',
    ]
    pd.DataFrame(results, columns=columns).to_csv(workdir / 'results.csv', index=False)
    with open(workdir / 'metrics.jsonl', 'w', encoding='utf-8') as file:
        for row in metrics:
            file.write(json.dumps(row) + '\n')
    np.savez(
        workdir / 'predictions.npz',
        condition=np.array([n[0] for n in names]),
        train_distribution=np.array([n[1] for n in names]),
        repeat=np.array([n[2] for n in names]),
        repeats=np.array(numbers),
        conditions=np.array(list(trains)),
        test_distributions=np.array(tests),
        dense_generating=dense_target,
        dense_target=np.stack([dense_target] * len(trains)),
        dense_prediction=np.stack(dense),
        test_generating=generating,
        test_target=np.stack([measured] * len(trains)),
        test_prediction=np.stack(prediction),
        validation_target=np.stack(validation_target),
        validation_prediction=np.stack(validation_prediction),
        calibration_factor=np.array(factors),
        moment_names=np.array(MOMENTS),
        moments=np.array(moments, dtype=np.float64),
    )
    header = {
        'format': 1,
        'config': settings,
        'versions': {'jax': '0.0', 'python': '3.11'},
        'devices': ['simulated'],
        'backend': 'cpu',
        'git_commit': None,
        'conditions': {
            name: {'train_distribution': train, 'label': LAWS[train][0], 'spec': LAWS[train][1]}
            for name, train in trains.items()
        },
        'test_distributions': {
            test: {'label': LAWS[test][0], 'spec': LAWS[test][1]} for test in tests
        },
        'timing': {
            'started': '2024-01-01T00:00:00',
            'seconds': 10.0,
            'compile_seconds': 1.0,
            'images_per_second': 1e5,
        },
    }
    (workdir / 'config.json').write_text(json.dumps(header), encoding='utf-8')
    seal(workdir)
    return workdir


def seal(workdir: pathlib.Path) -> None:
    """Makes the files of a workdir, changed as they may be, those that its study left."""
    path = pathlib.Path(workdir) / 'config.json'
    held = json.loads(path.read_text('utf-8'))
    held['finished'] = {
        name: hashlib.sha256((path.parent / name).read_bytes()).hexdigest()
        for name in ('metrics.jsonl', 'results.csv', 'predictions.npz', 'weights.npz')
        if (path.parent / name).exists()
    }
    if held.pop('digest', None):
        text = json.dumps(held, separators=(',', ':'))
        held['digest'] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(held), encoding='utf-8')
