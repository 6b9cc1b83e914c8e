"""Laws on an interval."""

from scipy import stats

from imbreg_jax.study.laws.law import Law, ScipyLaw
from imbreg_jax.study.laws.registry import register
from imbreg_jax.study.laws.rules import number_text, ordered, positive, require


@register(label='U({low}, {high})', example='uniform(1, 10)')
def uniform(low: float, high: float) -> Law:
    """All targets between `low` and `high` are as likely."""
    ordered('uniform', low=low, high=high)
    return ScipyLaw(stats.uniform(low, high - low))


@register(label='N({mean}, {std}) on [{low}, {high}]', example='truncated_normal(5.5, 2, 1, 10)')
def truncated_normal(mean: float, std: float, low: float, high: float) -> Law:
    """The normal law of this mean and standard deviation, given that the target lies within."""
    positive('truncated_normal', std=std)
    ordered('truncated_normal', low=low, high=high)
    a, b = (low - mean) / std, (high - mean) / std
    # Mirrored to the lower tail, where the normal CDF does not lose its digits to 1 - tiny.
    inside = stats.norm.cdf(b) - stats.norm.cdf(a) if a < 0 else stats.norm.sf(a) - stats.norm.sf(b)
    require(
        inside >= 1e-12,
        f'truncated_normal keeps a fraction of only {inside:.3g} of the normal law between low '
        f'{number_text(low)} and high {number_text(high)}; it needs at least 1e-12',
    )
    return ScipyLaw(stats.truncnorm(a, b, loc=mean, scale=std))


@register(label='Triangular({low}, {peak}, {high})', example='triangular(1, 4, 10)')
def triangular(low: float, peak: float, high: float) -> Law:
    """A density that rises linearly from 0 at `low` to the peak, and falls to 0 at `high`."""
    ordered('triangular', low=low, peak=peak, high=high)
    return ScipyLaw(stats.triang((peak - low) / (high - low), low, high - low), breaks=(peak,))


@register(label='Beta({a}, {b}) on [{low}, {high}]', example='beta(0.5, 2, 1, 10)')
def beta(a: float, b: float, low: float, high: float) -> Law:
    """The beta law with the shapes `a` and `b`, stretched from [0, 1] to [low, high]."""
    for key, value in (('a', a), ('b', b)):
        require(
            0.01 <= value <= 10_000,
            f'beta needs {key} between 0.01 and 10000, not {number_text(value)}',
        )
    ordered('beta', low=low, high=high)
    return ScipyLaw(stats.beta(a, b, loc=low, scale=high - low))


@register(label='Pareto({shape}) on [{low}, {high}]', example='pareto(1.5, 1, 10)')
def pareto(shape: float, low: float, high: float) -> Law:
    """A density that falls from `low` to `high` like the power -(shape + 1) of the target."""
    require(
        0.01 <= shape <= 20, f'pareto needs shape between 0.01 and 20, not {number_text(shape)}'
    )
    positive('pareto', low=low)
    ordered('pareto', low=low, high=high)
    return ScipyLaw(stats.truncpareto(shape, high / low, scale=low))
