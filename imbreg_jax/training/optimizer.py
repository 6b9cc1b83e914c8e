"""The optimiser of a run, put together from optax's parts.

What differs between the runs of a program is traced, so the parts are made where they are used.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from imbreg_jax.study import TrainingSettings


def build(
    settings: TrainingSettings, dials: Mapping[str, Any], progress: jax.Array | float = 0.0
) -> optax.GradientTransformation:
    """Adam (paper, section 3.3) or another with a run's own step size.

    Args:
      settings: what the runs of a program share.
      dials: {dotted field: [] float32} of a run.
      progress: [] which share of the training's steps is done.

    Returns:
      The transformation of gradients into what is added to the parameters.
    """
    clip, rate = settings.gradient_clip, dials['training.learning_rate']
    parts = [optax.clip_by_global_norm(clip)] if clip else []
    if settings.optimizer == 'adam':
        parts.append(optax.scale_by_adam(settings.adam_b1, settings.adam_b2, settings.adam_eps))
    else:
        parts.append(optax.trace(settings.momentum))
    return optax.chain(
        *parts,
        optax.add_decayed_weights(dials['training.weight_decay']),
        optax.scale(-rate * schedule(dials, progress)),
    )


# The share of steps that are done after the warm-up to the factor on the step size, each one entry.
SCHEDULES: dict[str, Callable[[jax.Array], jax.Array]] = {
    'constant': jnp.ones_like,
    'linear': lambda done: 1.0 - done,
    'cosine': lambda done: 0.5 * (1.0 + jnp.cos(jnp.pi * done)),
    'step': lambda done: jnp.where(done < 0.5, 1.0, jnp.where(done < 0.75, 0.1, 0.01)),
}


def schedule(dials: Mapping[str, Any], progress: jax.Array | float) -> jax.Array:
    """The factor [] on a run's step size when this share [] of the training's steps is done.

    Every schedule is computed and one chosen, a few numbers a step, so that all share a program.
    """
    warmup = jnp.asarray(dials['training.warmup'])
    done = jnp.maximum(progress - warmup, 0.0) / (1.0 - warmup)
    factors = [shape(done) for shape in SCHEDULES.values()]
    rising = progress / jnp.where(warmup > 0, warmup, 1.0)
    chosen = lax.select_n(jnp.asarray(dials['training.schedule'], jnp.int32), *factors)
    return jnp.where(progress < warmup, rising, chosen)


def scale_layers(updates: dict[str, Any], rates: jax.Array) -> dict[str, Any]:
    """Updates {layer: ...} times a rate [layers] of each layer, in the order of their names."""
    return {
        layer: jax.tree.map(lambda update, rate=rates[i]: rate * update, parts)
        for i, (layer, parts) in enumerate(sorted(updates.items()))
    }
