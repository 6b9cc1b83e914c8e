"""Target distributions: the laws that the targets of a split are drawn from.

A law is written as a name (`u1_10`) or as an expression (`normal(5.5, 1)`,
`mixture(u1_5, 0.9, uniform(5, 10), 0.1)`). Expressions are read from their syntax tree and never
evaluated. A table of targets is its sorted values, wherever they come from: its identity is their
SHA-256, and who parses says where values may be looked for.

Targets are drawn by the inverse CDF (`Distribution.ppf`) from uniforms, so that two conditions that
share the uniforms have coupled targets; that is why every law here has a quantile function, and why
it is computed in float64.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import hashlib
import inspect
import math
import os
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from scipy import stats

from imbreg_jax.study import reading

REGISTRY: dict[str, str] = {
    'u1_10': 'uniform(1, 10)',
    'u1_5': 'uniform(1, 5)',
    'n5_5_1': 'normal(5.5, 1)',
}

# Expressions are typed by people; the limits keep nesting, and the parser's stack, small.
LONGEST_SPEC = 2000
_LARGEST_NUMBER = 1e6
_SMALLEST_SCALE = 1e-6
_MOST_TABLE_VALUES = 10**7
_MOST_TABLE_BYTES = 512 * 10**6
# Parsed at a time: as Python's numbers, those of a whole file would take a gigabyte.
_CHUNK_BYTES = 2**20
_DIGEST = re.compile(r'[0-9a-f]{8,64}')
# What no word of a header begins with, such as `std` or "age (years)": a damaged number does.
_NUMERIC_WORD = re.compile(r'(?:^|[\s,;])[-+.]?\d')

# Finds a table's values: of the path of its file and the SHA-256 of its values, or the first digits
# of it, or '', it makes the sorted float64 values, or None where nobody here knows them; a
# ValueError says in a sentence why there is no such table.
TableSource: TypeAlias = Callable[[str, str], 'np.ndarray | None']


class _Law(Protocol):
    """What a law must offer; every function maps float64 arrays to arrays of the same shape."""

    def ppf(self, u: np.ndarray) -> np.ndarray: ...

    def pdf(self, x: np.ndarray) -> np.ndarray: ...

    def cdf(self, x: np.ndarray) -> np.ndarray: ...

    @property
    def mean(self) -> float: ...

    @property
    def support(self) -> tuple[float, float]: ...


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A target distribution.

    Two distributions are equal when they are the same law (see `identity`).

    Attributes:
        name: the registry's name (`u1_10`) where it has the law, else the expression, in which a
            table is named after its values (`table_81f3bd0d2d3c4a41`).
        spec: the canonical expression, from which `parse` makes an equal distribution; of a table
            it keeps the path of the file.
        identity: the same without paths: a table is the SHA-256 of its sorted values, and `parse`
            needs to be told where those are.
        label: for figures and tables, such as `U(1, 10)`; printable characters only.
        tables: the values of the tables in it, by their SHA-256: sorted float64.
    """

    name: str
    spec: str = dataclasses.field(compare=False)
    identity: str
    label: str = dataclasses.field(compare=False)
    tables: dict[str, np.ndarray] = dataclasses.field(repr=False, compare=False)
    _law: _Law = dataclasses.field(repr=False, compare=False)

    @property
    def known(self) -> bool:
        """Whether it can be evaluated: not where the values of a table are kept nowhere."""
        return not isinstance(self._law, _Unknown)

    def ppf(self, u: Any) -> np.ndarray:
        """The quantile function: probabilities in [0, 1], any shape, to float64 targets.

        Raises:
            ValueError: here and in all that follow, for a law that is not `known`.
        """
        return self._evaluate(self._law.ppf, u)

    def pdf(self, x: Any) -> np.ndarray:
        """The density (per unit of target) at targets of any shape."""
        return self._evaluate(self._law.pdf, x)

    def cdf(self, x: Any) -> np.ndarray:
        """The probability of a target that is at most x, for targets of any shape."""
        return self._evaluate(self._law.cdf, x)

    @property
    def mean(self) -> float:
        """The expected target."""
        with np.errstate(all='ignore'):
            return float(self._law.mean)

    @property
    def support(self) -> tuple[float, float]:
        """The least and the greatest possible target; either may be infinite."""
        low, high = self._law.support
        return float(low), float(high)

    def _evaluate(self, function: Callable[[np.ndarray], np.ndarray], values: Any) -> np.ndarray:
        # Overflow to infinity far in a tail is the right value, not a fault.
        with np.errstate(all='ignore'):
            return np.asarray(function(np.asarray(values, np.float64)), np.float64)


