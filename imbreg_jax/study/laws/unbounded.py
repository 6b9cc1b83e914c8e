"""Laws with one tail or two."""

from scipy import stats

from imbreg_jax.study.laws.law import Law, ScipyLaw
from imbreg_jax.study.laws.registry import register
from imbreg_jax.study.laws.rules import positive


@register(label='N({mean}, {std})', example='normal(5.5, 0.5)')
def normal(mean: float, std: float) -> Law:
    """The normal law; few targets far from the mean."""
    positive('normal', std=std)
    return ScipyLaw(stats.norm(mean, std))


@register(label='Lognormal({median}, {shape})', example='lognormal(3, 0.5)')
def lognormal(median: float, shape: float) -> Law:
    """The law of a target whose logarithm is normal, with the standard deviation `shape`."""
    positive('lognormal', median=median, shape=shape)
    return ScipyLaw(stats.lognorm(shape, scale=median))


@register(label='{low} + Exp({scale})', example='exponential(1, 2)')
def exponential(low: float, scale: float) -> Law:
    """Targets from `low` up, ever rarer: the mean lies `scale` above `low`."""
    positive('exponential', scale=scale)
    return ScipyLaw(stats.expon(loc=low, scale=scale))
