"""What touches all numbers and is to be known before they are read."""

from collections.abc import Sequence

from imbreg_jax.analysis import section
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.section import Content, Section, listed
from imbreg_jax.results.epoch_rows import ended_far_above


def warnings(study: FinishedStudy) -> list[str]:
    """Returns a sentence for each thing that was merged, diverged, went wrong or is undefined."""
    found = list(study.notes)
    by_condition: dict[str, list[str]] = {}
    for (name, repeat), epoch in sorted(study.diverged.items()):
        by_condition.setdefault(name, []).append(f'{repeat} (epoch {epoch})')
    diverged = [
        f'{title}: {len(by_condition[name])} diverged and left out, repeat '
        f'{listed(by_condition[name], "repeats")}.'
        for name, title in study.titles.items()
        if name in by_condition
    ]
    found += _some(diverged, 'diverged and are left out; tables/results.csv counts them')
    far = []
    for name, rows in ended_far_above(study.metrics).groupby('condition', sort=False):
        which = [
            f'{row.repeat} (validation MSE {number(row.after)}, {number(row.before)} before)'
            for row in rows.itertuples()
        ]
        far.append(
            f'{study.titles[str(name)]}: {len(rows)} ended far above where training began and '
            f'count all the same, repeat {listed(which, "repeats")}.'
        )
    found += _some(far, 'ended far above where training began and count all the same')
    if study.folds:
        sets = len({k // study.folds for _, k in study.runs})
        few = '; with fewer than two, intervals and tests are undefined' if sets < 2 else ''
        found.append(
            f'Repeats are folds, {study.folds} to a data set. Tables and tests are over data sets, '
            f'of which there are {sets}{few}; curves, parts of the error and moments are over '
            'networks, and their bands too narrow for another data set.'
        )
    if min((len(study.repeats(name)) for name in study.conditions), default=0) < 2:
        found.append(
            'With fewer than two repeats that count, standard deviations, intervals and tests are '
            'undefined; such places say n/a or undecided.'
        )
    return found


def _some(lines: Sequence[str], what: str) -> list[str]:
    """The first of some lines on a condition each, and of how many more the same is true."""
    more = len(lines) - section.MOST_NAMED
    rest = [f'Networks of {more:,} more conditions {what}.'] if more > 0 else []
    return [*lines[: section.MOST_NAMED], *rest]


def _build(study: FinishedStudy) -> Content:
    first, *others = warnings(study)
    return Content(first, notes=others)


SECTION = Section('warnings', 'Before you read on', lambda study: bool(warnings(study)), _build)
