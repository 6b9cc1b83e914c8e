"""Why the error is what it is: the MSE taken apart, and where shrinkage comes from.

**Decomposition.** The errors e = prediction − target of all runs of a cell (one condition on one
test distribution) are projected on growing spaces of functions of the target y:

    {y} ⊂ {y, 1} ⊂ {piecewise linear in y} ⊂ {piecewise linear in y, one for each run} ⊂ everything

The squared lengths of the steps are, by Pythagoras, the shares of the MSE due to a common scale
factor, a constant offset, target-dependent bias, differences between repeats, and scatter between
images. Their sum is exact: it is the MSE, to rounding. The shares are a choice: y and 1 are not
orthogonal, so what falls to the factor and what to the offset hangs on which comes first, and both
orders are stated; and the K nodes of the piecewise linear functions take up about K/n of the
scatter in each run of n images, which counts as difference between repeats.

**Mechanism.** With dropout of rate p on the last hidden features h, training minimises in
expectation E[(y − a − b)²] + λ·E[s] with a = Σ wᵢhᵢ, s = Σ (wᵢhᵢ)², λ = p/(1 − p) and b the output
bias. The common factor on the features that is best for it is E[a(y − b)]/(E[a²] + λ·E[s]), while
E[a(y − b)]/E[a²] is best without dropout: training shrinks a by E[a²]/(E[a²] + λ·E[s]). Channel
dropout adds the variance of a over its masks: with ā the mean of a over masks the factor is
E[ā²]/(E[a²] + λ·E[s]), moments on the right taken with masks.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from imbreg_jax.analysis import finished

PARTS = ('scale', 'offset', 'bias', 'repeats', 'images')
PART_LABELS = {
    'scale': 'common scale factor',
    'offset': 'constant offset',
    'bias': 'target-dependent bias',
    'repeats': 'differences between repeats',
    'images': 'scatter between images',
}
# The first two the other way round: {1} ⊂ {y, 1}. Their sum is that of scale and offset.
REVERSED = ('offset_first', 'scale_last')
REVERSED_LABELS = {
    'offset_first': 'constant offset, taken first',
    'scale_last': 'common scale factor, after it',
}
NODES = 12
# What `shrinkage_factors` returns.
FACTORS = ('measured', 'predicted_dense', 'predicted_both', 'mean_prediction', 'stationary')


def hat_basis(targets: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Returns [n, K] linear B-splines on K increasing nodes, continued linearly beyond the ends.

    They span all continuous functions that are linear between nodes; y and 1 are among them.
    """
    piece = np.clip(np.searchsorted(nodes, targets, side='right') - 1, 0, len(nodes) - 2)
    fraction = (targets - nodes[piece]) / (nodes[piece + 1] - nodes[piece])
    basis = np.zeros((len(targets), len(nodes)))
    rows = np.arange(len(targets))
    basis[rows, piece] = 1 - fraction
    basis[rows, piece + 1] = fraction
    return basis


