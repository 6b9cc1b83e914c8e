"""The network without biases, whose percentage errors cannot depend on the target.

With ReLUs, means or maxima of pixels and no normalisation, a network without biases is positively
homogeneous: a factor on an image's pixels is one on its prediction, f(s x) = s f(x) for s > 0. So
where a factor on the image is one on the target too (tasks of degree 1), what it learns of images
of one target it knows of all. Dropout leaves that as it is. The layer's biases are the config's
`model.bias`, which this remedy sets: it is an expression that stands beside other remedies, and
conditions that differ in it differ in nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from imbreg_jax.remedies.registry import register
from imbreg_jax.study import Distribution
from imbreg_jax.study.settings import remedy_of
from imbreg_jax.training.remedy import Remedy

# Activations of which f(s x) = s f(x) for s > 0.
ACTIVATIONS = ('relu', 'leaky_relu')


@register
@dataclasses.dataclass(frozen=True)
class Homogeneous(Remedy):
    """The network without biases; see the module."""

    name = 'homogeneous'
    sets: ClassVar[Mapping[str, Any]] = {'model.bias': False}

    def check(self, fields: Mapping[str, Any], task: Any, law: Distribution) -> None:
        """Refuses what would not be homogeneous without biases."""
        super().check(fields, task, law)
        for field, right in (
            ('model.activation', ACTIVATIONS),
            ('model.normalization', ('none',)),
        ):
            if fields[field] not in right:
                raise ValueError(
                    f'with {field} {fields[field]} a network without biases is not homogeneous; '
                    f'it must be {" or ".join(right)}'
                )
        if remedy_of(fields).logarithms:
            raise ValueError(
                "homogeneous makes the network's output grow with the image, and beside it the "
                'output is a logarithm, which does not: an image times two has its logarithm plus '
                'one of two'
            )
