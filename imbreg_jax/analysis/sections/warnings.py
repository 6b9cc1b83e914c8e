"""What touches all numbers and is to be known before they are read."""

from collections.abc import Sequence

from imbreg_jax.analysis import section
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.section import Content, Section, listed
from imbreg_jax.data import folds
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
        found += _of_folds(study)
    if min((len(study.repeats(name)) for name in study.conditions), default=0) < 2:
        found.append(
            'With fewer than two repeats that count, standard deviations, intervals and tests are '
            'undefined; such places say n/a or undecided.'
        )
    return found


def _of_folds(study: FinishedStudy) -> list[str]:
    """What numbers are over where repeats are folds, and which data sets lack some."""
    counts = [len(study.data_sets(name)) for name in study.conditions]
    least, most = min(counts, default=0), max(counts, default=0)
    sets = f'{least}' if least == most else f'{least} to {most}, by condition'
    few = '; with fewer than two, intervals and tests are undefined' if least < 2 else ''
    found = [
        f'Repeats are folds, {study.folds} to a data set. Tables and tests are over data sets with '
        f'all of their folds, of which there are {sets}{few}; curves, parts of the error and '
        'moments are over networks, and their bands too narrow for another data set.'
    ]
    trained: dict[str, list[int]] = {}
    for name, repeat in study.runs:
        trained.setdefault(name, []).append(repeat)
    lacking: dict[str, list[str]] = {}
    for name, repeats in trained.items():
        lacking.setdefault(folds.told(study.folds, repeats), []).append(study.titles[name])
    lacking.pop('', None)
    found += [
        text if len(titles) == len(trained) else f'{listed(titles)}: {text}'
        for text, titles in lacking.items()
    ]
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
