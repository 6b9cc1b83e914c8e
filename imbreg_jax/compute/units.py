"""Units: slices of a program's runs that train together, and how their runs are dealt to devices.

Plain arithmetic on a study; nothing here knows JAX.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Hashable, Sequence

from imbreg_jax.study import Run, Study


@dataclasses.dataclass(frozen=True)
class Unit:
    """Runs trained together.

    Attributes:
      program: the program's number in `Study.programs()`.
      runs: which.
    """

    program: int
    runs: tuple[Run, ...]


def cut(study: Study, most: int, done: Collection[Run] = ()) -> list[Unit]:
    """The units of a study, in the order in which they train.

    Args:
      study: the study.
      most: runs of a unit.
      done: runs that are finished, or under way already.

    Returns:
      Units, each program's of one size as far as its runs allow.
    """
    gone = set(done)
    units: list[Unit] = []
    for program in range(len(study.programs())):
        left = [run for run in study.runs_of(program) if run not in gone]
        size = slice_size(len(left), most)
        units += [
            Unit(program, tuple(left[start : start + size])) for start in range(0, len(left), size)
        ]
    return units


def slice_size(runs: int, most: int) -> int:
    """The size of equal slices of so many runs: as few slices as there must be."""
    if runs == 0:
        return 1
    return -(-runs // -(-runs // most))


def deal(runs: int, devices: int) -> list[int]:
    """How many runs each device gets; they differ by at most one."""
    return [runs // devices + (device < runs % devices) for device in range(devices)]


def blocks(runs: Sequence[Run], devices: int) -> list[list[Run]]:
    """The runs of each device, in order."""
    parts, start = [], 0
    for count in deal(len(runs), devices):
        parts.append(list(runs[start : start + count]))
        start += count
    return parts


def tables_of(block: Sequence[Run], table: Callable[[Run], Hashable]) -> dict[Hashable, Run]:
    """What lies on a device for its runs: each of it once, in order, with the first run it is of.

    Args:
      block: the device's runs.
      table: what a run's resident arrays are of; runs for which it is the same share them.
    """
    found: dict[Hashable, Run] = {}
    for run in block:
        found.setdefault(table(run), run)
    return found


def most_tables(units: Sequence[Unit], devices: int, table: Callable[[Run], Hashable]) -> int:
    """The most of `tables_of` that a device has, in any of these units."""
    return max(
        (len(tables_of(block, table)) for unit in units for block in blocks(unit.runs, devices)),
        default=1,
    )
