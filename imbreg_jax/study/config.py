"""The config: its fields, their defaults, and the one place for every rule about them.

`FIELDS` lists each field once with its default, its type, its range and what it means;
`default_config` and `validate` are made from it, so a new field needs a line there and no more.
Rules that tie several fields together follow below it, one function a rule.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import ml_collections
import numpy as np

from imbreg_jax.study import distributions, reading
from imbreg_jax.study.architecture import Architecture

MISSING = type('Missing', (), {'__repr__': lambda self: 'nothing'})()

_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}')
_NAME_RULE = (
    'must be 1 to 100 of the characters A-Z a-z 0-9 _ . - and start with none of . -, '
    'since files are named after it'
)
_LARGEST_SEED = 2**31 - 1
# The uniforms that targets are made from run from 2^-24 to 1 - 2^-24.
_LARGEST_UNIFORM = 1 - 2.0**-24
_MOST_NON_POSITIVE = 1e-6
_LARGEST_TARGET = 1e6
_MOST_CONDITIONS = 1000
_MOST_RUNS = 10**6
_MOST_TRAINED_IMAGES = 10**12
_MOST_PREDICTIONS = 2 * 10**9
_MOST_PARAMETERS = 10**8
_MOST_BATCH_VALUES = 2**31 - 1
_PAPER_PIXELS = 52 * 52


class ConfigError(ValueError):
    """A config that cannot work; its text is one sentence.

    Attributes:
        field: the dotted field, such as `training.learning_rate`, or a flag (`--config`).
        value: the value that was refused; `MISSING` where there is none.
        message: what would be right.
    """

    def __init__(self, field: str, value: Any, message: str):
        self.field = field
        self.value = value
        self.message = message
        name = field if field.startswith('-') or not field else f'config.{field}'
        name = name or 'the config'
        given = f'{name} is missing' if value is MISSING else f'{name} = {short_text(value)}'
        super().__init__(reading.printable(f'{given}: {message.rstrip(".")}.'))


class ConfigFileError(ConfigError):
    """A config file that makes no config; its text is one sentence.

    Attributes:
        field: '', since no field is at fault.
        value: the file's path.
        message: what would be right.
    """

    def __init__(self, path: str, message: str):
        super().__init__('', path, message)
        text = f'the config file {short_text(path)}: {message.rstrip(".")}.'
        self.args = (reading.printable(text),)


def short_text(value: Any) -> str:
    """A value for an error message: one line, never long."""
    try:
        text = ' '.join(repr(value).split())
    except ValueError:  # an int of more digits than Python converts
        text = f'too long a number ({type(value).__name__})'
    return text if len(text) <= 120 else text[:100] + '…'


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of the config.

    Attributes:
        default: its value in `default_config()`.
        kind: one of int, float, bool, str, name, distribution, distributions, ints, signals.
        meaning: what it sets, with its unit.
        choices: the values allowed, where they are few.
        low, high: the range of a number (for ints, of each).
        open_low, open_high: whether that end itself is left out.
        length: how many numbers ints has.
    """

    default: Any
    kind: str
    meaning: str
    choices: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    length: int = 0

    @property
    def rule(self) -> str:
        """What would be right, as the end of the sentence 'the field must be …'."""
        if self.choices:
            return f'one of {", ".join(map(repr, self.choices))}'
        low = f'{"above" if self.open_low else "at least"} {self.low:.10g}'
        high = f'{"below" if self.open_high else "at most"} {self.high:.10g}'
        return {
            'int': f'an integer, {low} and {high}',
            'float': f'a number, {low} and {high}',
            'bool': 'True or False',
            'str': 'a string of at most 4096 characters',
            'name': 'empty, or ' + _NAME_RULE.removeprefix('must be '),
            'ints': f'{self.length} integers, each {low} and {high}',
            'distribution': 'a target distribution: ' + distributions.usage(),
            'distributions': 'one or more target distributions, each once: '
            + distributions.usage(),
            'signals': f'any of {", ".join(STOP_SIGNALS)}, each once',
        }[self.kind]


