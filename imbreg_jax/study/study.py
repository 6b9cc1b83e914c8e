"""A study as plain data: conditions × repeats → runs, resolved from a config.

What of a condition makes another program, what is data to one and what determines results is
derived from the roles of the fields; see `fields.Role`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Self, TypeAlias

import ml_collections
import numpy as np

from imbreg_jax.study import config as config_lib
from imbreg_jax.study import imbalance as imbalance_lib
from imbreg_jax.study import laws, naming
from imbreg_jax.study.architecture import Architecture
from imbreg_jax.study.fields import CODE, DIAL, Parse, as_number, looked_up
from imbreg_jax.study.settings import (
    CONDITION_SECTIONS,
    FIELDS,
    OVERRIDABLE,
    ComputeSettings,
    DataSettings,
    EvaluationSettings,
    ModelSettings,
    TaskSettings,
    TrainingSettings,
    as_trained,
    determines_results,
    of_role,
    remedy_of,
    section_of,
)


@dataclasses.dataclass(frozen=True)
class Condition:
    """One setting of everything but the repeat.

    Attributes:
        name: what it is called.
        distribution: the law of its training targets.
        remedy: its method against imbalance, a `training.remedy.Remedy`.
        task, data, model, training: the sections of its config, with what its remedy sets in them.
    """

    name: str
    distribution: laws.Distribution
    remedy: Any
    task: TaskSettings
    data: DataSettings
    model: ModelSettings
    training: TrainingSettings

    def value(self, field: str) -> Any:
        """The value of a dotted field of the condition's sections."""
        section, _, leaf = field.partition('.')
        return getattr(getattr(self, section), leaf)

    def program_key(self) -> tuple[Any, ...]:
        """What of the condition changes shapes or code; the rest is data to a compiled program.

        Targets and dials, such as learning rate and dropout rates, are data: conditions that differ
        in these alone share one compilation.
        """
        code = [self.value(field) for field in of_role(CODE) if '.' in field]
        return (*code, self.remedy.code)

    def dials(self) -> dict[str, float]:
        """The numbers that are data to a program, by dotted field."""
        return {field: as_number(FIELDS[field], self.value(field)) for field in of_role(DIAL)}

    @property
    def architecture(self) -> Architecture:
        """Its network's shapes on its images."""
        task = looked_up(FIELDS['task.name'].of.registry)[self.task.name]
        return self.model.architecture(self.data.image_size, task.channels, self.remedy.outputs)

    @property
    def steps_per_epoch(self) -> int:
        """Training steps in an epoch; images that fill no batch are left out of it."""
        return self.data.train_size // self.training.batch_size

    @property
    def steps(self) -> int:
        """Training steps of a run."""
        return self.training.epochs * self.steps_per_epoch

    @property
    def images(self) -> int:
        """Image passes that a run learns from, of each view; a pass that only looks is none."""
        return self.steps * self.training.batch_size * self.remedy.views


class Run(NamedTuple):
    """One trained network.

    Attributes:
        condition_index: its condition's place in the study.
        repeat: its repeat's number.
        member: its number in the ensemble of its condition and repeat; 0 where that is one network.
    """

    condition_index: int
    repeat: int
    member: int = 0

    @property
    def result(self) -> tuple[int, int]:
        """Condition and repeat: whose result the network is, or is a part of."""
        return self.condition_index, self.repeat


