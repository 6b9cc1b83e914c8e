"""A study in a few lines, where there is no page: a small table, and what is answered."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from imbreg_jax.analysis import comparison, formats
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.paper import printed
from imbreg_jax.analysis.section import Column, Content, Table

# Of more conditions those with the least and with the greatest errors are shown.
MOST_CONDITIONS = 8
# What the small table says already, or how it comes about; on the page.
_LEFT_OUT = frozenset(
    {
        'results',
        'references',
        'comparisons',
        'paper',
        'error-curve',
        'decomposition',
        'shrinkage',
        'learning-curves',
        'targets',
        'network',
        'provenance',
    }
)
_RATIO = formats.Kind(
    'number',
    lambda effect, low, high: (
        formats.NOTHING
        if np.isnan(effect)
        else f'{number(effect, 3)} ({number(low, 3)} to {number(high, 3)})'
    ),
)


@dataclasses.dataclass(frozen=True)
class Answer:
    """A sentence and its verdicts.

    Attributes:
      sentence: a claim, or what a section says.
      verdicts: (what it is of, such as 'MSE'; the verdict), where the sentence is a claim. It is of
        '' where there is one verdict on everything.
    """

    sentence: str
    verdicts: Sequence[tuple[str, str]] = ()


@dataclasses.dataclass(frozen=True)
class Summary:
    """What is to be known of a study first.

    Attributes:
      table: a row per condition, and the random guess; None of a study without a results section.
      answers: what is to be known before, then the paper's claims, then what sections answer, then
        the claims under other settings.
    """

    table: Table | None
    answers: Sequence[Answer]


def summary(study: FinishedStudy, contents: Mapping[str, Content], whole: bool = False) -> Summary:
    """Returns the summary of a study.

    Args:
      study: the study.
      contents: section -> what it says, as `reporting.contents_of` has them.
      whole: whether the table is that of all results, and every section is heard.
    """
    left_out = () if whole else _LEFT_OUT
    answers = [
        Answer(content.headline) for name, content in contents.items() if name not in left_out
    ]
    # Warnings go before everything.
    first = int('warnings' in contents)
    claims, of_others = _claims(_frame(contents, 'paper', 'verdicts'))
    answers = [*answers[:first], *claims, *answers[first:], *of_others]
    if whole:
        results = contents['results'].tables if 'results' in contents else ()
        return Summary(next(iter(results), None), answers)
    return Summary(_table(study, contents), answers)


def _frame(contents: Mapping[str, Content], section: str, name: str) -> pd.DataFrame | None:
    """Returns a section's table as a frame, or None where there is none."""
    tables = contents[section].tables if section in contents else ()
    return next((table.frame for table in tables if table.name == name), None)


def _claims(verdicts: pd.DataFrame | None) -> tuple[list[Answer], list[Answer]]:
    """Returns the paper's claims under a study's first settings, and those under others."""
    found: tuple[list[Answer], list[Answer]] = [], []
    if verdicts is None:
        return found
    own = verdicts[verdicts['predictor'] == 'cnn'].sort_values(['variant', 'claim'], kind='stable')
    for (variant, _), rows in own.groupby(['variant', 'claim'], sort=False):
        given = dict(zip(rows['metric'], rows['status'], strict=True))
        # The rows are in the order of what is remarkable.
        each = [(comparison.METRIC_NAMES[m], given[m]) for m in printed.METRICS if m in given]
        same = len({status for _, status in each}) == 1
        of = f' ({variant})' if variant else ''
        sentence = f'{rows["statement"].iloc[0].rstrip(".")}{of}.'
        found[bool(variant)].append(Answer(sentence, [('', each[0][1])] if same else each))
    return found


def _table(study: FinishedStudy, contents: Mapping[str, Content]) -> Table | None:
    frame = _frame(contents, 'results', 'results')
    if frame is None or not len(frame):
        return None
    test = next(iter(study.test_distributions))
    frame = frame[frame['test_distribution'] == test]
    networks = frame[frame['predictor'] == 'cnn']
    guess = frame[(frame['predictor'] == 'random_guess') & (frame['condition'] == '')]
    title = f'Tested on {study.labels[test]}, mean ± standard deviation of {_repeats(networks)}'
    if len(networks) > MOST_CONDITIONS:
        half = MOST_CONDITIONS // 2
        title += f'; of {len(networks):,} conditions the {half} with the least and the greatest MSE'
        ordered = networks.sort_values('mse_mean', kind='stable')
        networks = pd.concat([ordered.head(half), ordered.tail(half)])
    shown, compared = _compared(study, contents, networks, test)
    titles = _short_titles(study)
    named = formats.Kind('label', lambda name: titles.get(name, 'random guess'))
    # The last ones are left out where a terminal is narrow.
    columns = [
        Column('condition', 'trained on', named),
        Column(('mse_mean', 'mse_std'), 'MSE', formats.SPREAD),
        *compared,
        Column(('mape_mean', 'mape_std'), 'MAPE %', formats.SPREAD),
    ]
    return Table('summary', title, pd.concat([shown, guess], ignore_index=True), columns)


def _short_titles(study: FinishedStudy) -> Mapping[str, str]:
    """Returns condition -> its title, without its law where every condition has its own name."""
    laws = {name: f' [{c.train.label}]' for name, c in study.conditions.items()}
    named = all(title.endswith(laws[name]) for name, title in study.titles.items())
    cut = {name: title.removesuffix(laws[name]) for name, title in study.titles.items()}
    return cut if named else study.titles


def _repeats(networks: pd.DataFrame) -> str:
    least, most = networks['repeats'].min(), networks['repeats'].max()
    if least == most:
        return f'{most:,} repeat{"" if most == 1 else "s"}'
    return f'{least:,} to {most:,} repeats'


def _compared(
    study: FinishedStudy, contents: Mapping[str, Content], networks: pd.DataFrame, test: str
) -> tuple[pd.DataFrame, list[Column]]:
    """Adds to rows of networks what each is held against first, and returns the columns of that."""
    frame = _frame(contents, 'comparisons', 'comparisons')
    if frame is None:
        return networks, []
    own = frame[(frame['metric'] == 'mse') & (frame['test_distribution'] == test)]
    own = own.drop_duplicates('first').set_index('first')
    if not len(own):
        return networks, []
    joined = networks.join(own[['second', 'effect', 'low', 'high', 'answer']], on='condition')
    titles = _short_titles(study)
    seconds = [titles[name] for name in own['second'].unique()]
    to = formats.Kind('label', lambda name: titles.get(name, formats.NOTHING))
    several = len(seconds) > 1
    heading = 'ratio' if several else f'ratio to {formats.shorten(seconds[0], 24)}'
    columns = [
        Column(('effect', 'low', 'high'), heading, _RATIO),
        Column('answer', 'verdict', formats.Kind('status', _first_word)),
    ]
    return joined, [*columns, Column('second', 'ratio to', to)] if several else columns


def _first_word(verdict: object) -> str:
    """Returns 'same' for 'same within the margin', and that there is none where there is none."""
    return verdict.split(' ')[0] if isinstance(verdict, str) else formats.NOTHING