def _fit(basis: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the least-squares projection of [n] values on the columns of [n, k] basis."""
    # By the normal equations: the columns overlap little, so their products are well conditioned,
    # and n, which may be 50,000, is gone through twice and not by a decomposition of the basis.
    return basis @ np.linalg.lstsq(basis.T @ basis, basis.T @ values, rcond=None)[0]


def decompose(targets: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Splits the MSE of several runs on one test distribution into five parts that add up.

    Args:
      targets: [R, n] targets, one row a run (each repeat has its own test images).
      predictions: [R, n] predictions.

    Returns:
      'scale', 'offset', 'bias', 'repeats', 'images' (squared intensity, each ≥ 0), their sum
      'total', the MSE computed directly 'mse', 'factor': the common c in prediction ≈ c·target; and
      of the other order 'offset_first' and 'scale_last'.
    """
    y = np.asarray(targets, dtype=np.float64)
    errors = np.asarray(predictions, dtype=np.float64) - y
    flat_y, flat = y.ravel(), errors.ravel()
    nodes = np.unique(np.quantile(flat_y, np.linspace(0, 1, NODES)))
    slope = flat @ flat_y / (flat_y @ flat_y)
    scaled = slope * flat_y
    lines = _fit(np.stack([flat_y, np.ones_like(flat_y)], axis=1), flat)
    common = own = lines
    if len(nodes) > 1:
        basis = hat_basis(flat_y, nodes)
        common = _fit(basis, flat)
        own = np.concatenate(
            [
                _fit(part, values)
                for part, values in zip(basis.reshape(*y.shape, -1), errors, strict=True)
            ]
        )
    parts = {
        'scale': np.mean(scaled**2),
        'offset': np.mean((lines - scaled) ** 2),
        'bias': np.mean((common - lines) ** 2),
        'repeats': np.mean((own - common) ** 2),
        'images': np.mean((flat - own) ** 2),
    }
    found = {name: float(value) for name, value in parts.items()}
    return {
        **found,
        'total': sum(found.values()),
        'mse': float(np.mean(flat**2)),
        'factor': float(1 + slope),
        'offset_first': float(flat.mean() ** 2),
        'scale_last': float(np.mean((lines - flat.mean()) ** 2)),
    }


def table(study: finished.FinishedStudy, predictor: str = 'cnn') -> pd.DataFrame:
    """Decomposes the MSE of every condition on every test distribution.

    Of 'cnn_calibrated' predictions are multiplied by each run's calibration factor.

    Returns:
      A row per condition and test distribution: condition, test_distribution, runs, scale, offset,
      bias, repeats, images, total, mse (of `results.csv`, for the check that they agree), factor,
      offset_first, scale_last (see `decompose`), source.
    """
    rows = []
    for condition in study.conditions:
        runs = [study.runs[condition, k] for k in study.repeats(condition)]
        for test in study.test_distributions if runs else ():
            if any(test not in run.test_prediction for run in runs):
                continue
            targets = np.stack([run.test_target[test] for run in runs])
            predictions = np.stack([run.test_prediction[test].astype(np.float64) for run in runs])
            if predictor == 'cnn_calibrated':
                predictions *= np.array([[run.calibration_factor] for run in runs])
            found = decompose(targets, predictions)
            recorded = study.values(predictor, condition, test, 'mse')
            found['mse'] = float(recorded.mean()) if len(recorded) else math.nan
            source = (
                'predictions.npz: test_prediction and test_target of '
                f'condition={condition}, test_distribution={test} ({len(runs)} runs)'
            )
            row = {'condition': condition, 'test_distribution': test, 'runs': len(runs)}
            rows.append({**row, **found, 'source': source})
    columns = ['condition', 'test_distribution', 'runs', *PARTS, 'total', 'mse', 'factor']
    return pd.DataFrame(rows, columns=[*columns, *REVERSED, 'source'])


def shrinkage_factors(moments: Mapping[str, float], dense_dropout_rate: float) -> dict[str, float]:
    """Predicts the shrinkage of one network from the moments of its last hidden features.

    Args:
      moments: means over training images: b, mean_y, mean_a, mean_a2, mean_ay, mean_s with all
        dropout off, and the `channel_` ones with channel dropout on.
      dense_dropout_rate: p of the last hidden layer.

    Returns:
      'measured': E[a²]/E[a(y − b)], dropout off: how much smaller a is than what fits best (1 is
        no shrinkage);
      'predicted_dense': the factor that dropout on the last hidden layer alone predicts;
      'predicted_both': with channel dropout;
      'mean_prediction': E[ā²]/E[ā(y − b)], what `predicted_both` is about: shrinkage of the
        prediction averaged over channel masks;
      'stationary': the factor by which training would still scale a; 1 once it has settled.
    """
    penalty = dense_dropout_rate / (1 - dense_dropout_rate)
    m = moments
    fitted = m['mean_ay'] - m['b'] * m['mean_a']
    channel_fitted = m['channel_mean_ay'] - m['b'] * m['channel_mean_a']
    channel_cost = m['channel_mean_a2'] + penalty * m['channel_mean_s']

    def ratio(numerator: float, denominator: float) -> float:
        return numerator / denominator if denominator else math.nan

    return {
        'measured': ratio(m['mean_a2'], fitted),
        'predicted_dense': ratio(m['mean_a2'], m['mean_a2'] + penalty * m['mean_s']),
        'predicted_both': ratio(m['channel_mean_abar2'], channel_cost),
        'mean_prediction': ratio(m['channel_mean_abar2'], channel_fitted),
        'stationary': ratio(channel_fitted, channel_cost),
    }


def shrinkage(study: finished.FinishedStudy) -> pd.DataFrame:
    """Predicts and measures the shrinkage of every network.

    Returns:
      A row per run that counts: condition, repeat, measured, predicted_dense, predicted_both,
      mean_prediction, stationary (see `shrinkage_factors`), validation (1/s with s the calibration
      factor: the shrinkage of the whole prediction on the validation split), source. Empty where
      the workdirs hold no moments.
    """
    rows = []
    for condition in study.conditions.values():
        rate = float(condition.settings.get('model.dense_dropout_rate', 0.0))
        for repeat in study.repeats(condition.name):
            run = study.runs[condition.name, repeat]
            if not run.moments:
                continue
            factor = run.calibration_factor
            rows.append(
                {
                    'condition': condition.name,
                    'repeat': repeat,
                    **shrinkage_factors(run.moments, rate),
                    'validation': 1 / factor if factor else math.nan,
                    'source': (
                        'predictions.npz: moments and calibration_factor of '
                        f'condition={condition.name}, repeat={repeat}'
                    ),
                }
            )
    columns = ['condition', 'repeat', *FACTORS, 'validation', 'source']
    return pd.DataFrame(rows, columns=columns)


def shrinkage_summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Averages `shrinkage` over the repeats of each condition.

    Returns:
      A row per condition: condition, runs, and as mean percent of shrinkage 100·(1 − factor):
      measured, predicted_dense, predicted_both, mean_prediction, validation; share_dense and
      share_both (percent of the measured shrinkage that is predicted), stationary (mean factor) and
      correlation (of predicted_both with measured over the networks; NaN below three).
    """
    means = ('measured', 'predicted_dense', 'predicted_both', 'mean_prediction', 'validation')
    rows = []
    for condition, group in runs.groupby('condition', sort=False):
        shrunk = {name: 100 * (1 - group[name].mean()) for name in means}
        pair = group[['measured', 'predicted_both']]
        varied = len(pair) > 2 and (pair.std() > 0).all()
        rows.append(
            {
                'condition': condition,
                'runs': len(group),
                **shrunk,
                'share_dense': 100 * shrunk['predicted_dense'] / shrunk['measured'],
                'share_both': 100 * shrunk['predicted_both'] / shrunk['mean_prediction'],
                'stationary': group['stationary'].mean(),
                'correlation': pair.corr().iloc[0, 1] if varied else math.nan,
            }
        )
    shares = ('share_dense', 'share_both', 'stationary', 'correlation')
    return pd.DataFrame(rows, columns=['condition', 'runs', *means, *shares])
