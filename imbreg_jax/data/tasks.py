"""Tasks: which statistic of an image is its target, and how such an image is made.

The paper's task (section 3.1): a pixel is the generating value times a standard
normal draw, and the target is the standard deviation of the image's own pixels,
std = sqrt(mean((pixel - mean(pixel))**2)).
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Task:
    """How an image is made from noise and a generating value, and what is measured on it.

    Attributes:
      synthesize: (generating [...], noise [..., H, W]) -> images [..., H, W].
      measure: (images [..., H, W], ddof) -> the statistic [...], in pixel intensity.
    """

    synthesize: Callable[[jax.Array, jax.Array], jax.Array]
    measure: Callable[[jax.Array, int], jax.Array]


def scaled_noise(generating: jax.Array, noise: jax.Array) -> jax.Array:
    """Images whose pixels are N(0, generating**2): generating [...] times noise [..., H, W]."""
    return generating[..., None, None] * noise


def pixel_std(images: jax.Array, ddof: int = 0) -> jax.Array:
    """Standard deviation of the pixels of images [..., H, W] -> [...].

    In two passes: in float32 the one-pass formula loses half the digits.
    """
    count = images.shape[-1] * images.shape[-2]
    centred = images - images.mean((-2, -1), keepdims=True)
    return jnp.sqrt((centred * centred).sum((-2, -1)) / (count - ddof))


TASKS: dict[str, Task] = {'std': Task(scaled_noise, pixel_std)}
