"""The laws that networks were trained on: their densities, and the targets that came of them."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from imbreg_jax.analysis import canvas, formats, look
from imbreg_jax.analysis.canvas import Axes, Drawing
from imbreg_jax.analysis.finished import Distribution, FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Section, Table, enumerated, listed, only
from imbreg_jax.results import kept_tables
from imbreg_jax.study import laws as target_laws
from imbreg_jax.study.imbalance import Imbalance, imbalance

_OR_INFINITE = formats.Kind(
    'number', lambda value: '∞' if value == math.inf else formats.number(value)
)
# Less of a test law's targets than this is none that lacks.
_LEAST_MISSING = 1e-3
_PERCENT = formats.Kind(
    'number', lambda value: f'{100 * value:.3g} %' if value == value else formats.UNDEFINED
)


def density(
    spec: str, x: np.ndarray, targets: np.ndarray, folders: Sequence[pathlib.Path] = ()
) -> np.ndarray:
    """Returns [m] densities at x; from the targets themselves where the law is not known.

    The values of tables are those that the workdirs `folders` keep; a path in `spec` may be
    somebody else's and is never opened.
    """
    try:
        law = target_laws.parse(spec, kept_tables.source(folders))
        found = np.asarray(law.pdf(x), dtype=float)
        return np.where(np.isfinite(found), found, np.nan)
    except ValueError:
        if not targets.size:
            return np.full(len(x), np.nan)
        return stats.rv_histogram(np.histogram(targets, bins=40), density=False).pdf(x)


def validation_targets(study: FinishedStudy, condition: str) -> np.ndarray:
    """Returns [n] targets of the validation splits of all repeats: draws of the training law."""
    runs = [run for (name, _), run in study.runs.items() if name == condition]
    found = np.concatenate([run.validation_target for run in runs]) if runs else np.zeros(0)
    # Rows of a condition with fewer validation images than others end in nan.
    return found[np.isfinite(found)]


def laws(study: FinishedStudy, conditions: Sequence[str]) -> dict[str, str]:
    """Returns spec -> the first condition trained on it, for each distinct training law."""
    found: dict[str, str] = {}
    for name in conditions:
        found.setdefault(study.conditions[name].train.spec, name)
    return found


def draw_densities(
    axes: Axes, study: FinishedStudy, x: np.ndarray, conditions: Sequence[str]
) -> None:
    """Draws the density at [m] points x of each law that the conditions were trained on."""
    styles, labels = look.styles(study), look.law_labels(study)
    for spec, condition in laws(study, conditions).items():
        style = styles[condition]
        y = density(spec, x, validation_targets(study, condition), study.folders)
        axes.fill_between(x, y, color=style.color, alpha=0.18, linewidth=0)
        axes.plot(x, y, color=style.color, linestyle=style.line, linewidth=1.6, label=labels[spec])
    axes.set_ylim(bottom=0)


def draw(study: FinishedStudy, conditions: Sequence[str]) -> Drawing:
    """Draws the densities of the laws that the conditions were trained on."""
    labels = look.law_labels(study)
    shown = [labels[spec] for spec in laws(study, conditions)]
    drawing, grid = canvas.canvas(2.7 + look.legend_height(shown))
    targets = np.concatenate([validation_targets(study, name) for name in conditions])
    high = float(targets.max()) if targets.size else 10.0
    draw_densities(grid[0, 0], study, np.linspace(0, 1.08 * high, 1200), conditions)
    grid[0, 0].set(xlabel=look.target(study), ylabel='density')
    look.legend(drawing, grid[0, 0])
    return drawing


def table(study: FinishedStudy) -> pd.DataFrame:
    """Returns a row per training law.

    Columns: law, spec, conditions (how many are trained on it), targets (how many of its targets
    are in the validation splits), mean, std, low, high (of those targets), source.
    """
    trained = [condition.train.spec for condition in study.conditions.values()]
    rows = []
    for spec, name in laws(study, list(study.conditions)).items():
        targets = validation_targets(study, name).astype(np.float64)
        seen = targets if targets.size else np.full(1, np.nan)
        rows.append(
            {
                'law': study.conditions[name].train.label,
                'spec': spec,
                'conditions': trained.count(spec),
                'targets': targets.size,
                'mean': seen.mean(),
                'std': seen.std(ddof=1) if targets.size > 1 else np.nan,
                'low': seen.min(),
                'high': seen.max(),
                'source': f'predictions.npz: validation_target of condition={name}',
            }
        )
    return pd.DataFrame(rows)


def measures(study: FinishedStudy, condition: str, test: Distribution) -> Imbalance | None:
    """Returns a training law's imbalance, as written down or from the laws, if these are known."""
    for header in study.headers:
        try:
            return Imbalance.from_plain(header['conditions'][condition]['imbalance'][test.name])
        except (KeyError, TypeError, ValueError, OverflowError):
            continue  # of before there were measures, or no measures at all
    source = kept_tables.source(study.folders)
    try:
        train = target_laws.parse(study.conditions[condition].train.spec, source)
        return imbalance(train, target_laws.parse(test.spec, source))
    except ValueError:
        return None


