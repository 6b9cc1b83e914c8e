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
    conr,
    dense_weight,
    ensemble,
    evidential,
    fds,
    focal_r,
    gaussian_noise,
    homogeneous,
    huber,
    inverse,
    lds,
    log_target,
    neighbours,
    random_over,
    random_under,
    ranksim,
    rebagg,
    relative_mse,
    relevance,
    resampling,
    rnc,
    rrt,
    scale_augmentation,
    smogn,
    smoter,
    uvote,
    wercs,
)
from imbreg_jax.remedies.registry import REMEDIES, forms, parse, register, usage
from imbreg_jax.training.remedy import NONE, Remedy

__all__ = [
    'NONE',
    'REMEDIES',
    'Remedy',
    'balanced_mse',
    'conr',
    'dense_weight',
    'ensemble',
    'evidential',
    'fds',
    'focal_r',
    'forms',
    'gaussian_noise',
    'homogeneous',
    'huber',
    'inverse',
    'lds',
    'log_target',
    'neighbours',
    'parse',
    'random_over',
    'random_under',
    'ranksim',
    'rebagg',
    'register',
    'relative_mse',
    'relevance',
    'resampling',
    'rnc',
    'rrt',
    'scale_augmentation',
    'smogn',
    'smoter',
    'usage',
    'uvote',
    'wercs',
]
