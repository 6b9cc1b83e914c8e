"""A finished study as analysis knows it, and the questions that its numbers answer."""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis import remedy_names
from imbreg_jax.analysis.paper import printed
from imbreg_jax.study import naming
from imbreg_jax.study.config import flatten

BASELINE = 'random_guess'
# Predictors that are no network, so that a network that diverges leaves them as they are.
REFERENCES = (BASELINE, 'best_constant', 'linear_moments', 'floor')


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A target distribution: registry name, label to print, and canonical expression.

    Two are equal whatever they are called in print: one table may come from files of other names.
    """

    name: str
    label: str = dataclasses.field(compare=False)
    spec: str


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition: its name, the law it was trained on, and its settings.

    Attributes:
      name: as in `results.csv`.
      train: the training distribution.
      settings: dotted config field -> value, everything that shapes a training but the law.
    """

    name: str
    train: Distribution
    settings: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What to call the condition: the law's label, with the name where that says more."""
        return _title(self.name, self.train)


def _title(name: str, train: Distribution) -> str:
    """Returns what to call a condition: its law, with the name where that says more."""
    called = train.name, naming.slug(train.name)
    if name in (*called, train.spec, train.label):
        return train.label
    own = next((own for own in called if own in name), '')
    return name.replace(own, train.label) if own else f'{name} [{train.label}]'


def _shared_prefix(names: Sequence[str]) -> str:
    """Returns what all of several names begin with, up to a dash: what tells none from another."""
    if len(names) < 2:
        return ''
    shared = os.path.commonprefix(names)
    return shared[: shared.rfind('-') + 1]


@dataclasses.dataclass(frozen=True)
class Run:
    """Arrays of one trained network; n test images, v validation images, m dense ones.

    Attributes:
      test_generating: test distribution -> [n] generating values.
      test_target: test distribution -> [n] targets.
      test_prediction: test distribution -> [n] predictions, dropout off.
      dense_generating: [m] generating values of the dense set.
      dense_target: [m] targets of the dense set, as the run's condition defines them.
      dense_prediction: [m] predictions.
      validation_target: [v] targets of the validation split.
      validation_prediction: [v] predictions.
      calibration_factor: the scale that fits the validation split best.
      moments: moment name -> value over training images; empty where none were recorded, and where
        they are not of what the network predicts.
    """

    test_generating: Mapping[str, np.ndarray]
    test_target: Mapping[str, np.ndarray]
    test_prediction: Mapping[str, np.ndarray]
    dense_generating: np.ndarray
    dense_target: np.ndarray
    dense_prediction: np.ndarray
    validation_target: np.ndarray
    validation_prediction: np.ndarray
    calibration_factor: float
    moments: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Variant:
    """Conditions that differ in nothing but the law of their training targets.

    Attributes:
      name: what sets the variant apart from the study's first one; '' for the first.
      conditions: training distribution name -> condition name.
    """

    name: str
    conditions: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Values:
    """What `results.csv` says of one condition, predictor, test distribution and metric: [n] each.

    Attributes:
      repeat: numbers of the repeats.
      value: the values.
      source: index of the workdir that each is from.
      line: its line there.
    """

    repeat: np.ndarray
    value: np.ndarray
    source: np.ndarray
    line: np.ndarray


