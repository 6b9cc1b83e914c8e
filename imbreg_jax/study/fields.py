"""A field of the config: its default, its rule, its meaning and its role.

The settings in `settings.py` declare each field once, with `field` and the kinds of value below.
Whatever needs to know of fields — defaults, checks, help, what a condition may change, what makes
another program, what is data to one, what determines results — asks these declarations.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import math
import numbers
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from imbreg_jax.study import laws, relevance, sweep
from imbreg_jax.study.errors import MISSING, ConfigError, short_text
from imbreg_jax.study.suggestions import nearest

NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}')
NAME_RULE = (
    'must be 1 to 100 of the characters A-Z a-z 0-9 _ . - and start with none of . -, '
    'since files are named after it'
)
LARGEST_TARGET = 1e6
# The uniforms that targets are made from run from 2^-24 to 1 - 2^-24.
_LARGEST_UNIFORM = 1 - 2.0**-24
_MOST_NON_POSITIVE = 1e-6
_LONGEST_SWEEP = 10**6

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

# Makes a distribution of an expression that has been checked, or raises ValueError.
Parse: TypeAlias = Callable[[str], laws.Distribution]


class Role(enum.Enum):
    """What a field is to a compiled program.

    Attributes:
        DIAL: one number a run, traced: runs that differ in it share a program.
        TABLE: made into arrays on the host, which are data to the program.
        CODE: shapes or code: another value is another program.
        HOST: changes no number.
    """

    DIAL = 'dial'
    TABLE = 'table'
    CODE = 'code'
    HOST = 'host'


DIAL, TABLE, CODE, HOST = Role.DIAL, Role.TABLE, Role.CODE, Role.HOST


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        name: one of int, float, bool, str, name, distribution, distributions, ints, signals, entry,
            remedy, points, sweep.
        options: the values allowed, where they are few.
        registry: 'module:attribute' of the mapping whose keys are allowed, for an entry. Its room
            comes after this one, so it is looked up when it is needed.
        low, high: the range of a number (for ints, of each).
        open_low, open_high: whether that end itself is left out.
        most: how many numbers ints has at most.
    """

    name: str
    options: tuple[Any, ...] = ()
    registry: str = ''
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    most: int = 0

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values allowed, where they are few."""
        return tuple(looked_up(self.registry)) if self.name == 'entry' else self.options

    @property
    def rule(self) -> str:
        """What would be right, as the end of the sentence 'the field must be …'."""
        if self.choices:
            return f'one of {", ".join(map(repr, self.choices))}'
        low = f'{"above" if self.open_low else "at least"} {self.low:.10g}'
        high = f'{"below" if self.open_high else "at most"} {self.high:.10g}'
        return {
            'int': lambda: f'an integer, {low} and {high}',
            'float': lambda: f'a number, {low} and {high}',
            'bool': lambda: 'True or False',
            'str': lambda: 'a string of at most 4096 characters',
            'name': lambda: 'empty, or ' + NAME_RULE.removeprefix('must be '),
            'ints': lambda: f'1 to {self.most} integers, each {low} and {high}',
            'distribution': lambda: 'a target distribution: ' + laws.usage(),
            'distributions': lambda: 'one or more target distributions, each once: ' + laws.usage(),
            'signals': lambda: f'any of {", ".join(STOP_SIGNALS)}, each once',
            'remedy': lambda: looked_up(self.registry, 'usage')(),
            'points': lambda: f'empty, or {relevance.RULE}',
            'sweep': lambda: f'empty, or fields and their values, such as {sweep.EXAMPLE!r}',
        }[self.name]()

    def contains(self, value: float) -> bool:
        """Whether a number lies in the range; NaN does not."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below


def looked_up(registry: str, attribute: str = '') -> Any:
    """What a later room registers: of 'module:attribute', or another attribute of the module."""
    module, _, name = registry.partition(':')
    return getattr(importlib.import_module(module), attribute or name)


def integer(low: int, high: int) -> Kind:
    """An integer of a range, both ends included."""
    return Kind('int', low=low, high=high)


def integers(most: int, low: int, high: int) -> Kind:
    """One integer or more, at most so many, each of a range."""
    return Kind('ints', low=low, high=high, most=most)