@dataclasses.dataclass(frozen=True)
class Study:
    """One config, resolved.

    Attributes:
        name: the study's name.
        seed: the root of every random number.
        repeats: the repeats' numbers; repeat k is the same wherever it runs.
        conditions: what is compared.
        test_distributions: one test split for each.
        evaluation, compute: settings that all conditions share.
        resolved: the whole config as plain nested dicts and lists, ready for JSON; `resolve` makes
            an equal study from it, `restore` one without opening the files of tables.
        part: the runs of a shard, in the order of `runs`, which are then these alone; see `shards`.
    """

    name: str
    seed: int
    repeats: tuple[int, ...]
    conditions: tuple[Condition, ...]
    test_distributions: tuple[laws.Distribution, ...]
    evaluation: EvaluationSettings
    compute: ComputeSettings
    resolved: dict[str, Any] = dataclasses.field(repr=False, compare=False)
    part: tuple[Run, ...] | None = None

    @functools.cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run, condition-major, members of an ensemble one after the other."""
        if self.part is not None:
            return self.part
        return tuple(
            Run(index, repeat, member)
            for index, condition in enumerate(self.conditions)
            for repeat in self.repeats
            for member in range(condition.remedy.members)
        )

    @property
    def results(self) -> tuple[tuple[int, int], ...]:
        """What there are results of, condition-major: condition's place and repeat of each."""
        return tuple(dict.fromkeys(run.result for run in self.runs))

    def runs_of(self, program: int) -> list[Run]:
        """The runs of a program, repeat-major, and in a repeat those of a law one after the other.

        So those come together that may share what lies on their device.
        """
        group = self.programs()[program]
        laws = [self.conditions[index].distribution.identity for index in group]
        places = {law: place for place, law in enumerate(dict.fromkeys(laws))}
        together = sorted((places[law], i) for law, i in zip(laws, group, strict=True))
        runs = [
            Run(index, repeat, member)
            for repeat in self.repeats
            for _, index in together
            for member in range(self.conditions[index].remedy.members)
        ]
        return runs if self.part is None else [run for run in runs if run in self._own]

    @functools.cached_property
    def _own(self) -> frozenset[Run]:
        return frozenset(self.runs)

    def programs(self) -> tuple[tuple[int, ...], ...]:
        """The conditions (by their place) in groups that share one compilation."""
        return self._programs

    @functools.cached_property
    def _programs(self) -> tuple[tuple[int, ...], ...]:
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, condition in enumerate(self.conditions):
            groups.setdefault(condition.program_key(), []).append(index)
        return tuple(map(tuple, groups.values()))

    @property
    def test_size(self) -> int:
        """Test images of a repeat, for each test distribution."""
        return self.conditions[0].data.test_size

    @property
    def cache(self) -> str:
        """Whether images are kept on the device: 'auto', 'always' or 'never'."""
        return self.conditions[0].data.cache

    @functools.cached_property
    def varied(self) -> tuple[str, ...]:
        """The dotted fields in which conditions differ, but for the law and its remedy."""
        fields = [field for field in OVERRIDABLE if '.' in field]
        return tuple(
            field for field in fields if len({c.value(field) for c in self.conditions}) > 1
        )

    def condition(self, name: str) -> Condition:
        """The condition of that name; raises KeyError where there is none."""
        return {condition.name: condition for condition in self.conditions}[name]

    @property
    def tables(self) -> dict[str, np.ndarray]:
        """The values of the tables in its laws, by their SHA-256: sorted float64."""
        laws = [condition.distribution for condition in self.conditions]
        return {
            digest: values
            for law in (*laws, *self.test_distributions)
            for digest, values in law.tables.items()
        }

    @functools.cached_property
    def imbalance(self) -> dict[str, dict[str, Any]]:
        """Condition -> name of a test law -> its training law's measures of imbalance, for JSON."""
        trains = {condition.name: condition.distribution for condition in self.conditions}
        return imbalance_lib.of_laws(trains, self.test_distributions)

    @classmethod
    def from_config(
        cls,
        config: ml_collections.ConfigDict | Mapping[str, Any],
        source: laws.TableSource | None = None,
    ) -> Self:
        """The same as `resolve`."""
        parse = config_lib.parser(source)
        flat, conditions = config_lib.flat_conditions(config, parse)
        if not flat['name']:
            flat['name'] = naming.study_name(flat, conditions, parse)
            conditions = {
                name: {**fields, 'name': flat['name']} for name, fields in conditions.items()
            }
        if '' in conditions:
            conditions = {naming.condition_name(flat, parse): conditions['']}
        evaluation = section_of(flat, 'evaluation')
        most = max(fields['data.train_size'] for fields in conditions.values())
        return cls(
            name=flat['name'],
            seed=flat['seed'],
            repeats=tuple(range(flat['first_repeat'], flat['first_repeat'] + flat['repeats'])),
            conditions=tuple(
                Condition(
                    name=name,
                    distribution=parse(fields['train_distribution']),
                    remedy=remedy_of(fields),
                    **{
                        section: section_of(as_trained(fields), section)
                        for section in CONDITION_SECTIONS
                    },
                )
                for name, fields in conditions.items()
            ),
            test_distributions=tuple(map(parse, flat['test_distributions'])),
            evaluation=dataclasses.replace(
                evaluation, moment_images=min(evaluation.moment_images, most)
            ),
            compute=section_of(flat, 'compute'),
            resolved=_resolved(flat, conditions, parse),
        )


