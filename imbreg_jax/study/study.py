"""A study as plain data: conditions × repeats → runs, resolved from a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import ml_collections
import numpy as np

from imbreg_jax.study import config as config_lib
from imbreg_jax.study import laws as distributions
from imbreg_jax.study import naming
from imbreg_jax.study.architecture import Architecture


@dataclasses.dataclass(frozen=True)
class TaskSettings:
    """Which statistic of the image is the target; fields as in the config."""

    name: str
    target: str
    ddof: int


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The images and the sizes of the splits; fields as in the config."""

    image_size: int
    train_size: int
    validation_size: int
    test_size: int
    cache: str


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The network; fields as in the config."""

    conv_features: tuple[int, int]
    kernel_size: int
    dense_features: int
    order: str
    conv_dropout_rate: float
    dense_dropout_rate: float
    conv_dropout: str
    initialization: str

    @property
    def folds(self) -> bool:
        """Whether pools are folded into the convolutions before them; a step costs 4 times less."""
        return self.order == 'pool_relu' and self.conv_dropout == 'channel'

    def architecture(self, image_size: int) -> Architecture:
        """The network's shapes on images of so many pixels along a side."""
        return Architecture(image_size, self.kernel_size, self.conv_features, self.dense_features)


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """The objective and the optimiser; fields as in the config."""

    objective: str
    learning_rate: float
    batch_size: int
    epochs: int
    adam_b1: float
    adam_b2: float
    adam_eps: float


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """What the trained networks are evaluated on; fields as in the config.

    `moment_images` is already cut to the number of training images.
    """

    batch_size: int
    dense_size: int
    dense_low: float
    dense_high: float
    guess_low: float
    guess_high: float
    moment_images: int
    moment_masks: int


@dataclasses.dataclass(frozen=True)
class ComputeSettings:
    """How the study is computed; fields as in the config."""

    matmul_precision: str
    require_accelerator: bool
    runs_per_program: int
    steps_per_chunk: int
    checkpoint_seconds: float
    checkpoints_kept: int
    compilation_cache: bool
    compilation_cache_dir: str
    profile: bool
    tensorboard: bool
    stop_signals: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Condition:
    """One setting of everything but the repeat."""

    name: str
    distribution: distributions.Distribution
    task: TaskSettings
    model: ModelSettings
    training: TrainingSettings

    def program_key(self) -> tuple[Any, ...]:
        """What of the condition changes shapes or code; the rest is data to a compiled program.

        Targets, learning rate and dropout rates are data: conditions that differ in these alone
        share one compilation.
        """
        model = dataclasses.replace(self.model, conv_dropout_rate=0.0, dense_dropout_rate=0.0)
        training = dataclasses.replace(self.training, learning_rate=0.0)
        return self.task.name, model, training


@dataclasses.dataclass(frozen=True)
class Run:
    """One trained network: a condition (by its place in the study) and a repeat's number."""

    condition_index: int
    repeat: int


@dataclasses.dataclass(frozen=True)
class Study:
    """One config, resolved.

    Attributes:
        name: the study's name.
        seed: the root of every random number.
        repeats: the repeats' numbers; repeat k is the same wherever it runs.
        conditions: what is compared.
        test_distributions: one test split for each.
        data, evaluation, compute: settings that all conditions share.
        resolved: the whole config as plain nested dicts and lists, ready for JSON; `resolve` makes
            an equal study from it, `restore` one without opening the files of tables.
    """

    name: str
    seed: int
    repeats: tuple[int, ...]
    conditions: tuple[Condition, ...]
    test_distributions: tuple[distributions.Distribution, ...]
    data: DataSettings
    evaluation: EvaluationSettings
    compute: ComputeSettings
    resolved: dict[str, Any] = dataclasses.field(repr=False, compare=False)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every run, condition-major."""
        return tuple(
            Run(index, repeat) for index in range(len(self.conditions)) for repeat in self.repeats
        )

    def programs(self) -> tuple[tuple[int, ...], ...]:
        """The conditions (by their place) in groups that share one compilation."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, condition in enumerate(self.conditions):
            groups.setdefault(condition.program_key(), []).append(index)
        return tuple(map(tuple, groups.values()))

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

    @classmethod
    def from_config(
        cls,
        config: ml_collections.ConfigDict | Mapping[str, Any],
        source: distributions.TableSource | None = None,
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
        evaluation = EvaluationSettings(**config_lib.fields_of(flat, 'evaluation'))
        return cls(
            name=flat['name'],
            seed=flat['seed'],
            repeats=tuple(range(flat['first_repeat'], flat['first_repeat'] + flat['repeats'])),
            conditions=tuple(
                Condition(
                    name=name,
                    distribution=parse(fields['train_distribution']),
                    task=TaskSettings(**config_lib.fields_of(fields, 'task')),
                    model=ModelSettings(**config_lib.fields_of(fields, 'model')),
                    training=TrainingSettings(**config_lib.fields_of(fields, 'training')),
                )
                for name, fields in conditions.items()
            ),
            test_distributions=tuple(map(parse, flat['test_distributions'])),
            data=DataSettings(**config_lib.fields_of(flat, 'data')),
            evaluation=dataclasses.replace(
                evaluation, moment_images=min(evaluation.moment_images, flat['data.train_size'])
            ),
            compute=ComputeSettings(**config_lib.fields_of(flat, 'compute')),
            resolved=_resolved(flat, conditions, parse),
        )


def _resolved(
    flat: dict[str, Any], conditions: dict[str, dict[str, Any]], parse: config_lib.Parse
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
    source: distributions.TableSource | None = None,
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


def restore(held: Mapping[str, Any], source: distributions.TableSource | None = None) -> Study:
    """The study of a workdir, as what was written down of it says.

    No file that it names is opened. An only condition is called as it was when its results were
    written, whatever it would be called today.

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
    return resolve(config, source or distributions.nowhere)


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
    data = dataclasses.asdict(study.data)
    del data['cache']
    plain = {
        'seed': study.seed,
        'first_repeat': study.repeats[0],
        'repeats': len(study.repeats),
        'test_distributions': [law.identity for law in study.test_distributions],
        'conditions': {
            condition.name: {
                'train_distribution': condition.distribution.identity,
                'task': dataclasses.asdict(condition.task),
                'model': dataclasses.asdict(condition.model),
                'training': dataclasses.asdict(condition.training),
            }
            for condition in study.conditions
        },
        'data': data,
        'evaluation': dataclasses.asdict(study.evaluation),
        'compute': {'matmul_precision': study.compute.matmul_precision},
    }
    return _listed(plain)


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
    fields = {'train_distribution': condition.distribution.spec} | {
        f'{section}.{leaf}': value
        for section in ('task', 'model', 'training')
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