def number(low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> Kind:
    """A finite number of a range."""
    return Kind('float', low=low, high=high, open_low=open_low, open_high=open_high)


def positive(high: float) -> Kind:
    """A number above 0."""
    return number(0.0, high, open_low=True)


def rate() -> Kind:
    """A number from 0 up to, and without, 1."""
    return number(0.0, 1.0, open_high=True)


def one_of(*options: Any) -> Kind:
    """One of a few values of one type."""
    return Kind({bool: 'bool', int: 'int', str: 'str'}[type(options[0])], options=options)


def entry(registry: str) -> Kind:
    """The name of an entry of a later room's registry, 'module:attribute'."""
    return Kind('entry', registry=registry)


SWITCH = one_of(False, True)
TEXT = Kind('str')
OPTIONAL_NAME = Kind('name')
LAW = Kind('distribution')
LAWS = Kind('distributions')
SIGNALS = Kind('signals')
SWEEP = Kind('sweep')
# Control points of relevance; see `relevance.control_points`.
POINTS = Kind('points')


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of the config.

    Attributes:
        default: its value in `default_config()`.
        of: the kind of its value.
        meaning: what it sets, with its unit.
        role: what it is to a program.
        shared: whether the whole study shares it; the others may differ between conditions, unless
            they change no number.
        also: what other packages call it.
    """

    default: Any
    of: Kind
    meaning: str
    role: Role
    shared: bool = False
    also: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The name of its kind; see `Kind`."""
        return 'str' if self.of.name == 'entry' else self.of.name

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values allowed, where they are few."""
        return self.of.choices

    @property
    def rule(self) -> str:
        """What would be right, as the end of the sentence 'the field must be …'."""
        return self.of.rule

    @property
    def overridable(self) -> bool:
        """Whether conditions of a study may differ in it."""
        return not self.shared and self.role is not HOST


def field(
    default: Any, of: Kind, meaning: str, role: Role, *, shared: bool = False, also: str = ''
) -> Any:
    """Declares a field of a settings dataclass; see `Field`. `also` is separated by spaces."""
    declared = Field(default, of, meaning, role, shared, tuple(also.split()))
    return dataclasses.field(default=default, metadata={'field': declared})


def declared(settings: type) -> dict[str, Field]:
    """The fields that a settings dataclass declares, by their names."""
    return {part.name: part.metadata['field'] for part in dataclasses.fields(settings)}


def as_number(field: Field, value: Any) -> float:
    """A value as a dial has it: where it is one of a few words, its place among them."""
    return float(field.choices.index(value) if isinstance(value, str) else value)


def checked(name: str, value: Any, field: Field, parse: Parse) -> Any:
    """A field's value as a plain Python one.

    Args:
        name: the field's dotted name, for the error.
        value: what is given.
        field: its declaration.
        parse: makes distributions.

    Raises:
        ConfigError: with one sentence, where the value breaks the field's own rule.
    """
    if field.kind == 'distribution':
        converted = _to_distribution(name, value, parse)
    elif field.kind == 'distributions':
        converted = _to_distributions(name, value, parse)
    else:
        converted = _CONVERTERS[field.kind](name, value, field.of)
    if converted is MISSING:
        raise ConfigError(name, value, f'it must be {field.rule}')
    choices = field.choices
    if choices and converted not in choices:
        near = nearest(converted, choices) if isinstance(converted, str) else None
        hint = f'; did you mean {near!r}' if near else ''
        raise ConfigError(name, value, f'it must be {field.rule}{hint}')
    return converted


def _to_int(name: str, value: Any, kind: Kind) -> Any:
    del name
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return MISSING
    return int(value) if kind.contains(value) else MISSING  # type: ignore[arg-type]


def _to_float(name: str, value: Any, kind: Kind) -> Any:
    del name
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return MISSING
    # NaN and infinities fail the comparisons, and an int too large for a float never reaches it.
    return float(value) if kind.contains(value) else MISSING  # type: ignore[arg-type]


def _to_bool(name: str, value: Any, kind: Kind) -> Any:
    del name, kind
    return bool(value) if isinstance(value, bool | np.bool_) else MISSING


def _to_str(name: str, value: Any, kind: Kind) -> Any:
    del name, kind
    if not isinstance(value, str) or len(value) > 4096 or '\0' in value:
        return MISSING
    return str(value)  # of numpy's strings too


def _to_name(name: str, value: Any, kind: Kind) -> Any:
    del name, kind
    valid = isinstance(value, str) and (value == '' or NAME.fullmatch(value))
    return str(value) if valid else MISSING


def _to_ints(name: str, value: Any, kind: Kind) -> Any:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= kind.most:
        return MISSING
    items = tuple(_to_int(name, item, kind) for item in value)
    return MISSING if any(item is MISSING for item in items) else items


def _to_signals(name: str, value: Any, kind: Kind) -> Any:
    del kind
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


def _to_remedy(name: str, value: Any, kind: Kind) -> Any:
    text = _to_str(name, value, kind)
    if text is MISSING or not text.strip():
        return MISSING if text is MISSING else ''
    try:
        return looked_up(kind.registry)(text).spec
    except ValueError as error:
        raise ConfigError(name, value, str(error)) from None


def _to_points(name: str, value: Any, kind: Kind) -> Any:
    del name, kind
    if isinstance(value, list | tuple) and not value:
        return ()
    try:
        return tuple((float(target), float(phi)) for target, phi in relevance.checked(value))
    except ValueError:
        return MISSING


def _to_sweep(name: str, value: Any, kind: Kind) -> Any:
    del kind
    if not isinstance(value, str) or len(value) > _LONGEST_SWEEP or '\0' in value:
        return MISSING
    text = str(value).strip()
    if not text:
        return ''
    try:
        sweep.parse(text)
    except ValueError as error:
        raise ConfigError(name, value, str(error)) from None
    return text


_CONVERTERS: Mapping[str, Callable[[str, Any, Kind], Any]] = {
    'int': _to_int,
    'float': _to_float,
    'bool': _to_bool,
    'str': _to_str,
    'name': _to_name,
    'ints': _to_ints,
    'signals': _to_signals,
    'remedy': _to_remedy,
    'points': _to_points,
    'sweep': _to_sweep,
}


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


def _check_targets(name: str, value: Any, distribution: laws.Distribution) -> None:
    non_positive = float(distribution.cdf(0.0))
    if not non_positive <= _MOST_NON_POSITIVE:
        raise ConfigError(
            name,
            value,
            f'its targets are 0 or below with probability {non_positive:.3g}; a target is positive '
            f'(percentage errors divide by it), so that may be at most {_MOST_NON_POSITIVE:g}',
        )
    largest = float(distribution.ppf(_LARGEST_UNIFORM))
    if not largest <= LARGEST_TARGET:
        raise ConfigError(
            name,
            value,
            f'its greatest target in 2^24 is {largest:.3g}; it must be at most {LARGEST_TARGET:g}',
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