@dataclasses.dataclass(frozen=True)
class _ScipyLaw:
    """A law that scipy.stats has."""

    frozen: Any

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return self.frozen.ppf(u)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        return self.frozen.pdf(x)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return self.frozen.cdf(x)

    @property
    def mean(self) -> float:
        return self.frozen.mean()

    @property
    def support(self) -> tuple[float, float]:
        return self.frozen.support()


@dataclasses.dataclass(frozen=True)
class _InverseTriangular:
    """Density zero at the valley, rising linearly to 2 / (high - low) at both ends."""

    low: float
    valley: float
    high: float

    @property
    def _mass_below_valley(self) -> float:
        return (self.valley - self.low) / (self.high - self.low)

    def ppf(self, u: np.ndarray) -> np.ndarray:
        mass = self._mass_below_valley
        below = np.sqrt(np.clip(1.0 - u / mass, 0.0, None)) if mass > 0.0 else np.zeros_like(u)
        above = (
            np.sqrt(np.clip((u - mass) / (1.0 - mass), 0.0, None)) if mass < 1.0 else below * 0.0
        )
        x = np.where(
            u <= mass,
            self.valley - (self.valley - self.low) * below,
            self.valley + (self.high - self.valley) * above,
        )
        return np.where((u >= 0.0) & (u <= 1.0), x, np.nan)

    def pdf(self, x: np.ndarray) -> np.ndarray:
        side = np.where(x < self.valley, self.valley - self.low, self.high - self.valley)
        height = 2.0 / (self.high - self.low)
        inside = (x >= self.low) & (x <= self.high)
        slope = np.divide(np.abs(x - self.valley), side, out=np.zeros_like(x), where=side > 0.0)
        return np.where(inside, height * slope, 0.0)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        x = np.clip(x, self.low, self.high)
        left, right = self.valley - self.low, self.high - self.valley
        mass = self._mass_below_valley
        below = np.divide(self.valley - x, left, out=np.zeros_like(x), where=left > 0.0)
        above = np.divide(x - self.valley, right, out=np.zeros_like(x), where=right > 0.0)
        return np.where(x < self.valley, mass * (1.0 - below**2), mass + (1.0 - mass) * above**2)

    @property
    def mean(self) -> float:
        mass = self._mass_below_valley
        mean_below = self.low + (self.valley - self.low) / 3.0
        mean_above = self.high - (self.high - self.valley) / 3.0
        return mass * mean_below + (1.0 - mass) * mean_above

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclasses.dataclass(frozen=True)
class _Mixture:
    """A draw from one of several laws, chosen with probability `weights` (they sum to 1)."""

    laws: tuple[_Law, ...]
    weights: tuple[float, ...]

    def ppf(self, u: np.ndarray) -> np.ndarray:
        # A mixture's quantile lies between the least and the greatest quantile of its laws, which
        # brackets it; bisection then halves the bracket down to neighbouring float64 numbers.
        quantiles = np.stack([np.asarray(law.ppf(u)) for law in self.laws])
        low, high = quantiles.min(axis=0), quantiles.max(axis=0)
        for _ in range(100):
            middle = low + 0.5 * (high - low)
            open_bracket = (middle > low) & (middle < high)
            if not np.any(open_bracket):
                break
            enough = self.cdf(middle) >= u
            high = np.where(open_bracket & enough, middle, high)
            low = np.where(open_bracket & ~enough, middle, low)
        return high

    def pdf(self, x: np.ndarray) -> np.ndarray:
        return self._weighted([law.pdf(x) for law in self.laws])

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return self._weighted([law.cdf(x) for law in self.laws])

    def _weighted(self, values: Sequence[np.ndarray]) -> np.ndarray:
        return np.sum(
            [w * np.asarray(v) for w, v in zip(self.weights, values, strict=True)], axis=0
        )

    @property
    def mean(self) -> float:
        return sum(w * float(law.mean) for w, law in zip(self.weights, self.laws, strict=True))

    @property
    def support(self) -> tuple[float, float]:
        supports = [law.support for law in self.laws]
        return min(low for low, _ in supports), max(high for _, high in supports)


