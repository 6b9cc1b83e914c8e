"""The tasks, one file a family of images."""

from imbreg_jax.data.task import TASKS
from imbreg_jax.data.tasks import disc, grating, scaled_noise

__all__ = ['TASKS', 'disc', 'grating', 'scaled_noise']
