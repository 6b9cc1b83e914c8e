"""The mean of squared relative errors, ((prediction - target) / target)**2.

A control: a percentage error costs the same at every target, where the squared error sees one of
10 % a hundred times at 10 what it is at 1. It is the objective `relative_mse`
(`training.objectives`), chosen by one expression and so beside other remedies; whatever else looks
at the objective's losses looks at these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from imbreg_jax.remedies.registry import register
from imbreg_jax.training.objectives import relative_squared_error as losses
from imbreg_jax.training.remedy import Remedy

__all__ = ['RelativeMSE', 'losses']


@register
@dataclasses.dataclass(frozen=True)
class RelativeMSE(Remedy):
    """The objective relative_mse; see the module."""

    name = 'relative_mse'
    sets: ClassVar[Mapping[str, Any]] = {'training.objective': 'relative_mse'}