# The signals that ask a process to stop or warn it that it will be stopped. Names, not numbers:
# the numbers differ between systems.
STOP_SIGNALS = (
    'SIGTERM',
    'SIGINT',
    'SIGHUP',
    'SIGQUIT',
    'SIGUSR1',
    'SIGUSR2',
    'SIGXCPU',
    'SIGALRM',
)


def _integer(default: int, low: int, high: int, meaning: str) -> Field:
    return Field(default, 'int', meaning, low=low, high=high)


def _choice(default: Any, choices: tuple[Any, ...], meaning: str) -> Field:
    kind = {bool: 'bool', int: 'int', str: 'str'}[type(default)]
    return Field(default, kind, meaning, choices=choices)


def _rate(default: float, meaning: str) -> Field:
    return Field(default, 'float', meaning, low=0.0, high=1.0, open_high=True)


def _positive(default: float, high: float, meaning: str) -> Field:
    return Field(default, 'float', meaning, low=0.0, high=high, open_low=True)


FIELDS: dict[str, Field] = {
    'name': Field(
        '',
        'name',
        'the study; the default workdir is workdirs/<name>, and overrides on the command line are '
        'added to it; empty: made from its law and all that departs from the defaults',
    ),
    'seed': _integer(0, 0, _LARGEST_SEED, 'the root of every random number'),
    'repeats': _integer(10, 1, 100_000, 'independent trainings of each condition'),
    'first_repeat': _integer(0, 0, _LARGEST_SEED, 'number of the first repeat'),
    'train_distribution': Field('u1_10', 'distribution', 'law of the training targets'),
    'test_distributions': Field(
        ('u1_10', 'u1_5', 'n5_5_1'), 'distributions', 'one test split for each'
    ),
    'task.name': _choice('std', ('std',), 'which statistic of the image is the target'),
    'task.target': _choice(
        'measured',
        ('measured', 'generating'),
        "the target: measured on the image's own pixels, or the generating value",
    ),
    'task.ddof': _choice(0, (0, 1), 'the measured standard deviation divides by pixels - ddof'),
    'data.image_size': _integer(52, 1, 512, 'pixels along each side'),
    'data.train_size': _integer(50_000, 1, 10**8, 'training images of a run'),
    'data.validation_size': _integer(5_000, 1, 10**8, 'validation images of a run'),
    'data.test_size': _integer(
        5_000, 1, 10**8, 'test images of a repeat, for each test distribution'
    ),
    'data.cache': _choice(
        'auto',
        ('auto', 'always', 'never'),
        'keep the training images on the device; the values are the same either way',
    ),
    'model.conv_features': Field(
        (10, 20), 'ints', 'output channels of the two convolutions', low=1, high=1024, length=2
    ),
    'model.kernel_size': _integer(5, 1, 63, 'pixels along each side of a convolution kernel'),
    'model.dense_features': _integer(50, 1, 100_000, 'hidden features of the dense layer'),
    'model.order': _choice(
        'pool_relu', ('pool_relu', 'relu_pool'), 'which comes first after a convolution'
    ),
    'model.conv_dropout_rate': _rate(0.5, 'dropout after the second convolution'),
    'model.dense_dropout_rate': _rate(0.5, 'dropout of the last hidden features'),
    'model.conv_dropout': _choice(
        'channel',
        ('channel', 'element'),
        'whether the convolution dropout drops whole channels or single values',
    ),
    'model.initialization': _choice(
        'pytorch', ('pytorch', 'flax'), 'whose default draws the initial weights'
    ),
    'training.objective': _choice('mse', ('mse',), 'the training loss'),
    'training.learning_rate': _positive(5e-7, 10.0, "Adam's step size"),
    'training.batch_size': _integer(50, 1, 10**8, 'training images of a step'),
    'training.epochs': _integer(15, 1, 100_000, 'passes over the training images'),
    'training.adam_b1': _rate(0.9, "decay of Adam's mean of the gradient"),
    'training.adam_b2': _rate(0.999, "decay of Adam's mean of the squared gradient"),
    'training.adam_eps': _positive(1e-8, 1.0, "added to Adam's denominator"),
    'evaluation.batch_size': _integer(
        250, 1, 10**6, 'images evaluated at a time; more than there are means all'
    ),
    'evaluation.dense_size': _integer(
        4000, 2, 10**7, 'images of the evaluation set with evenly spaced targets'
    ),
    'evaluation.dense_low': _positive(0.25, _LARGEST_TARGET, 'its least target'),
    'evaluation.dense_high': _positive(20.0, _LARGEST_TARGET, 'its greatest target'),
    'evaluation.guess_low': Field(
        1.0, 'float', 'least value that random_guess draws', low=0.0, high=_LARGEST_TARGET
    ),
    'evaluation.guess_high': _positive(
        10.0, _LARGEST_TARGET, 'end of the values that random_guess draws'
    ),
    'evaluation.moment_images': _integer(
        5000,
        1,
        10**8,
        'training images that feature moments are measured on; more than there are means all',
    ),
    'evaluation.moment_masks': _integer(8, 2, 10_000, 'dropout masks drawn for each of them'),
    'analysis.equivalence_margin': _positive(
        0.1, 10.0, "of the balanced condition's value: what 'costs little' may cost"
    ),
    'analysis.confidence': Field(
        0.95, 'float', 'coverage of the intervals', low=0.5, high=0.9999, open_low=True
    ),
    'analysis.bootstrap_resamples': _integer(9999, 99, 10**6, 'resamples of a bootstrap'),
    'analysis.seed': _integer(0, 0, _LARGEST_SEED, 'the root of the random numbers of analysis'),
    'analysis.reference': Field(
        '', 'str', "condition that others are compared with; '' means the balanced or first one"
    ),
    'compute.matmul_precision': _choice(
        'highest', ('default', 'high', 'highest'), 'arithmetic of matrix products'
    ),
    'compute.require_accelerator': _choice(
        False, (False, True), 'refuse to run where JAX finds a CPU only'
    ),
    'compute.runs_per_program': _integer(
        0,
        0,
        _MOST_RUNS,
        'runs trained at once, at least one repeat of the conditions that share a program; 0 means '
        'all that fit',
    ),
    'compute.steps_per_chunk': _integer(
        100, 1, 10**6, 'training steps between two looks at the clock'
    ),
    'compute.checkpoint_seconds': Field(
        30.0, 'float', 'least seconds between two checkpoints', low=0.0, high=10**7
    ),
    'compute.checkpoints_kept': _integer(2, 1, 1000, 'newest checkpoints kept'),
    'compute.compilation_cache': _choice(
        True, (False, True), 'keep compiled programs for the next start'
    ),
    'compute.compilation_cache_dir': Field(
        '', 'str', "folder of compiled programs; '' means the user's cache folder"
    ),
    'compute.profile': _choice(False, (False, True), 'write a profile of some steps'),
    'compute.tensorboard': _choice(True, (False, True), 'write TensorBoard scalars'),
    'compute.stop_signals': Field(
        ('SIGTERM', 'SIGINT'), 'signals', 'signals that save the state and end the job'
    ),
}

