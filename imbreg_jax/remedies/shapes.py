"""Shapes of what is given to losses: [B, 1] beside [B] would become [B, B] without a word.

Shapes are known while a function is traced, so that looking at them costs a program nothing.
"""

from typing import Any

import jax.numpy as jnp


def refuse_unlike(**arrays: Any) -> None:
    """Refuses arrays that are not one number an image, of the same images.

    Raises:
      ValueError: with a sentence.
    """
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) > 1 for shape in shapes.values()):
        raise ValueError(
            f'{_said(shapes)}; each must be one number an image, [B], such as outputs[:, 0] of '
            'outputs [B, 1]'
        )


def refuse_other_images(features: Any, **arrays: Any) -> None:
    """Refuses arrays that are not one number for each row of features [n, F].

    Raises:
      ValueError: with a sentence.
    """
    shapes = {name: jnp.shape(array) for name, array in {'features': features, **arrays}.items()}
    rows = shapes['features'][:1]
    if len(shapes['features']) != 2 or any(shapes[name] != rows for name in arrays):
        raise ValueError(
            f'{_said(shapes)}; features must be [n, F], and all else one number an image, [n]'
        )


def refuse_untrailing(of: Any, **arrays: Any) -> None:
    """Refuses arrays that do not have the last dimensions of `of`: [B] of [B] or of [views, B].

    Raises:
      ValueError: with a sentence.
    """
    whole = jnp.shape(of)
    for name, array in arrays.items():
        shape = jnp.shape(array)
        if shape != whole[len(whole) - len(shape) :] or len(shape) > len(whole):
            raise ValueError(
                f'{name} have the shape {shape} beside locations of {whole}; they must be one '
                'number an image, [B]'
            )


def _said(shapes: dict[str, tuple[int, ...]]) -> str:
    return ' and '.join(f'{name} have the shape {shape}' for name, shape in shapes.items())