def _resolved(
    flat: dict[str, Any], conditions: dict[str, dict[str, Any]], parse: Parse
) -> dict[str, Any]:
    resolved = config_lib.nested(flat)
    changes = {
        name: config_lib.nested({key: value for key, value in fields.items() if value != flat[key]})
        for name, fields in conditions.items()
    }
    # An only condition that is called as it would be anyway needs no name.
    anyway = changes == {naming.condition_name(flat, parse): {}}
    resolved['conditions'] = {} if anyway else changes
    return resolved


def resolve(
    config: ml_collections.ConfigDict | Mapping[str, Any],
    source: laws.TableSource | None = None,
) -> Study:
    """Checks a config and makes its study.

    Args:
        config: a config, or its nested plain form (`Study.resolved`). The `config` of somebody
            else's `config.json` is for `restore`.
        source: where the values of tables come from; by default the files that the config names.

    Returns:
        The study.

    Raises:
        ConfigError: with one sentence, for a config that cannot work.
    """
    return Study.from_config(config, source)


def restore(held: Mapping[str, Any], source: laws.TableSource | None = None) -> Study:
    """The study of a workdir, as what was written down of it says.

    No file that it names is opened. An only condition is called as it was when its results were
    written, whatever it would be called today. A field that came later has its default, under which
    everything is as it was before.

    Args:
        held: the content of a `config.json`.
        source: where the values of tables come from; by default nowhere, and their laws are then
            not `known`.

    Returns:
        The study.

    Raises:
        ConfigError: with one sentence, for a config that cannot work.
        KeyError, TypeError, AttributeError: it is no such content.
    """
    config, named = held['config'], held.get('conditions') or {}
    if not config.get('conditions') and len(named) == 1:
        config = {**config, 'conditions': {name: {} for name in named}}
    config = config_lib.completed(config)
    return resolve(config, source or laws.nowhere)


def adopt(study: Study, held: Study) -> Study:
    """The study as it goes on in the workdir of a study that is the same (see `differences`).

    Args:
        study: what is asked for.
        held: what the workdir holds.

    Returns:
        The study; its only condition is called as the workdir's.
    """
    if len(study.conditions) != 1 or len(held.conditions) != 1:
        return study
    (condition,), (before,) = study.conditions, held.conditions
    if condition.name == before.name:
        return study
    # The law and the fields of an only condition may stand outside of `conditions` or within.
    changes: dict[str, Any] = next(iter(study.resolved['conditions'].values()), {})
    return dataclasses.replace(
        study,
        conditions=(dataclasses.replace(condition, name=before.name),),
        resolved={**study.resolved, 'conditions': {before.name: changes}},
    )