SECTIONS = tuple(dict.fromkeys(name.split('.')[0] for name in FIELDS if '.' in name))
OVERRIDABLE = tuple(
    name
    for name in FIELDS
    if name == 'train_distribution' or name.split('.')[0] in ('task', 'model', 'training')
)
# What people call fields after other packages.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    'training.learning_rate': ('lr', 'eta', 'alpha', 'step_size', 'stepsize'),
    'training.batch_size': ('bs', 'batch', 'batchsize', 'minibatch', 'minibatch_size'),
    'training.epochs': ('n_epochs', 'num_epochs', 'epoch', 'max_epochs', 'passes'),
    'training.objective': ('loss', 'loss_fn', 'criterion'),
    'training.adam_b1': ('b1', 'beta1', 'beta_1'),
    'training.adam_b2': ('b2', 'beta2', 'beta_2'),
    'training.adam_eps': ('eps', 'epsilon'),
    'model.conv_dropout_rate': ('dropout', 'dropout_rate', 'p_dropout', 'conv_drop'),
    'model.dense_dropout_rate': ('dropout', 'dropout_rate', 'p_dropout', 'dense_drop'),
    'model.conv_features': ('channels', 'filters', 'conv_channels'),
    'model.kernel_size': ('kernel', 'filter_size'),
    'model.dense_features': ('hidden', 'hidden_size', 'dense', 'units', 'width'),
    'model.initialization': ('init', 'initialisation', 'initializer'),
    'data.image_size': ('size', 'image', 'img_size', 'resolution', 'pixels'),
    'data.train_size': ('n_train', 'num_train', 'n', 'samples', 'n_samples', 'dataset_size'),
    'data.validation_size': ('n_val', 'val_size', 'n_validation'),
    'data.test_size': ('n_test', 'num_test'),
    'seed': ('random_seed', 'rng', 'random_state', 'key'),
    'repeats': ('n_repeats', 'num_repeats', 'runs', 'n_runs', 'seeds', 'n_seeds', 'replicates'),
    'train_distribution': ('distribution', 'law', 'target_distribution', 'train', 'targets'),
    'test_distributions': ('tests', 'test', 'test_laws', 'laws', 'distributions'),
    'compute.matmul_precision': ('precision', 'dtype'),
    'compute.require_accelerator': ('gpu', 'device', 'accelerator', 'tpu', 'cuda'),
    'task.name': ('task', 'statistic', 'target_statistic'),
    'analysis.confidence': ('confidence_level',),
    'analysis.equivalence_margin': ('margin',),
}


