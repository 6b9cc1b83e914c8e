"""The tasks, one file a family of images."""

from imbreg_jax.data.task import TASKS, named

# In the order in which they are listed: statistics of pixels of noise, and what is drawn over it.
from imbreg_jax.data.tasks import scaled_noise, shifted_noise, signal_to_noise  # isort: skip
from imbreg_jax.data.tasks import correlated_noise, disc, grating, needle, blobs, position  # isort: skip

__all__ = [
    'TASKS',
    'blobs',
    'correlated_noise',
    'disc',
    'grating',
    'named',
    'needle',
    'position',
    'scaled_noise',
    'shifted_noise',
    'signal_to_noise',
]
