"""Remedies against imbalance, one file a method; `config.remedy` names them.

The host parts and the losses are plain functions, of use for anybody's arrays and networks. Of
training targets [N] they make weights, or say which images an epoch is to go through:

    import numpy as np
    from imbreg_jax.remedies import lds, random_over, resampling

    weights = lds.weights(targets, bins=100)                            # [N], of mean 1
    groups = resampling.of_bins(targets, bins=20)
    goals = resampling.balanced(groups)                                 # images of each bin
    index = random_over.indices(groups, goals, np.random.default_rng()) # [N] int32

Weights beside a resampling are of what it made, `lds.weights(targets[index])`; those by relevance
with the control points of the targets before it,
`relevance.weights(targets[index], relevance.control_points(targets))`. Examples of their own have
`relevance`, for how relevant a target is, `resampling`, for images that are mixtures or have noise,
and `fds`, for statistics of features. Losses are of the images of a batch, [B], and penalties of
their features, [B, F]; with a model of Flax, say, that gives both:

    import jax.numpy as jnp
    from imbreg_jax.remedies import balanced_mse, ranksim

    def loss(params, images, targets, weights):           # [B, ...], [B], [B] -> []
        predictions, features = model.apply(params, images)  # [B], [B, F]
        found = balanced_mse.batch_losses(predictions, targets, noise=0.2)  # [B]
        return jnp.mean(weights * found) + ranksim.penalty(features, targets, interpolation=20.0)

A remedy of one's own is a frozen dataclass with a name, made known by `register`; see
`imbreg_jax.training.remedy.Remedy` for what it may give.
"""

from imbreg_jax.remedies import (
    balanced_mse,
    bins,
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
    kernels,
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
    vir,
    wercs,
)
from imbreg_jax.remedies.registry import REMEDIES, forms, parse, register, usage
from imbreg_jax.training.remedy import NONE, Remedy

__all__ = [
    'NONE',
    'REMEDIES',
    'Remedy',
    'balanced_mse',
    'bins',
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
    'kernels',
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
    'vir',
    'wercs',
]