class _Config(ml_collections.ConfigDict):
    """A `ConfigDict` that takes numpy's numbers for Python's, as a config built from arrays has."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, _without_numpy(value))


def _without_numpy(value: Any) -> Any:
    """Python's numbers and strings for numpy's, also within lists and tuples."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(_without_numpy(item) for item in value)
    return value


def default_config() -> ml_collections.ConfigDict:
    """The paper's balanced condition, as a locked config.

    `name` is empty, which means a name made from the study's law and all that departs from the
    defaults, such as u1_10 or u1_10-epochs_30. `conditions` is empty, which means one condition,
    named likewise after its own fields. To compare several, set
    `config.conditions = {name: {field: value, …}, …}` with nested fields, such as
    {'relu_first': {'model': {'order': 'relu_pool'}}}.

    Returns:
        A locked `ConfigDict` with every field of `FIELDS`, and `conditions`.
    """
    nested: dict[str, Any] = {}
    for name, field in FIELDS.items():
        *section, leaf = name.split('.')
        holder = nested.setdefault(section[0], {}) if section else nested
        holder[leaf] = field.default
    config = _Config()
    for name, value in nested.items():
        config[name] = _Config(value) if isinstance(value, dict) else value
    config.conditions = _Config()
    return config.lock()


def validate(config: ml_collections.ConfigDict | Mapping[str, Any]) -> None:
    """Checks every rule.

    Args:
        config: a config, or its nested plain form.

    Raises:
        ConfigError: for the first field that cannot work, with one sentence.
    """
    flat_conditions(config, parser())


# Makes a distribution of an expression that has been checked, or raises ValueError.
Parse: TypeAlias = Callable[[str], distributions.Distribution]


def parser(source: distributions.TableSource | None = None) -> Parse:
    """`distributions.parse` with this source of tables, which parses each expression once."""
    return functools.cache(lambda spec: distributions.parse(spec, source))


