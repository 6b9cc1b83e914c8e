"""The optimiser of a run, put together from optax's parts.

What differs between the runs of a program is traced, so the parts are made where they are used.
"""

from collections.abc import Mapping
from typing import Any

import jax
import optax

from imbreg_jax.study import TrainingSettings


def build(settings: TrainingSettings, dials: Mapping[str, Any]) -> optax.GradientTransformation:
    """Adam (paper, section 3.3) with a run's own step size.

    Args:
      settings: what the runs of a program share.
      dials: {dotted field: [] float32} of a run.

    Returns:
      The transformation of gradients into what is added to the parameters.
    """
    return optax.chain(
        optax.scale_by_adam(settings.adam_b1, settings.adam_b2, settings.adam_eps),
        optax.scale(-dials['training.learning_rate']),
    )


def scale_layers(updates: dict[str, Any], rates: jax.Array) -> dict[str, Any]:
    """Updates {layer: ...} times a rate [layers] of each layer, in the order of their names."""
    return {
        layer: jax.tree.map(lambda update, rate=rates[i]: rate * update, parts)
        for i, (layer, parts) in enumerate(sorted(updates.items()))
    }