@dataclasses.dataclass(frozen=True)
class FinishedStudy:
    """Everything that analysis knows.

    Attributes:
      sources: names of the workdirs, as they appear in source notes.
      headers: the parsed `config.json` of each workdir.
      results: rows of every `results.csv` with columns source (index into sources) and line.
      metrics: rows of every `metrics.jsonl` with columns source and line.
      conditions: by name, in order.
      test_distributions: by name, in order.
      runs: (condition, repeat) -> arrays.
      diverged: (condition, repeat) -> epoch.
      notes: sentences on what merging had to decide.
      folders: the workdirs themselves, for the tables of targets that they keep.
    """

    sources: tuple[str, ...]
    headers: tuple[Mapping[str, Any], ...]
    results: pd.DataFrame
    metrics: pd.DataFrame
    conditions: Mapping[str, Condition]
    test_distributions: Mapping[str, Distribution]
    runs: Mapping[tuple[str, int], Run]
    diverged: Mapping[tuple[str, int], int]
    notes: tuple[str, ...]
    _groups: Mapping[tuple[str, str, str, str], Values] = dataclasses.field(repr=False)
    folders: tuple[pathlib.Path, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config of the first workdir."""
        return self.headers[0]['config']

    def option(self, name: str, default: Any) -> Any:
        """Returns the config's `analysis.<name>`, or `default` for a config without it."""
        return self.config.get('analysis', {}).get(name, default)

    @functools.cached_property
    def predictors(self) -> tuple[str, ...]:
        """The networks' predictors that the results hold: cnn, and cnn_calibrated where present."""
        present = set(self.results['predictor'])
        return tuple(p for p in ('cnn', 'cnn_calibrated') if p in present)

    def repeats(self, condition: str) -> list[int]:
        """Returns the repeats of `condition` that count: trained and not diverged."""
        return list(self._repeats.get(condition, ()))

    @functools.cached_property
    def trained(self) -> list[str]:
        """The conditions that have repeats that count; of folds, data sets."""
        return [
            name
            for name in self.conditions
            if name in self._repeats and (not self.folds or self.data_sets(name))
        ]

    @functools.cached_property
    def titles(self) -> Mapping[str, str]:
        """Condition -> what to call it."""
        cut = len(_shared_prefix(list(self.conditions)))
        return {name: _title(name[cut:], c.train) for name, c in self.conditions.items()}

    @functools.cached_property
    def labels(self) -> Mapping[str, str]:
        """Test distribution -> what to call it."""
        return {name: law.label for name, law in self.test_distributions.items()}

    @functools.cached_property
    def remedy_labels(self) -> Mapping[str, str]:
        """Remedy -> what to call it; '' is none."""
        return remedy_names.labels(
            str(c.settings.get('remedy') or '') for c in self.conditions.values()
        )

    @functools.cached_property
    def _repeats(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for condition, repeat in sorted(set(self.runs) - set(self.diverged)):
            found.setdefault(condition, []).append(repeat)
        return found

    def values(self, predictor: str, condition: str, test: str, metric: str) -> pd.Series:
        """Returns one value per repeat, indexed by repeat; diverged runs are left out.

        Where repeats are the folds of data sets, one value per data set, indexed by its number.

        Args:
          predictor: 'cnn', 'cnn_calibrated', 'cnn_scaled' or one of `REFERENCES` (of the random
            guess the condition is '', or one that has guesses of its own: see `baseline`).
          condition: name of the condition.
          test: name of a test distribution, or 'all' for the mean over those of the paper (over all
            of the study's where it lacks one of them).
          metric: one of `evaluation.metrics`.
        """
        key = (predictor, condition, test, metric)
        if key not in self._series:
            self._series[key] = self._select(*key)
        return self._series[key]

    @functools.cached_property
    def memo(self) -> dict[Hashable, Any]:
        """What was made of the study and will be asked for again, such as by several sections."""
        return {}

    @functools.cached_property
    def _series(self) -> dict[tuple[str, str, str, str], pd.Series]:
        return {}

    def _select(self, predictor: str, condition: str, test: str, metric: str) -> pd.Series:
        if test == printed.ALL_TESTS:
            parts = [self.values(predictor, condition, t, metric) for t in self.averaged_tests()]
            shared, values = joint(parts)
            return pd.Series(values.mean(axis=0), index=shared)
        rows = self._groups.get((predictor, condition, test, metric))
        if rows is None:
            return pd.Series(dtype=float)
        kept = np.isfinite(rows.value)
        if predictor not in REFERENCES:
            kept &= [(condition, r) not in self.diverged for r in rows.repeat]
        repeat, value = rows.repeat[kept], rows.value[kept]
        order = np.argsort(repeat, kind='stable')
        return self.of_data_sets(pd.Series(value[order], index=repeat[order]))

    def learnt(self, condition: str, test: str, metric: str) -> bool:
        """Whether a condition's networks err less than the best constant for their targets.

        They count as having learnt where no such constant is known.
        """
        constant = self.values('best_constant', condition, test, metric)
        own = self.values('cnn', condition, test, metric)
        return not len(constant) or bool(own.mean() < constant.mean())

    @property
    def folds(self) -> int:
        """How many repeats share a data set in cross-validation; 0 where each has its own."""
        return int(self.config.get('data', {}).get('folds', 0))

    def of_data_sets(self, values: pd.Series) -> pd.Series:
        """Returns the mean over the folds of each data set, where repeats are folds.

        Folds are not independent, and no estimate of their variance is unbiased whatever the law
        (Bengio and Grandvalet, JMLR 2004); data sets are. One that lacks a fold is left out, as its
        mean would be of other images than another condition's.
        """
        if not self.folds:
            return values
        groups = values.groupby(values.index // self.folds)
        return groups.mean()[groups.size() == self.folds]

    def data_sets(self, condition: str) -> list[int]:
        """Returns what has values of `condition`: its repeats, or data sets with all folds."""
        repeats = self.repeats(condition)
        return list(self.of_data_sets(pd.Series(1.0, index=pd.Index(repeats, dtype=int))).index)

    def baseline(self, condition: str, test: str, metric: str) -> pd.Series:
        """Returns the random guess that the networks of `condition` are held against, by repeat.

        Its own where it has one (a condition whose targets are defined by themselves, or whose
        workdir guessed otherwise than those before it); else the one common to the study.
        """
        common = self.values(BASELINE, '', test, metric)
        if not self.baseline_condition(condition, test, metric):
            return common
        own = self.values(BASELINE, condition, test, metric)
        # Repeats of one condition may come from several workdirs.
        others = common[~common.index.isin(own.index)]
        return pd.concat([own, others]).sort_index() if len(others) else own

    def baseline_condition(self, condition: str, test: str, metric: str) -> str:
        """Returns under whose name `baseline` is kept: the condition's own, or '', the common."""
        return condition if (BASELINE, condition, test, metric) in self._groups else ''

    def averaged_tests(self) -> list[str]:
        """Returns the test distributions that an average over 'all' means."""
        papers = self.averages_as_the_paper()
        return list(printed.TEST_DISTRIBUTIONS if papers else self.test_distributions)

    def averages_as_the_paper(self) -> bool:
        """Whether an average over 'all' is over the test distributions of the paper."""
        return {*printed.TEST_DISTRIBUTIONS} <= self.test_distributions.keys()

    def source(self, predictor: str, condition: str, test: str, metric: str) -> str:
        """Returns where a number comes from: file, lines and the rows to filter for."""
        tests = self.averaged_tests() if test == printed.ALL_TESTS else [test]
        held = (self._groups.get((predictor, condition, t, metric)) for t in tests)
        lines: dict[int, list[int]] = {}
        for rows in filter(None, held):
            for source, line in zip(rows.source.tolist(), rows.line.tolist(), strict=True):
                lines.setdefault(source, []).append(line)
        if not lines:
            return ''
        folders = [f'{name}/' for name in self.sources] if len(self.sources) > 1 else ['']
        places = [
            f'{folders[source]}results.csv lines {min(own)}–{max(own)}'
            for source, own in sorted(lines.items())
        ]
        named = f'condition={condition}, ' if condition else ''
        return (
            f'{" and ".join(places)} ({sum(map(len, lines.values()))} rows: {named}'
            f'predictor={predictor}, test_distribution={" and ".join(tests)}, metric={metric})'
        )

    def variants(self) -> list[Variant]:
        """Returns the groups of conditions that share all settings but the training law."""
        groups: dict[str, dict[str, str]] = {}
        settings: dict[str, Mapping[str, Any]] = {}
        for condition in self.conditions.values():
            key = settings_key(condition.settings)
            # Two conditions alike in everything, name aside, are kept apart.
            while condition.train.name in groups.get(key, {}):
                key += ' '
            groups.setdefault(key, {})[condition.train.name] = condition.name
            settings[key] = condition.settings
        found: list[Variant] = []
        first = next(iter(settings.values()), {})
        for key, members in groups.items():
            changed = [
                f'{field} = {self._shown(field, value)}'
                for field, value in settings[key].items()
                if first.get(field) != value
            ]
            name = ', '.join(changed) or ('' if not found else ', '.join(members.values()))
            found.append(Variant(name, members))
        return found

    def _shown(self, field: str, value: Any) -> str:
        return self.remedy_labels[str(value or '')] if field == 'remedy' else show(value)

    def departures(self) -> list[str]:
        """Says each setting in which the study's first variant leaves the paper."""
        own = {**flatten(self.config), **next(iter(self.conditions.values())).settings}
        return [
            f'{field} is {show(own[field])}; the paper has {show(value)}'
            for field, value in printed.SETTINGS.items()
            if own.get(field, value) != value
        ]


def joint(columns: Sequence[pd.Series]) -> tuple[pd.Index, np.ndarray]:
    """Returns the repeats that all of k series have, [n], and their values there, [k, n]."""
    shared = columns[0].index
    if not all(shared.equals(column.index) for column in columns[1:]):
        for column in columns[1:]:
            shared = shared.intersection(column.index)
        columns = [column.loc[shared] for column in columns]
    return shared, np.stack([column.to_numpy(float) for column in columns])


def settings_key(settings: Mapping[str, Any]) -> str:
    """Returns the same text for the same settings, in whatever order."""
    return json.dumps(settings, sort_keys=True)


def show(value: Any) -> str:
    """Returns a setting as text."""
    if isinstance(value, float):
        # 7.5e-06, not the 7.499999999999999e-06 that a product of settings may be.
        value = float(f'{value:.12g}')
    return value if isinstance(value, str) else json.dumps(value)