def flat_conditions(
    config: ml_collections.ConfigDict | Mapping[str, Any], parse: Parse
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Checks a config and takes it apart.

    Args:
        config: a config, or its nested plain form.
        parse: makes distributions, as `parser` does.

    Returns:
        The dotted fields of the config as plain Python values; and for each condition's name the
        same with that condition's overrides. A name may be empty: that of the study as of the only
        condition, which `naming` then makes.

    Raises:
        ConfigError: for the first field that cannot work, with one sentence.
    """
    values = plain(config)
    overrides = values.pop('conditions', {})
    flat = _checked_fields(values, parse)
    conditions = _checked_conditions(flat, overrides, parse)
    _check_study(flat, len(conditions))
    _check_reference(flat['analysis.reference'], conditions)
    for name, fields in conditions.items():
        named = {key: f'conditions.{name}.{key}' for key in fields if fields[key] != flat[key]}
        _check_condition(fields, named)
    _check_work(flat, conditions)
    return flat, conditions


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested form of dotted fields, with lists for tuples, as JSON has it."""
    result: dict[str, Any] = {}
    for name, value in flat.items():
        *section, leaf = name.split('.')
        holder = result.setdefault(section[0], {}) if section else result
        holder[leaf] = list(value) if isinstance(value, tuple) else value
    return result


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` most likely stands for, or None.

    A last part that is right (`learning_rate` for `training.learning_rate`) counts as near.
    """
    names = list(known)
    leaf = name.rsplit('.', 1)[-1]
    ending = [other for other in names if other.rsplit('.', 1)[-1] == leaf]
    if len(ending) == 1:
        return ending[0]
    close = difflib.get_close_matches(name, ending or names, n=1, cutoff=0.6)
    if not close and not ending:
        leaves = {other.rsplit('.', 1)[-1]: other for other in reversed(names)}
        near_leaf = difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.7)
        close = [leaves[near_leaf[0]]] if near_leaf else []
    return next(iter(close or ending), None)


def suggestions(field: str, known: Iterable[str]) -> list[str]:
    """The known fields that a field that does not exist may stand for, best first."""
    names = list(known)
    leaf = field.rsplit('.', 1)[-1].lower().replace('-', '_')
    if leaf in names:
        return [leaf]  # one of the whole study, looked for in a section
    synonyms = [name for name, others in _SYNONYMS.items() if leaf in others and name in names]
    near = nearest(field, names)
    # A field that is right but for its section or case is meant, whatever others call so.
    if near is not None and near.rsplit('.', 1)[-1] == leaf:
        return [near]
    return synonyms or ([] if near is None else [near])


def hint(field: str, known: Iterable[str]) -> str:
    """What to say of a field that does not exist, as the end of a sentence."""
    names = list(known)
    if near := suggestions(field, names):
        return f'did you mean {" or ".join(near)}'
    section = field.split('.')[0]
    within = [name for name in names if '.' in field and name.startswith(f'{section}.')]
    if within:
        return f'the fields of {section} are {", ".join(within)}'
    alone = [name for name in names if '.' not in name]
    sections = dict.fromkeys(name.split('.')[0] for name in names if '.' in name)
    return f'known are {", ".join(alone)} and the fields of {", ".join(sections)}'


def unknown_field(field: str, value: Any, known: Iterable[str], prefix: str = '') -> ConfigError:
    """The error for a field that does not exist, with the nearest one that does."""
    return ConfigError(prefix + field, value, f'there is no such field; {hint(field, known)}')


def plain(config: Any) -> dict[str, Any]:
    """Nested dicts for nested configs; other values as they are.

    Raises:
        ConfigError: it is no config.
    """
    if isinstance(config, ml_collections.ConfigDict):
        # Conditions keep the order in which they are written. A dict that is assigned to a field
        # becomes a ConfigDict that sorts by name in all its public views, and only _fields does
        # not; without it the names come sorted, which changes an order and no number.
        config = {key: config[key] for key in getattr(config, '_fields', config.keys())}
    if not isinstance(config, Mapping):
        raise ConfigError(
            '', config, 'must be what imbreg_jax.study.default_config() returns, changed'
        )
    return {
        key: plain(value) if isinstance(value, Mapping | ml_collections.ConfigDict) else value
        for key, value in config.items()
    }


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted fields of a nested mapping; sections stay whole where they hold no mapping.

    Raises:
        ConfigError: the name of a field is no string.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise ConfigError(short_text(key), value, 'the name of a field must be a string')
        if isinstance(value, Mapping) and value:
            flat |= {f'{key}.{leaf}': inner for leaf, inner in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def _checked_fields(values: Mapping[str, Any], parse: Parse) -> dict[str, Any]:
    for section in SECTIONS:
        if section not in values:
            raise ConfigError(section, MISSING, f'it needs {", ".join(_leaves(section))}')
        if not isinstance(values[section], Mapping):
            raise ConfigError(
                section,
                values[section],
                f'it must be a section with the fields {", ".join(_leaves(section))}',
            )
    # An empty section stays out, so that what is missing in it is named.
    flat = flatten(
        {
            key: value
            for key, value in values.items()
            if not (key in SECTIONS and isinstance(value, Mapping) and not value)
        }
    )
    for key, value in flat.items():
        if key not in FIELDS:
            raise unknown_field(key, value, FIELDS)
    for key, field in FIELDS.items():
        if key not in flat:
            raise ConfigError(key, MISSING, f'it must be {field.rule}')
    return {key: _checked(key, flat[key], field, parse) for key, field in FIELDS.items()}


def _leaves(section: str) -> list[str]:
    return [name.split('.')[1] for name in FIELDS if name.startswith(section + '.')]


def _checked_conditions(
    flat: dict[str, Any], overrides: Any, parse: Parse
) -> dict[str, dict[str, Any]]:
    if not isinstance(overrides, Mapping):
        raise ConfigError(
            'conditions',
            overrides,
            "it must map each condition's name to the fields that it changes, such as "
            "{'u1_5': {'train_distribution': 'u1_5'}}",
        )
    if not overrides:
        return {'': dict(flat)}
    if len(overrides) > _MOST_CONDITIONS:
        raise ConfigError('conditions', len(overrides), f'a study has at most {_MOST_CONDITIONS}')
    conditions: dict[str, dict[str, Any]] = {}
    for name, changes in overrides.items():
        where = f'conditions.{name}'
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ConfigError('conditions', name, f'the name of a condition {_NAME_RULE}')
        if not isinstance(changes, Mapping):
            raise ConfigError(
                where,
                changes,
                'it must hold the fields that it changes, such as '
                "{'train_distribution': 'u1_5'}, or {} for none",
            )
        fields = dict(flat)
        for key, value in flatten(changes).items():
            if key in FIELDS and key not in OVERRIDABLE:
                raise ConfigError(
                    f'{where}.{key}',
                    value,
                    'a condition may change train_distribution and the fields of task, model and '
                    'training only; this one holds for the whole study',
                )
            if key not in OVERRIDABLE:
                if key in SECTIONS and value == {}:
                    continue
                raise unknown_field(key, value, OVERRIDABLE, prefix=f'{where}.')
            fields[key] = _checked(f'{where}.{key}', value, FIELDS[key], parse)
        for other, others in conditions.items():
            if others == fields:
                raise ConfigError(
                    where, changes, f'it must differ from the condition {other} in some field'
                )
        conditions[name] = fields
    return conditions


def _checked(name: str, value: Any, field: Field, parse: Parse) -> Any:
    """The value as a plain Python one, or ConfigError."""
    if field.kind == 'distribution':
        converted = _to_distribution(name, value, parse)
    elif field.kind == 'distributions':
        converted = _to_distributions(name, value, parse)
    else:
        converted = _CONVERTERS[field.kind](name, value, field)
    if converted is MISSING:
        raise ConfigError(name, value, f'it must be {field.rule}')
    if field.choices and converted not in field.choices:
        near = (
            difflib.get_close_matches(value, field.choices, n=1) if isinstance(value, str) else []
        )
        if near:
            raise ConfigError(name, value, f'it must be {field.rule}; did you mean {near[0]!r}')
        raise ConfigError(name, value, f'it must be {field.rule}')
    return converted


def _in_range(value: float, field: Field) -> bool:
    above = value > field.low if field.open_low else value >= field.low
    below = value < field.high if field.open_high else value <= field.high
    return above and below


def _to_int(name: str, value: Any, field: Field) -> Any:
    del name
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return MISSING
    return int(value) if _in_range(value, field) else MISSING  # type: ignore[arg-type]


def _to_float(name: str, value: Any, field: Field) -> Any:
    del name
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return MISSING
    # NaN and infinities fail the comparisons, and an int too large for a float never reaches it.
    return float(value) if _in_range(value, field) else MISSING  # type: ignore[arg-type]


def _to_bool(name: str, value: Any, field: Field) -> Any:
    del name, field
    return bool(value) if isinstance(value, bool | np.bool_) else MISSING


def _to_str(name: str, value: Any, field: Field) -> Any:
    del name, field
    if not isinstance(value, str) or len(value) > 4096 or '\0' in value:
        return MISSING
    return str(value)  # of numpy's strings too


def _to_name(name: str, value: Any, field: Field) -> Any:
    del name, field
    valid = isinstance(value, str) and (value == '' or _NAME.fullmatch(value))
    return str(value) if valid else MISSING


def _to_ints(name: str, value: Any, field: Field) -> Any:
    if not isinstance(value, list | tuple) or len(value) != field.length:
        return MISSING
    items = tuple(_to_int(name, item, field) for item in value)
    return MISSING if any(item is MISSING for item in items) else items


def _to_distribution(name: str, value: Any, parse: Parse) -> Any:
    if not isinstance(value, str):
        return MISSING
    value = str(value)
    try:
        distribution = parse(value)
    except ValueError as error:
        raise ConfigError(name, value, str(error)) from None
    if distribution.known:
        _check_targets(name, value, distribution)
    # A table is kept with the digest of its values, so that a changed file makes another study.
    return distribution.spec if 'table(' in distribution.spec else value.strip()


def _check_targets(name: str, value: Any, distribution: distributions.Distribution) -> None:
    non_positive = float(distribution.cdf(0.0))
    if not non_positive <= _MOST_NON_POSITIVE:
        raise ConfigError(
            name,
            value,
            f'its targets are 0 or below with probability {non_positive:.3g}; a target is a '
            f'standard deviation, so that may be at most {_MOST_NON_POSITIVE:g}',
        )
    largest = float(distribution.ppf(_LARGEST_UNIFORM))
    if not largest <= _LARGEST_TARGET:
        raise ConfigError(
            name,
            value,
            f'its greatest target in 2^24 is {largest:.3g}; it must be at most {_LARGEST_TARGET:g}',
        )


def _to_distributions(name: str, value: Any, parse: Parse) -> Any:
    if not isinstance(value, list | tuple) or not value:
        return MISSING
    result: list[str] = []
    names: set[str] = set()
    for item in value:
        text = _to_distribution(name, item, parse)
        if text is MISSING:
            return MISSING
        known = parse(str(item)).name
        if known in names:
            raise ConfigError(
                name, value, f'it must have each distribution once, and has {known} twice'
            )
        names.add(known)
        result.append(text)
    return tuple(result)


def _to_signals(name: str, value: Any, field: Field) -> Any:
    del field
    if not isinstance(value, list | tuple) or len(set(map(str, value))) != len(value):
        return MISSING
    for item in value:
        if item not in STOP_SIGNALS:
            near = nearest(item.upper(), STOP_SIGNALS) if isinstance(item, str) else None
            hint = f'; did you mean {near}' if near else ''
            raise ConfigError(
                name, value, f'{short_text(item)} is none of {", ".join(STOP_SIGNALS)}{hint}'
            )
    return tuple(map(str, value))


_CONVERTERS: dict[str, Callable[[str, Any, Field], Any]] = {
    'int': _to_int,
    'float': _to_float,
    'bool': _to_bool,
    'str': _to_str,
    'name': _to_name,
    'ints': _to_ints,
    'signals': _to_signals,
}


def _check_study(flat: Mapping[str, Any], condition_count: int) -> None:
    """Rules between fields that hold for the whole study."""
    for low, high in (('dense_low', 'dense_high'), ('guess_low', 'guess_high')):
        low, high = f'evaluation.{low}', f'evaluation.{high}'
        if not flat[low] < flat[high]:
            raise ConfigError(low, flat[low], f'it must be below {high}, which is {flat[high]:g}')
    last = flat['first_repeat'] + flat['repeats'] - 1
    if last > _LARGEST_SEED:
        raise ConfigError(
            'first_repeat',
            flat['first_repeat'],
            f'it must be at most {_LARGEST_SEED - flat["repeats"] + 1}, so that the last repeat '
            f'has a number of at most {_LARGEST_SEED}',
        )
    runs = flat['repeats'] * condition_count
    if runs > _MOST_RUNS:
        raise ConfigError(
            'repeats',
            flat['repeats'],
            f'with {condition_count} conditions that makes {runs} runs; a study has at most '
            f'{_MOST_RUNS}',
        )


def _check_reference(reference: str, conditions: Iterable[str]) -> None:
    """The condition that others are compared with is one of the study."""
    if reference and reference not in conditions:
        near = nearest(reference, filter(None, conditions))
        known = f'did you mean {near}' if near else "or '' for the balanced or first one"
        raise ConfigError(
            'analysis.reference', reference, f'it must be the name of a condition; {known}'
        )


def _check_condition(fields: Mapping[str, Any], named: Mapping[str, str]) -> None:
    """Rules between fields that a condition may override; `named` says where it does."""

    def refuse(field: str, message: str) -> None:
        raise ConfigError(named.get(field, field), fields[field], message)

    image_size, kernel_size = fields['data.image_size'], fields['model.kernel_size']
    dense = fields['model.dense_features']
    network = Architecture(image_size, kernel_size, tuple(fields['model.conv_features']), dense)
    if min(network.sides) < 1:
        least = network.least_image_size
        message = (
            f'the network leaves no pixel of it: with model.kernel_size {kernel_size} it must '
            f'be at least {least}'
        )
        if 'model.kernel_size' in named:
            refuse(
                'model.kernel_size',
                f'it leaves no pixel of images with data.image_size {image_size}, which would have '
                f'to be at least {least}',
            )
        refuse('data.image_size', message)
    if fields['training.batch_size'] > fields['data.train_size']:
        refuse(
            'training.batch_size',
            f'it must be at most data.train_size, which is {fields["data.train_size"]}',
        )

    if network.parameters > _MOST_PARAMETERS:
        field = max(
            ('model.dense_features', 'model.conv_features'),
            key=lambda name: np.max(fields[name]) / np.max(FIELDS[name].default),
        )
        refuse(
            field,
            f'the network would have {network.parameters} parameters; it may have at most '
            f'{_MOST_PARAMETERS}',
        )
    widest = network.widest
    for field in ('training.batch_size', 'evaluation.batch_size'):
        if fields[field] * widest > _MOST_BATCH_VALUES:
            refuse(
                field,
                f'a layer of a batch would have {fields[field] * widest} values; with these '
                f'images and this network it must be at most {_MOST_BATCH_VALUES // widest}',
            )


def _check_work(flat: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> None:
    """Bounds on the whole study's time and disk, which no field breaks alone."""
    scale = max(1.0, flat['data.image_size'] ** 2 / _PAPER_PIXELS)
    trained = sum(
        flat['repeats'] * flat['data.train_size'] * fields['training.epochs'] * scale
        for fields in conditions.values()
    )
    if trained > _MOST_TRAINED_IMAGES:
        epochs = max(fields['training.epochs'] for fields in conditions.values())
        field, value, _ = max(
            (
                ('repeats', flat['repeats'], 10),
                ('data.train_size', flat['data.train_size'], 50_000),
                ('training.epochs', epochs, 15),
            ),
            key=lambda row: row[1] / row[2],
        )
        raise ConfigError(
            field,
            value,
            f'the study would train on {trained:.3g} images (in images of 52×52), counting '
            f'conditions, repeats and epochs; it must be at most {_MOST_TRAINED_IMAGES:.3g}, which '
            'takes days on the fastest accelerators',
        )
    sizes = {
        'data.test_size': len(flat['test_distributions']) * flat['data.test_size'],
        'data.validation_size': flat['data.validation_size'],
        'evaluation.dense_size': flat['evaluation.dense_size'],
    }
    predictions = flat['repeats'] * len(conditions) * sum(sizes.values())
    if predictions > _MOST_PREDICTIONS:
        field = max(sizes, key=lambda name: sizes[name])
        raise ConfigError(
            field,
            flat[field],
            f'the study would keep {predictions} predictions, counting conditions, repeats and '
            f'splits; it must be at most {_MOST_PREDICTIONS} ({_MOST_PREDICTIONS * 4 / 1e9:g} GB)',
        )


def fields_of(flat: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The fields of one section, by their last part."""
    return {leaf: flat[f'{section}.{leaf}'] for leaf in _leaves(section)}
