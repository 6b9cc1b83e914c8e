"""Remedies against imbalance, one file a method; `config.remedy` names them.

The host parts and the losses are plain functions, of use for anybody's arrays and networks:

    from imbreg_jax.remedies import balanced_mse, lds

    weights = lds.weights(targets, bins=100)                 # [N], of mean 1
    loss = balanced_mse.batch_loss(predictions, targets, 1)  # [B], [B] -> []

A remedy of one's own is a frozen dataclass with a name, made known by `register`; see
`imbreg_jax.training.remedy.Remedy` for what it may give.
"""

from imbreg_jax.remedies import (
    balanced_mse,
    dense_weight,
    fds,
    gaussian_noise,
    inverse,
    lds,
    neighbours,
    random_over,
    random_under,
    relevance,
    resampling,
    smogn,
    smoter,
    wercs,
)
from imbreg_jax.remedies.registry import REMEDIES, parse, register, usage
from imbreg_jax.training.remedy import NONE, Remedy

__all__ = [
    'NONE',
    'REMEDIES',
    'Remedy',
    'balanced_mse',
    'dense_weight',
    'fds',
    'gaussian_noise',
    'inverse',
    'lds',
    'neighbours',
    'parse',
    'random_over',
    'random_under',
    'register',
    'relevance',
    'resampling',
    'smogn',
    'smoter',
    'usage',
    'wercs',
]