@dataclasses.dataclass(frozen=True)
class _Table:
    """The empirical quantile function of sorted values, linear between order statistics.

    It is the law of numpy.quantile's default method: value i of n (from 0) is the quantile of
    i / (n - 1). Equal values are an atom, which the CDF has as a step and the density leaves out.
    """

    values: np.ndarray

    def ppf(self, u: np.ndarray) -> np.ndarray:
        x = np.interp(u, np.linspace(0.0, 1.0, self.values.size), self.values)
        return np.where((u >= 0.0) & (u <= 1.0), x, np.nan)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        index, inside = self._interval(x)
        low, high = self.values[index], self.values[index + 1]
        part = np.divide(x - low, high - low, out=np.zeros_like(x), where=inside)
        within = (index + part) / (self.values.size - 1)
        return np.where(inside, within, np.where(x < self.values[0], 0.0, 1.0))

    def pdf(self, x: np.ndarray) -> np.ndarray:
        index, inside = self._interval(x)
        width = self.values[index + 1] - self.values[index]
        ones = np.ones_like(x)
        return np.divide(ones, width * (self.values.size - 1), out=np.zeros_like(x), where=inside)

    def _interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = np.searchsorted(self.values, x, side='right') - 1
        inside = (index >= 0) & (index < self.values.size - 1)
        return np.clip(index, 0, self.values.size - 2), inside

    @property
    def mean(self) -> float:
        return float(np.mean(0.5 * (self.values[1:] + self.values[:-1])))

    @property
    def support(self) -> tuple[float, float]:
        return float(self.values[0]), float(self.values[-1])


@dataclasses.dataclass(frozen=True)
class _Unknown:
    """A law of which only the identity is known."""

    reason: str

    def _refuse(self, *_: Any) -> Any:
        raise ValueError(self.reason)

    ppf = pdf = cdf = _refuse
    mean = property(_refuse)
    support = property(_refuse)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def _ordered(name: str, **values: float) -> None:
    """Refuses unless the values never fall and the first lies below the last."""
    numbers = list(values.values())
    rising = all(a <= b for a, b in zip(numbers, numbers[1:], strict=False))
    if not (rising and numbers[-1] - numbers[0] >= _SMALLEST_SCALE):
        order = ' <= '.join(values) if len(values) > 2 else ' < '.join(values)
        extra = f' and {list(values)[0]} < {list(values)[-1]}' if len(values) > 2 else ''
        given = ', '.join(f'{key} {_number_text(value)}' for key, value in values.items())
        raise ValueError(
            f'{name} needs {order}{extra} by at least {_number_text(_SMALLEST_SCALE)}, not {given}'
        )


def _positive(name: str, **values: float) -> None:
    for key, value in values.items():
        _require(
            value >= _SMALLEST_SCALE,
            f'{name} needs {key} of at least {_number_text(_SMALLEST_SCALE)}, not '
            f'{_number_text(value)}',
        )


def _uniform(low: float, high: float) -> _Law:
    _ordered('uniform', low=low, high=high)
    return _ScipyLaw(stats.uniform(low, high - low))


def _normal(mean: float, std: float) -> _Law:
    _positive('normal', std=std)
    return _ScipyLaw(stats.norm(mean, std))


def _truncated_normal(mean: float, std: float, low: float, high: float) -> _Law:
    _positive('truncated_normal', std=std)
    _ordered('truncated_normal', low=low, high=high)
    a, b = (low - mean) / std, (high - mean) / std
    # Mirrored to the lower tail, where the normal CDF does not lose its digits to 1 - tiny.
    inside = stats.norm.cdf(b) - stats.norm.cdf(a) if a < 0 else stats.norm.sf(a) - stats.norm.sf(b)
    _require(
        inside >= 1e-12,
        f'truncated_normal keeps a fraction of only {inside:.3g} of the normal law between low '
        f'{_number_text(low)} and high {_number_text(high)}; it needs at least 1e-12',
    )
    return _ScipyLaw(stats.truncnorm(a, b, loc=mean, scale=std))


