"""Errors by the relevance of targets."""

from collections.abc import Mapping

import numpy as np

from imbreg_jax.evaluation.metrics.metric import register


@register(label='SERA', unit='unit squared, summed over images', better='less')
def sera(predictions: np.ndarray, targets: np.ndarray, strata: Mapping) -> np.ndarray:
    """Squared error relevance area (Ribeiro and Moniz 2020, section 3.3).

    The area below the squared error of the images of at least so much relevance, over all
    thresholds from 0 to 1. An image is counted up to its own relevance, so the area is exactly the
    sum of squared errors times relevances. Relevance follows from the training targets, see
    `study.relevance`; nan where they have no extremes.
    """
    return np.sum(strata['relevance'] * (predictions - targets) ** 2, axis=-1)