def identity(study: Study | ml_collections.ConfigDict | Mapping[str, Any]) -> dict[str, Any]:
    """The fields that determine results, ready for JSON.

    Two studies with the same identity end with the same numbers on the same machine and plan. Left
    out are the study's name, how it is analysed and how it is computed (`compute` except for the
    arithmetic, and `data.cache`, which does not change a value).

    Args:
        study: a study or its config.

    Returns:
        Nested plain dicts and lists; distributions as canonical expressions, tables in them as the
        SHA-256 of their values.

    Raises:
        ConfigError: for a config that cannot work.
    """
    study = study if isinstance(study, Study) else resolve(study)
    evaluation = dataclasses.asdict(study.evaluation)
    compute = {'matmul_precision': study.compute.matmul_precision}
    plain = {
        'seed': study.seed,
        'first_repeat': study.repeats[0],
        'repeats': len(study.repeats),
        'test_distributions': [law.identity for law in study.test_distributions],
        'conditions': {
            condition.name: {
                'train_distribution': condition.distribution.identity,
                'remedy': condition.remedy.spec,
                **{
                    section: _determining(section, getattr(condition, section))
                    for section in CONDITION_SECTIONS
                },
            }
            for condition in study.conditions
        },
        'evaluation': evaluation,
        'compute': compute,
    }
    return _listed(plain)


def _determining(section: str, settings: Any) -> dict[str, Any]:
    return {
        leaf: value
        for leaf, value in dataclasses.asdict(settings).items()
        if determines_results(f'{section}.{leaf}')
    }


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


_Configured: TypeAlias = Study | ml_collections.ConfigDict | Mapping[str, Any]


def differences(old: _Configured, new: _Configured) -> list[str]:
    """What differs between two studies in the fields that determine results.

    A field that changed alike in every condition is named once, without the conditions. That an
    only condition is called otherwise is no difference where its fields gave it both names, as this
    and earlier versions derive them.

    Args:
        old: a study or its config.
        new: another.

    Returns:
        Lines of the form 'field: old -> new'; none where the identities are equal.

    Raises:
        ConfigError: for a config that cannot work.
    """
    old, new = (study if isinstance(study, Study) else resolve(study) for study in (old, new))
    before, after = identity(old), identity(new)
    conditions_before, conditions_after = before.pop('conditions'), after.pop('conditions')
    lines = _lines(_flat(before), _flat(after))
    if len(conditions_before) == len(conditions_after) == 1:
        # The name of a lone condition mostly follows its distribution, and is then no news.
        ((old_name, old_fields),) = conditions_before.items()
        ((new_name, new_fields),) = conditions_after.items()
        changed = _lines(_flat(old_fields), _flat(new_fields))
        derived = _derived_names(new)
        if not changed and not {old_name, new_name} <= derived and old_name != new_name:
            changed = [f'conditions: {old_name} -> {new_name}']
        return changed + lines
    names = [name for name in conditions_before if name in conditions_after]
    for name in [*conditions_before, *(n for n in conditions_after if n not in names)]:
        if name not in names:
            present = name in conditions_before
            lines.append(
                f'conditions.{name}: ' + ('present -> absent' if present else 'absent -> present')
            )
    changes = {
        name: _lines(_flat(conditions_before[name]), _flat(conditions_after[name]))
        for name in names
    }
    common = [
        line
        for line in next(iter(changes.values()), [])
        if all(line in others for others in changes.values())
    ]
    lines = common + lines
    for name, changed in changes.items():
        lines += [f'conditions.{name}.{line}' for line in changed if line not in common]
    if list(conditions_before) != list(conditions_after) and not lines:
        lines.append(f'conditions: {", ".join(conditions_before)} -> {", ".join(conditions_after)}')
    return lines


def _derived_names(study: Study) -> set[str]:
    """What this version and earlier ones call an only condition that has no name."""
    (condition,) = study.conditions
    fields = {
        'train_distribution': condition.distribution.spec,
        'remedy': condition.remedy.spec,
    } | {
        f'{section}.{leaf}': value
        for section in CONDITION_SECTIONS
        for leaf, value in dataclasses.asdict(getattr(condition, section)).items()
    }
    law = condition.distribution
    return {naming.condition_name(fields, lambda _: law), naming.law_name(law)[:100]}


def _flat(values: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f'{prefix}{key}.')
        else:
            flat[prefix + key] = value
    return flat


def _lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [f'{key}: {before[key]} -> {after[key]}' for key in before if before[key] != after[key]]
