"""Remedies against imbalance, one file a method; `config.remedy` names them.

The host parts and the losses are plain functions, of use for anybody's arrays and networks:

    from imbreg_jax.remedies import balanced_mse, inverse

    weights = inverse.weights(targets, bins=20)              # [N], of mean 1
    loss = balanced_mse.batch_loss(predictions, targets, 1)  # [B], [B] -> []

A remedy of one's own is a frozen dataclass with a name, made known by `register`; see
`imbreg_jax.training.remedy.Remedy` for what it may give.
"""

from imbreg_jax.remedies import (
    balanced_mse,
    fds,
    gaussian_noise,
    inverse,
    neighbours,
    random_over,
    random_under,
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
    'fds',
    'gaussian_noise',
    'inverse',
    'neighbours',
    'parse',
    'random_over',
    'random_under',
    'register',
    'resampling',
    'smogn',
    'smoter',
    'usage',
    'wercs',
]
