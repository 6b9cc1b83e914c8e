"""Metrics of predictions, each once, in float64 on the host; one file a family.

Order is that of `results.csv`: the paper's errors first.
"""

from imbreg_jax.evaluation.metrics.metric import (
    METRICS,
    Metric,
    mean,
    metrics,
    register,
)

# isort: split
# Importing a family registers its metrics.
from imbreg_jax.evaluation.metrics import errors, fit, bins, relevance, shots  # isort: skip

__all__ = [
    'METRICS',
    'Metric',
    'bins',
    'errors',
    'fit',
    'mean',
    'metrics',
    'register',
    'relevance',
    'shots',
]