def side(study: FinishedStudy, condition: str, test: Distribution) -> str:
    """Returns where a training law lacks targets of a test law: such as 'above' or 'inside'.

    '' where it lacks none, and where the laws are not known.
    """
    source = kept_tables.source(study.folders)
    try:
        train = target_laws.parse(study.conditions[condition].train.spec, source)
        wanted = target_laws.parse(test.spec, source)
    except ValueError:
        return ''
    found = measures(study, condition, test)
    below, up_to = map(float, wanted.cdf(np.array(train.support)))
    above = 1 - up_to
    inside = (found.missing_share if found else 0.0) - below - above
    parts = {'below': below, 'inside': inside, 'above': above}
    return ' and '.join(name for name, share in parts.items() if share > _LEAST_MISSING)


def imbalance_table(study: FinishedStudy) -> Table:
    """Returns the measures of imbalance of each training law against each test law."""
    unknown = Imbalance(math.nan, math.nan, math.nan, math.nan)
    rows = [
        {
            'law': study.conditions[name].train.label,
            'test': test.label,
            **dataclasses.asdict(measures(study, name, test) or unknown),
        }
        for name in laws(study, list(study.conditions)).values()
        for test in study.test_distributions.values()
    ]

    def source(row: dict[str, Any]) -> str:
        return 'config.json: conditions and test_distributions'

    columns = [
        Column('law', 'trained on'),
        Column('test', 'tested on'),
        Column('wasserstein', '1-Wasserstein distance', formats.NUMBER, source),
        Column('kullback_leibler', 'Kullback–Leibler (nats)', _OR_INFINITE, source),
        Column('missing_share', 'missing share', _PERCENT, source),
        Column('effective_share', 'effective sample size share', _PERCENT, source),
    ]
    frame = pd.DataFrame(rows)
    notes = [
        '1-Wasserstein distance: how far targets of the training law must be moved on average to '
        'be those of the test law, in units of the target. Kullback–Leibler: the divergence of the '
        'test law from the training law, infinite where some test targets, however few, lie where '
        'no training target can. Missing share: that of those test targets. Effective sample size '
        'share: how many training targets, of all, count when they are weighted as the test law '
        'has them, over the range that both have (0 where the variance of the weights is infinite).'
    ]
    if frame['bins'].notna().any():
        notes.append(
            'A table of targets is compared as a histogram, in bins that are equally likely under '
            'the test law; tables/imbalance.csv has their number.'
        )
    return Table('imbalance', 'How imbalanced that is', frame, columns, notes, evidence=True)


def _build(study: FinishedStudy) -> Content:
    frame = table(study)
    every = list(laws(study, list(study.conditions)).values())
    shown = every[: look.MOST_CURVES]
    labels = look.law_labels(study)
    caption = (
        'Density of the generating values of each training distribution (config.json; where that '
        'names a file, a histogram of the validation targets).'
        + only(len(shown), len(every), 'distributions')
        + canvas.shortened_sentence(
            (labels[c.train.spec], c.train.label) for c in map(study.conditions.__getitem__, shown)
        )
    )
    columns = [
        Column('law', 'trained on'),
        Column('spec', 'expression', formats.TEXT),
        Column('conditions', 'conditions', formats.COUNT, lambda row: 'config.json: conditions'),
        Column('targets', 'validation targets', formats.COUNT, 'source'),
        Column(('mean', 'std'), 'mean ± std', formats.SPREAD, 'source'),
        Column(('low', 'high'), 'range', formats.INTERVAL, 'source'),
    ]
    laws_, tests = list(frame['law']), [t.label for t in study.test_distributions.values()]
    several = f'{len(laws_):,} laws' if len(laws_) > 1 else 'one law'
    return Content(
        f'Trained on {several}: {listed(laws_)}; tested on '
        + (enumerated(tests) if len(tests) < 7 else listed(tests))
        + '.',
        [
            Table('targets', 'What the networks were trained on', frame, columns, evidence=True),
            imbalance_table(study),
        ],
        [
            look.figure(
                study, 'target_densities', 'Target densities', caption, lambda: draw(study, shown)
            )
        ],
    )


SECTION = Section('targets', 'Targets', lambda study: True, _build)