def _triangular(low: float, peak: float, high: float) -> _Law:
    _ordered('triangular', low=low, peak=peak, high=high)
    return _ScipyLaw(stats.triang((peak - low) / (high - low), loc=low, scale=high - low))


def _inverse_triangular(low: float, valley: float, high: float) -> _Law:
    _ordered('inverse_triangular', low=low, valley=valley, high=high)
    return _InverseTriangular(low, valley, high)


def _beta(a: float, b: float, low: float, high: float) -> _Law:
    for key, value in (('a', a), ('b', b)):
        _require(
            0.01 <= value <= 10_000,
            f'beta needs {key} between 0.01 and 10000, not {_number_text(value)}',
        )
    _ordered('beta', low=low, high=high)
    return _ScipyLaw(stats.beta(a, b, loc=low, scale=high - low))


def _lognormal(median: float, shape: float) -> _Law:
    _positive('lognormal', median=median, shape=shape)
    return _ScipyLaw(stats.lognorm(shape, scale=median))


def _exponential(low: float, scale: float) -> _Law:
    _positive('exponential', scale=scale)
    return _ScipyLaw(stats.expon(loc=low, scale=scale))


@dataclasses.dataclass(frozen=True)
class _NumericLaw:
    make: Callable[..., _Law]
    label: str  # filled with the arguments' names
    example: str

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.make).parameters)


_NUMERIC_LAWS: dict[str, _NumericLaw] = {
    'uniform': _NumericLaw(_uniform, 'U({low}, {high})', 'uniform(1, 10)'),
    'normal': _NumericLaw(_normal, 'N({mean}, {std})', 'normal(5.5, 0.5)'),
    'truncated_normal': _NumericLaw(
        _truncated_normal,
        'N({mean}, {std}) on [{low}, {high}]',
        'truncated_normal(5.5, 2, 1, 10)',
    ),
    'triangular': _NumericLaw(
        _triangular, 'Triangular({low}, {peak}, {high})', 'triangular(1, 4, 10)'
    ),
    'inverse_triangular': _NumericLaw(
        _inverse_triangular,
        'Inverse triangular({low}, {valley}, {high})',
        'inverse_triangular(1, 5.5, 10)',
    ),
    'beta': _NumericLaw(_beta, 'Beta({a}, {b}) on [{low}, {high}]', 'beta(0.5, 2, 1, 10)'),
    'lognormal': _NumericLaw(_lognormal, 'Lognormal({median}, {shape})', 'lognormal(3, 0.5)'),
    'exponential': _NumericLaw(_exponential, '{low} + Exp({scale})', 'exponential(1, 2)'),
}
_LAW_NAMES = (*_NUMERIC_LAWS, 'mixture', 'table')


def usage() -> str:
    """The names and laws that `parse` knows, as one phrase for error messages."""
    forms = [form for form, _ in laws()]
    return f'the names {", ".join(REGISTRY)} and the laws {", ".join(forms)}'


def laws() -> list[tuple[str, str]]:
    """Each law that `parse` knows, as a form and an example."""
    forms = [
        (f'{name}({", ".join(law.parameters)})', law.example) for name, law in _NUMERIC_LAWS.items()
    ]
    return [
        *forms,
        ('mixture(law, weight, law, weight, …)', 'mixture(u1_5, 0.9, uniform(5, 10), 0.1)'),
        ("table('file.csv')", "table('targets.csv'), a file of one target a line"),
    ]


