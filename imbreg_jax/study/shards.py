"""Shards: parts of a study that train apart, on other machines say, and are merged in the end.

Networks hang on seed, repeat and condition alone, so a shard trains the very networks that the
whole study would.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from imbreg_jax.study.errors import MISSING, ConfigError
from imbreg_jax.study.study import Study

FLAG = '--shard'
# Of Slurm's arrays: this element's number, the first and last, from one to the next, and how many.
_SLURM = tuple(f'SLURM_ARRAY_TASK_{name}' for name in ('ID', 'MIN', 'MAX', 'STEP', 'COUNT'))
# Of Kubernetes: this pod's number, from 0, and how many there are, which the Job must set itself.
_KUBERNETES = ('JOB_COMPLETION_INDEX', 'JOB_COMPLETIONS')
_MOST = 10**6
# How much longer the longest shard may take so that no program, or no repeat of one, is split.
_LONGER = 1.25

_Results: TypeAlias = list[tuple[int, int]]


class Shard(NamedTuple):
    """One of a study's shards.

    Attributes:
        number: which, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f'{self.number}/{self.of}'


def parse(text: str) -> Shard:
    """The shard that a text like '3/8' names.

    Raises:
        ConfigError: it names none.
    """
    found = re.fullmatch(r'(\d{1,7})/(\d{1,7})', text)
    shard = Shard(*map(int, found.groups())) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.of <= _MOST:
        raise ConfigError(
            FLAG, text, 'it must be a number and of how many, such as 3/8; 1/1 is the whole study'
        )
    return shard


def of_environment(environment: Mapping[str, str]) -> tuple[Shard, str] | None:
    """The shard that a batch system's variables ask for, and how they do; None where none does.

    Raises:
        ConfigError: they name none.
    """
    if _SLURM[0] in environment:
        number, first, last, step, count = _numbers(environment, _SLURM)
        elements = range(first, last + 1, step or 1)
        if len(elements) != count or number not in elements:
            raise _unknown(
                f'{_SLURM[0]} is {number}, of an array of {count} from {first} to {last}; its '
                'elements must be evenly spaced, as with --array=0-7'
            )
        return Shard(elements.index(number) + 1, count), f'{_SLURM[0]} is {number}'
    if _KUBERNETES[0] in environment:
        index, count = _numbers(environment, _KUBERNETES)
        if index >= count:
            raise _unknown(f'{_KUBERNETES[0]} is {index} and {_KUBERNETES[1]} {count}')
        return Shard(index + 1, count), f'{_KUBERNETES[0]} is {index}'
    return None


def _numbers(environment: Mapping[str, str], names: Sequence[str]) -> list[int]:
    found = [environment.get(name, '') for name in names]
    for name, text in zip(names, found, strict=True):
        if not re.fullmatch(r'\d{1,9}', text):
            # Kubernetes tells a pod its index, and not how many there are.
            raise _unknown(f'{names[0]} is set, and {name} is {text!r} and must be a number, too')
    return list(map(int, found))


def _unknown(reason: str) -> ConfigError:
    return ConfigError(FLAG, MISSING, f'{reason}; or name a shard, such as {FLAG}=3/8')


def part(study: Study, shard: Shard) -> Study:
    """The study with no runs but a shard's, which may be none where shards are many."""
    return of_results(study, results(study, shard.of)[shard.number - 1])


def of_results(study: Study, own: Collection[tuple[int, int]]) -> Study:
    """The study with no runs but those of some of its results."""
    kept = set(own)
    return dataclasses.replace(study, part=tuple(r for r in study.runs if r.result in kept))


def results(study: Study, of: int) -> list[_Results]:
    """What each of so many shards has of `Study.results`, which it has with all their members.

    Shards are slices of the order in which the study trains, program by program and in each
    repeat by repeat, equal in work: so programs are few in each, and what shares a data set is
    mostly together. Programs stay whole, or else all conditions that one has of a repeat, wherever
    the longest shard does not become a quarter longer by that; the folds of a data set always do.
    """
    work = [
        c.remedy.members * c.images * c.architecture.training_multiplications
        for c in study.conditions
    ]

    def cut(atoms: list[_Results]) -> tuple[int, list[_Results]]:
        sizes = [sum(work[condition] for condition, _ in atom) for atom in atoms]
        counts = _deal(sizes, of)
        ends = list(itertools.accumulate(counts, initial=0))
        parts = [slice(*ends) for ends in itertools.pairwise(ends)]
        longest = max(sum(sizes[part]) for part in parts)
        return longest, [list(itertools.chain(*atoms[part])) for part in parts]

    *coarse, finest = map(cut, _atoms(study))
    least, _ = finest
    fitting = (parts for longest, parts in [*coarse, finest] if longest <= _LONGER * least)
    return next(fitting)


def _atoms(study: Study) -> list[list[_Results]]:
    """What shards may be made of, from the coarsest on, each in the order in which it trains."""
    folds = max(1, study.conditions[0].data.folds)
    levels: list[dict[tuple[int, ...], dict[tuple[int, int], None]]] = [{}, {}, {}]
    for program in range(len(study.programs())):
        for run in study.runs_of(program):
            data_set = run.repeat // folds
            keys = (program,), (program, data_set), (run.condition_index, data_set)
            for atoms, key in zip(levels, keys, strict=True):
                atoms.setdefault(key, {})[run.result] = None
    return [list(map(list, atoms.values())) for atoms in levels]


def _deal(sizes: Sequence[int], shards: int) -> list[int]:
    """How many each shard gets: with every one as near as can be to its share of what is left."""
    left, place, counts = sum(sizes), 0, []
    for others in range(shards, 0, -1):
        begin, taken = place, 0
        while place < len(sizes):
            if place > begin and others * (2 * taken + sizes[place]) > 2 * left:
                break
            taken += sizes[place]
            place += 1
        left -= taken
        counts.append(place - begin)
    return counts
