"""Mean absolute errors on targets of which training had much or little, see `strata`."""

from collections.abc import Mapping

import numpy as np

from imbreg_jax.evaluation.metrics.metric import Compute, mean, register


def _of(stratum: str) -> Compute:
    def compute(predictions: np.ndarray, targets: np.ndarray, strata: Mapping) -> np.ndarray:
        return mean(np.abs(predictions - targets), strata[stratum])

    return compute


_STRATA = {
    'mae_many': ('many', 'MAE, many-shot'),
    'mae_medium': ('medium', 'MAE, medium-shot'),
    'mae_few': ('few', 'MAE, few-shot'),
    'mae_zero': ('unseen', 'MAE, zero-shot'),
    'mae_interpolation': ('interpolation', 'MAE, zero-shot between training targets'),
    'mae_extrapolation': ('extrapolation', 'MAE, zero-shot beyond training targets'),
}
NAMES = tuple(_STRATA)

for _name, (_stratum, _label) in _STRATA.items():
    _compute = _of(_stratum)
    _compute.__name__ = _name
    register(label=_label, unit='unit', better='less')(_compute)
