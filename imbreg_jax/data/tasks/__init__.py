"""The tasks, one file a family of images."""

from imbreg_jax.data.task import TASKS
from imbreg_jax.data.tasks import (
    blobs,
    correlated_noise,
    disc,
    grating,
    needle,
    position,
    scaled_noise,
    shifted_noise,
    signal_to_noise,
)

__all__ = [
    'TASKS',
    'blobs',
    'correlated_noise',
    'disc',
    'grating',
    'needle',
    'position',
    'scaled_noise',
    'shifted_noise',
    'signal_to_noise',
]
