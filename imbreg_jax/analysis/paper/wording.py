"""How a verdict is worded: sentences that say what a test has shown, with the test beside it."""

import dataclasses
import math
from collections.abc import Sequence

from imbreg_jax.analysis import statistics
from imbreg_jax.analysis.formats import number

MOST_NAMED = 5
_MOST_NOTES = 10


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One paired comparison behind a verdict.

    Attributes:
      first: what the first values are.
      second: what the second values are.
      comparison: its statistics; p values are of first > second.
      reversed_p_value: of first < second, Holm-corrected over the pairs of the claim.
      source: files and rows of the numbers.
    """

    first: str
    second: str
    comparison: statistics.Comparison
    reversed_p_value: float
    source: str


def listed(names: Sequence[str], total: int) -> str:
    """Returns the first of `total` names, and how many more there are."""
    more = f' and {total - MOST_NAMED:,} more' if total > MOST_NAMED else ''
    return ', '.join(names[:MOST_NAMED]) + more


def p_text(p: float) -> str:
    """Returns 'p = 0.012', 'p < 0.001' or 'p undefined'."""
    if not math.isfinite(p):
        return 'p undefined'
    return 'p < 0.001' if p < 0.001 else f'p = {p:.3f}'


def _both(p: float, flip_p: float) -> str:
    return f'{p_text(p)}, by sign flips {p_text(flip_p)}'


def _numbers(evidence: Evidence, unit: str, level: float, tests: str) -> str:
    c = evidence.comparison
    text = (
        f'{evidence.first} {number(c.first_mean)}{unit} against {evidence.second} '
        f'{number(c.second_mean)}{unit}'
    )
    if math.isfinite(c.effect):
        text += f': ratio {number(c.effect)}'
    if not math.isfinite(c.low):
        return text
    return (
        f'{text} ({100 * (1 - 2 * level):g} % t interval {number(c.low)} to {number(c.high)}; '
        f'{c.repeats} pairs; {tests})'
    )


def _same(c: statistics.Comparison, margin: float) -> str:
    within = f'within {1 - margin:g} to {1 + margin:g}'
    return f'{within} {_both(c.equivalence_p_value, c.flip_equivalence_p_value)}'


def order(evidence: Sequence[Evidence], unit: str, level: float, margin: float, same: bool) -> str:
    """Says of each pair whether the first is larger, and with `same` whether they are alike."""
    parts = []
    for e in evidence:
        c = e.comparison
        tests = [f'larger {_both(c.p_value, c.flip_p_value)}']
        if c.reversed_p_value < c.p_value:
            holm = ' with Holm' if len(evidence) > 1 else ''
            tests.append(f'smaller{holm} {p_text(e.reversed_p_value)}')
        if same:
            tests.append(_same(c, margin))
        parts.append(_numbers(e, unit, level, ', '.join(tests)))
    return '; '.join(parts)


def little(evidence: Evidence, unit: str, level: float, margin: float) -> str:
    """Says whether the first costs less than the margin against the second."""
    c = evidence.comparison
    below = f'below {1 + margin:g} {_both(c.below_p_value, c.flip_below_p_value)}'
    return _numbers(evidence, unit, level, f'{below}, above it {p_text(1 - c.below_p_value)}')


def same(evidence: Evidence, unit: str, level: float, margin: float) -> str:
    """Says whether the two are within the margin of one another."""
    c = evidence.comparison
    tests = f'{_same(c, margin)}, outside {p_text(c.outside_p_value)}'
    return _numbers(evidence, unit, level, tests)


def weakest(evidence: Sequence[Evidence]) -> Evidence:
    """Returns the comparison that speaks least for first > second: what a conjunction hangs on."""

    def doubt(found: Evidence) -> tuple[float, float]:
        # With one repeat there is no test: the ratio speaks; p values may also vanish alike.
        p, effect = found.comparison.p_value, found.comparison.effect
        return p if math.isfinite(p) else 1.0, -effect if math.isfinite(effect) else math.inf

    return max(evidence, key=doubt)


def _no_test(c: statistics.Comparison) -> str:
    if c.repeats > 1:
        return 'errors of 0, or lost, have no ratio, so no test.'
    return f'{c.repeats} repeat{"" if c.repeats == 1 else "s"}: no spread, so no test.'


def open_orders(evidence: Sequence[Evidence], level: float, margin: float) -> str:
    """Says what could have been shown, of each pair whose order stays open."""
    notes = []
    for e in evidence:
        c, pair = e.comparison, f'{e.first} against {e.second}'
        if c.p_value < level:
            continue
        if c.equivalence_p_value < level:
            notes.append(f'{pair}: the same within the margin.')
        elif not math.isfinite(c.detectable):
            notes.append(f'{pair}: {_no_test(c)}')
        else:
            few = math.isfinite(c.repeats_needed)
            needed = c.repeats_needed if few else statistics.MOST_REPEATS
            notes.append(
                f'{pair}: {c.repeats} repeats could have shown a ratio of {number(c.detectable)}; '
                f'{"about" if few else "more than"} {needed:,.0f} would show one of '
                f'{1 + margin:g} (power {statistics.POWER:g}).'
            )
    if len(notes) > _MOST_NOTES:
        notes[_MOST_NOTES:] = [f'{len(notes) - _MOST_NOTES:,} more such notes are left out.']
    return ' '.join(notes)


def open_margin(c: statistics.Comparison) -> str:
    """Says how far from the margin a ratio must be for these repeats to tell."""
    if not math.isfinite(c.detectable):
        return _no_test(c)
    return (
        f'{c.repeats} repeats tell a ratio from the margin that is off it by a factor of '
        f'{number(c.detectable)} (power {statistics.POWER:g}).'
    )