def parse(spec: str, source: TableSource | None = None) -> Distribution:
    """Reads a target distribution from a registry name or an expression.

    Args:
        spec: a name in `REGISTRY`; or one of uniform(low, high), normal(mean, std),
            truncated_normal(mean, std, low, high), triangular(low, peak, high),
            inverse_triangular(low, valley, high), beta(a, b, low, high), lognormal(median, shape),
            exponential(low, scale); mixture(law, weight, law, weight, ...) with weights in any
            unit; or table('file.csv'), a file of one target a line. Arguments are numbers, by
            position or by name; the laws of a mixture may be names or mixtures again. A table may
            say its values' digest, `table('file.csv', sha256='…')`.
        source: where the values of tables come from; by default `read_table`, which opens the
            file. A spec that somebody else wrote must not be parsed with that.

    Returns:
        The distribution. An expression of a registered law gets the registry's name.

    Raises:
        ValueError: with one sentence, when the expression cannot be read, its law is unknown, its
            arguments make no law, or a table's file cannot be read.
    """
    if not isinstance(spec, str):
        raise ValueError('a distribution is a string, such as u1_10 or normal(5.5, 1)')
    if len(spec) > LONGEST_SPEC:
        raise ValueError(f'a distribution takes at most {LONGEST_SPEC} characters, not {len(spec)}')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', SyntaxWarning)
            node = ast.parse(spec.strip(), mode='eval').body
        law = _parse_law(node, source or read_table)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(
            f'it is neither a name nor an expression such as normal(5.5, 1); known are {usage()}'
        ) from None
    registered = {expression: known for known, expression in REGISTRY.items()}
    return Distribution(
        name=registered.get(law.identity, law.name),
        spec=law.spec,
        identity=law.identity,
        label=reading.printable(law.label),
        tables=law.tables,
        _law=law.law,
    )


class _Parsed(NamedTuple):
    """A law with what `Distribution` says of it."""

    name: str
    spec: str
    identity: str
    label: str
    tables: dict[str, np.ndarray]
    law: _Law


def _parse_law(node: ast.expr, source: TableSource) -> _Parsed:
    if isinstance(node, ast.Name):
        if node.id not in REGISTRY:
            raise ValueError(_unknown(node.id))
        return _parse_law(ast.parse(REGISTRY[node.id], mode='eval').body, source)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise SyntaxError
    law_name = node.func.id
    if law_name == 'mixture':
        return _parse_mixture(node, source)
    if law_name == 'table':
        return _parse_table(node, source)
    if law_name not in _NUMERIC_LAWS:
        raise ValueError(_unknown(law_name))
    law = _NUMERIC_LAWS[law_name]
    values = _arguments(node, law_name, law.parameters)
    texts = {key: _number_text(value) for key, value in values.items()}
    canonical = f'{law_name}({", ".join(texts.values())})'
    label = law.label.format(**texts)
    return _Parsed(canonical, canonical, canonical, label, {}, _made(law_name, *values.values()))


# A config is parsed several times on its way to a study, and scipy takes milliseconds for a law.
@functools.lru_cache(maxsize=1000)
def _made(law_name: str, *values: float) -> _Law:
    return _NUMERIC_LAWS[law_name].make(*values)


def _arguments(node: ast.Call, law_name: str, parameters: tuple[str, ...]) -> dict[str, float]:
    form = f'{law_name}({", ".join(parameters)})'
    given: dict[str, ast.expr] = dict(zip(parameters, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.arg not in parameters or keyword.arg in given:
            raise ValueError(f'{form} has no place for the argument {keyword.arg}')
        given[keyword.arg] = keyword.value
    if len(node.args) > len(parameters) or len(given) != len(parameters):
        count = len(node.args) + len(node.keywords)
        raise ValueError(f'{form} takes {len(parameters)} numbers, not {count}')
    return {key: _number(given[key], f'{key} of {form}') for key in parameters}


def _number(node: ast.expr, what: str) -> float:
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'{what} must be a number')
    # Compared before the conversion: an int may be too large for a float.
    if not abs(value) <= _LARGEST_NUMBER:
        raise ValueError(
            f'{what} must lie between -{_LARGEST_NUMBER:.0f} and {_LARGEST_NUMBER:.0f}'
        )
    return sign * float(value) + 0.0  # no negative zero


def _number_text(value: float) -> str:
    """The shortest text that reads back as the same float64, without a needless '.0'."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _parse_mixture(node: ast.Call, source: TableSource) -> _Parsed:
    if node.keywords or len(node.args) < 4 or len(node.args) % 2:
        raise ValueError(
            'mixture(law, weight, law, weight, …) takes at least two laws, each with its weight'
        )
    parts = [_parse_law(law, source) for law in node.args[::2]]
    weights = [_number(weight, 'a weight of a mixture') for weight in node.args[1::2]]
    for weight in weights:
        _require(weight > 0.0, f'a weight of a mixture must be above 0, not {_number_text(weight)}')
    total = math.fsum(weights)
    shares = tuple(weight / total for weight in weights)
    texts = [_number_text(weight) for weight in weights]

    def expression(laws: list[str]) -> str:
        pairs = [f'{law}, {text}' for law, text in zip(laws, texts, strict=True)]
        return f'mixture({", ".join(pairs)})'

    return _Parsed(
        name=expression([part.name for part in parts]),
        spec=expression([part.spec for part in parts]),
        identity=expression([part.identity for part in parts]),
        label=' + '.join(
            f'{100 * share:.3g}% {part.label}' for share, part in zip(shares, parts, strict=True)
        ),
        tables={digest: values for part in parts for digest, values in part.tables.items()},
        law=_flat_mixture([part.law for part in parts], shares),
    )


def _flat_mixture(laws: Sequence[_Law], shares: Sequence[float]) -> _Law:
    """A mixture of mixtures is a mixture of their laws, which takes one bisection only."""
    flat: list[tuple[_Law, float]] = []
    for law, share in zip(laws, shares, strict=True):
        if isinstance(law, _Unknown):
            return law
        if isinstance(law, _Mixture):
            inner = zip(law.laws, law.weights, strict=True)
            flat += [(part, share * weight) for part, weight in inner]
        else:
            flat.append((law, share))
    return _Mixture(tuple(law for law, _ in flat), tuple(weight for _, weight in flat))


def _parse_table(node: ast.Call, source: TableSource) -> _Parsed:
    path, given = _table_arguments(node)
    values = source(path, given)
    label = f'table({os.path.basename(path) or given[:16]!r})'
    if values is None:
        if len(given) != 64:
            raise ValueError(f'{label} does not say which values it has')
        law: _Law = _Unknown(f'the values of {label} are not kept here, so its law is unknown')
        return _named_table(path, given, label, {}, law)
    digest = table_digest(values)
    if not digest.startswith(given):
        raise ValueError(
            f'the file of table({path!r}) has changed: the SHA-256 of its values is '
            f'{digest[:16]}…, not {given}'
        )
    return _named_table(path, digest, label, {digest: values}, _Table(values))


def _named_table(
    path: str, digest: str, label: str, tables: dict[str, np.ndarray], law: _Law
) -> _Parsed:
    return _Parsed(
        name=f'table_{digest[:16]}',
        spec=f'table({path!r}, sha256={digest!r})',
        identity=f'table(sha256={digest!r})',
        label=label,
        tables=tables,
        law=law,
    )


def _table_arguments(node: ast.Call) -> tuple[str, str]:
    """The path of a table's file, and the digest of its values or ''."""
    given: dict[str, ast.expr] = dict(zip(('file', 'sha256'), node.args, strict=False))
    given |= {keyword.arg or '': keyword.value for keyword in node.keywords}
    texts = {
        key: value.value
        for key, value in given.items()
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    count = len(node.args) + len(node.keywords)
    digest = texts.get('sha256', '')
    named = 'file' in texts or len(digest) == 64
    if not named or len(texts) != count or not texts.keys() <= {'file', 'sha256'}:
        raise ValueError("table('file.csv') takes the path of a file in quotes")
    if digest and not _DIGEST.fullmatch(digest):
        raise ValueError(
            f'the sha256 of table({texts.get("file", "")!r}) must be 8 to 64 of the characters '
            '0-9 a-f'
        )
    return texts.get('file', ''), digest


def table_digest(values: np.ndarray) -> str:
    """The SHA-256 of a table's sorted values, as little-endian float64, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values, '<f8').data).hexdigest()


def tables_of(spec: str) -> list[tuple[str, str]]:
    """Path and digest ('' where it has none) of each table in an expression; nothing is opened."""
    try:
        tree = ast.parse(spec.strip(), mode='eval')
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'table':
            try:
                found.append(_table_arguments(node))
            except ValueError:
                continue
    return found


def nowhere(path: str, digest: str) -> None:
    """The source of tables that opens nothing and knows none: their laws are not `known`."""
    del path, digest


class MissingTable(ValueError):
    """The file of a table is not there."""


def read_table(path: str, digest: str = '') -> np.ndarray:
    """Reads a table of targets.

    Args:
        path: a text file of one target a line. Lines that are empty or begin with `#`, a comma or
            semicolon at a line's end, and a name (`std`) in the first line are passed over.
        digest: not used: `parse` compares it.

    Returns:
        The sorted values, float64.

    Raises:
        MissingTable: there is no such file.
        ValueError: with one sentence, where it cannot be read, is no regular file, is larger than
            512 MB or holds anything but 2 to 10^7 finite numbers, two of them different.
    """
    del digest
    try:
        status = os.stat(path)
        stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        return _read_table(path, stamp)
    except (OSError, reading.NoRegularFile) as error:
        kind = MissingTable if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f'the file of table({path!r}) cannot be read: {reading.reason(error)}') from None
    except _NoTable as error:
        raise ValueError(str(error)) from None
    except ValueError as error:  # a null character within the path
        raise ValueError(f'the file of table({path!r}) cannot be read: {error}') from None


class _NoTable(ValueError):
    """What is wrong with the content of a table's file."""


# A config is parsed several times on its way to a study; the values of a large table are not.
@functools.lru_cache(maxsize=4)
def _read_table(path: str, stamp: tuple[int, ...]) -> np.ndarray:
    del stamp
    what = f'table({path!r})'
    values = _numbers(reading.read_regular(path, _MOST_TABLE_BYTES), what)
    if not 2 <= values.size <= _MOST_TABLE_VALUES:
        raise _NoTable(f'{what} needs 2 to {_MOST_TABLE_VALUES} targets, not {values.size}')
    table = np.sort(values) + 0.0  # no negative zero
    if not table[0] < table[-1]:
        raise _NoTable(f'{what} needs at least two different targets')
    table.flags.writeable = False
    return table


def _numbers(content: bytes, what: str) -> np.ndarray:
    """The numbers of a file in its order."""
    parts = []
    begun, start, count = False, 0, 0
    while start < len(content):
        end = content.rfind(b'\n', start, start + _CHUNK_BYTES) + 1 or len(content)
        lines = content[start:end].splitlines()
        try:
            part = np.fromiter(map(float, lines), np.float64, len(lines))
            sound = bool(np.all(np.abs(part) <= _LARGEST_NUMBER))
        except ValueError:
            sound = False
        if not sound:
            part = _numbers_line_by_line(lines, count, begun, what)
        begun = begun or part.size > 0
        parts.append(part)
        start, count = end, count + len(lines)
    return np.concatenate([np.zeros(0), *parts])


def _numbers_line_by_line(lines: list[bytes], before: int, begun: bool, what: str) -> np.ndarray:
    """The numbers of lines that are not all numbers, or what is wrong with them.

    Args:
        lines: some lines of a file.
        before: how many lines of the file come before them.
        begun: whether there are numbers among those; a header is too late then.
        what: the table.
    """
    values: list[float] = []
    for number, raw in enumerate(lines, start=before + 1):
        line = _content_of(raw)
        if not line or line.startswith('#'):
            continue
        try:
            value = float(line)
        except ValueError:
            if not begun and _is_header(line):
                begun = True
                continue
            raise _NoTable(
                f'{what} needs one number a line, not {line[:40]!r} in line {number}'
            ) from None
        begun = True
        if not abs(value) <= _LARGEST_NUMBER:  # NaN compares false
            raise _NoTable(
                f'{what} needs targets between -{_LARGEST_NUMBER:.0f} and {_LARGEST_NUMBER:.0f}, '
                f'not {line[:40]} in line {number}'
            )
        values.append(value)
    return np.asarray(values, np.float64)


def _content_of(line: bytes) -> str:
    """A line's text without the mark of its encoding, blanks, and separators at its end."""
    return line.decode('utf-8', errors='replace').lstrip('\ufeff').strip().rstrip(',;').strip()


def _is_header(line: str) -> bool:
    """Whether a line looks like a column's name; a number that was damaged does not."""
    name = line[1:-1] if line[:1] == line[-1:] and line[:1] in ('"', "'") else line
    try:
        float(name)
    except ValueError:
        begins = name[:1].isalpha() or name[:1] == '_'
        return begins and name.isprintable() and not _NUMERIC_WORD.search(name)
    return False


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [*REGISTRY, *_LAW_NAMES], n=1, cutoff=0.6)
    hint = f'did you mean {near[0]}, or another of' if near else 'known are'
    return f'there is no distribution {name!r}; {hint} {usage()}'
