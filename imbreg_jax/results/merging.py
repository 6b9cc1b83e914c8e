"""A study's shards, and the one study that is made of them.

Each shard has a folder below the study's, `shards/<number>_of_<how many>`, which is a workdir of
its own: config, plan, lock and checkpoints, and in the end the rows of its runs and a file of
arrays for each unit.  Merging reads those and writes into the study's folder what it would hold had
it been trained whole; it can be repeated, and a study is merged once its config.json says so.
"""

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from imbreg_jax.evaluation.references import FITTED
from imbreg_jax.results import assemble, files, kept_tables
from imbreg_jax.results import workdir as workdir_lib
from imbreg_jax.results.assemble import Outcome
from imbreg_jax.results.layout import SHARDS, WorkdirError
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.study import Run, Study, differences, restore, shards
from imbreg_jax.study.shards import Shard

_FOLDER = re.compile(r'(\d+)_of_(\d+)')
# Condition, training distribution, predictor and repeat of a line of results.csv.
_BEGINNING = re.compile(rb'(?:(?:"(?:[^"]|"")*"|[^,"]*),){4}')
# In the order of the rows of a study's results.csv; see `assemble.results`.
_PREDICTORS = (('cnn', 'cnn_calibrated', 'cnn_scaled'), ('random_guess',), FITTED, ('floor',))


# What shards need for their rows alone.
_OF_ROWS = ('best_constant', 'linear_moments', 'relevance_points', 'diverged_epoch')


class _Part(NamedTuple):
    """A finished shard: its folder, and what its config.json holds."""

    folder: Path
    held: dict[str, Any]


def folder(workdir: Path, shard: Shard) -> Path:
    """Where a shard of the study in a workdir is kept."""
    return workdir / SHARDS / f'{shard.number}_of_{shard.of}'


def merged(workdir: Path, study: Study) -> Study | None:
    """The study as a workdir holds it that may be of shards, once they are merged.

    Raises:
      WorkdirError: the workdir is of another study, or of one that is trained whole.
    """
    whole = Workdir(workdir, of_shards=True)
    study = whole.look(study)
    return study if whole.damaged() == [] else None


def found(workdir: Path) -> list[Shard]:
    """The shards that have a folder, in order."""
    place = workdir / SHARDS
    names = [path.name for path in place.iterdir()] if place.is_dir() else []
    matches = [match for name in names if (match := _FOLDER.fullmatch(name))]
    return sorted(Shard(int(match[1]), int(match[2])) for match in matches)


def refuse_other_counts(workdir: Path, of: int) -> None:
    """Refuses to go on in so many shards where a workdir has others.

    Raises:
      WorkdirError: it has.
    """
    others = sorted({shard.of for shard in found(workdir)} - {of})
    if others:
        raise WorkdirError(
            f'workdir {workdir} holds shards of {others[0]}, whose runs would be trained again in '
            f'shards of {of}; go on with --shard=NUMBER/{others[0]}, remove '
            f'{workdir / SHARDS}, or name another with --workdir=DIR'
        )


def finished(workdir: Path, of: int) -> list[int]:
    """The numbers of the finished shards that a workdir holds, of so many.

    Args:
      workdir: the study's folder.
      of: how many shards there are.
    """
    shards = (shard for shard in found(workdir) if shard.of == of)
    return [shard.number for shard in shards if _is_finished(folder(workdir, shard))]


def wanting(workdir: Path, study: Study, of: int) -> list[str]:
    """What still keeps a study's shards from being merged, a clause for each shard.

    Args:
      workdir: the study's folder.
      study: the study.
      of: how many shards there are.
    """
    clauses = []
    for number, own in enumerate(shards.results(study, of), 1):
        shard = Shard(number, of)
        place = folder(workdir, shard)
        if not own or _is_finished(place):
            continue
        how = 'is not finished: go on' if workdir_lib.is_workdir(place) else 'is missing: start it'
        clauses.append(f'shard {number} of {of} {how} with --shard={shard}')
    return clauses


def check(workdir: Workdir) -> None:
    """Refuses shards that cannot be merged as they are; see `merge`."""
    _parts(workdir)


def merge(workdir: Workdir) -> Study:
    """Makes of a study's shards what it would have left whole; can be repeated.

    Args:
      workdir: the study's folder, entered.

    Returns:
      The study.

    Raises:
      WorkdirError: a shard is missing, not finished, damaged or of another study, or a run is in
        two of them; nothing is written then.
      OSError: a file cannot be read or written, or the disk is full.
    """
    parts, study = _parts(workdir)
    workdir.check(study)
    _refuse_gaps(study, parts)
    _refuse_damage(parts)
    held = _held(study, parts)
    # The config first, as in any study: it says of what the folder is.
    workdir.write_held(held)
    kept_tables.write(workdir.path, study)
    _write(workdir.metrics, _epoch_rows(study, [_read(part, 'metrics.jsonl') for part in parts]))
    _write_arrays(workdir, study, parts)
    _write(workdir.results, _result_rows(study, [_read(part, 'results.csv') for part in parts]))
    workdir.finish(held)
    return study


def read_results(workdir: Path) -> pd.DataFrame:
    """The rows of a merged study's results.csv; raises WorkdirError where they are not there."""
    held = workdir_lib.read_config(workdir / 'config.json')
    return files.read_results_csv(workdir_lib.read_result(workdir, held, 'results.csv'))


def _is_finished(place: Path) -> bool:
    try:
        return 'finished' in workdir_lib.read_config(place / 'config.json')
    except WorkdirError:
        return False


def _parts(workdir: Workdir) -> tuple[list[_Part], Study]:
    """Every shard, each finished and of one study, and that study."""
    begun = found(workdir.path)
    if not begun:
        raise WorkdirError(
            f'{workdir.path} holds no shards to merge; a study is trained in shards with '
            '--shard=NUMBER/OF'
        )
    counts = sorted({shard.of for shard in begun})
    if len(counts) > 1:
        raise WorkdirError(
            f'{workdir.path / SHARDS} holds shards of {" and of ".join(map(str, counts))}, which '
            'make no study together; remove those of all but one'
        )
    places = [folder(workdir.path, shard) for shard in begun]
    source = kept_tables.source(places)
    first = _held_of(workdir.path, begun, places)
    study = restore(first, source)
    if clauses := wanting(workdir.path, study, counts[0]):
        raise WorkdirError(f'{workdir.path} cannot be merged: {files.listed(clauses)}')
    parts = []
    for shard, place in zip(begun, places, strict=True):
        part = Workdir(place, shard)
        held = workdir_lib.read_config(part.config)
        if held['config'] != first['config']:
            _refuse_other_study(place, differences(study, restore(held, source)))
        # Beside the config, that it is the shard that its folder's name says.
        part.look(study)
        parts.append(_Part(place, held))
    return parts, study


def _held_of(workdir: Path, found: Sequence[Shard], places: Sequence[Path]) -> dict[str, Any]:
    """What the first config.json of shards holds.

    Raises:
      WorkdirError: there is none.
    """
    for place in places:
        if workdir_lib.is_workdir(place):
            return workdir_lib.read_config(place / 'config.json')
    raise WorkdirError(
        f'{workdir} cannot be merged: no shard of {found[0].of} has begun; start each with '
        f'--shard=NUMBER/{found[0].of}'
    )


def _refuse_other_study(place: Path, changed: list[str]) -> None:
    if changed:
        raise WorkdirError(
            f'{place} is of another study than the shards before it ({"; ".join(changed)}); '
            'remove it, and train that shard again'
        )


def _refuse_gaps(study: Study, parts: Sequence[_Part]) -> None:
    """Refuses shards that do not have each run once, as those of two versions may not.

    Raises:
      WorkdirError: a run is in none, or in two.
    """
    owners: dict[Run, Path] = {}
    for part in parts:
        for run in (Run(*run) for unit in part.held['shard']['units'] for run in unit):
            if run in owners:
                raise WorkdirError(
                    f'{_named(study, run)} is in {owners[run].name} and in {part.folder.name}; '
                    'remove one of them, and train that shard again'
                )
            owners[run] = part.folder
    lacking = [run for run in study.runs if run not in owners]
    if lacking:
        raise WorkdirError(
            f'{_named(study, lacking[0])} is in no shard, although all are there: they were cut by '
            'other versions; train them again by one'
        )


def _named(study: Study, run: Run) -> str:
    return f'repeat {run.repeat} of {study.conditions[run.condition_index].name}'


def _refuse_damage(parts: Sequence[_Part]) -> None:
    for part in parts:
        for name in workdir_lib.result_files(part.held):
            _read(part, name)


def _read(part: _Part, name: str) -> bytes:
    return workdir_lib.read_result(part.folder, part.held, name)


def _arrays(part: _Part, name: str, wanted: Callable[[str], bool]) -> dict[str, Any]:
    try:
        return files.read_arrays(_read(part, name), wanted=wanted)
    except ValueError as error:
        raise WorkdirError(f'{part.folder / name} is damaged ({error}); put it back') from error


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with files.whole(path) as file:
        file.writelines(parts)


def _write_arrays(workdir: Workdir, study: Study, parts: Sequence[_Part]) -> None:
    # One after the other, so that the memory need not hold both.
    predictions = _merged(study, parts, lambda name: '/' not in name and name not in _OF_ROWS)
    files.write_arrays(workdir.predictions, assemble.predictions(study, predictions))
    del predictions
    weights = _merged(study, parts, lambda name: '/' in name)
    files.write_arrays(workdir.weights, assemble.weights(study, weights))


def _merged(
    study: Study, parts: Sequence[_Part], wanted: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """The arrays of these names of each of the study's results."""
    outcomes = [
        Outcome([Run(*run) for run in unit], _arrays(part, workdir_lib.unit_name(number), wanted))
        for part in parts
        for number, unit in enumerate(part.held['shard']['units'])
    ]
    return assemble.merge(study, outcomes)


def _result_rows(study: Study, contents: Sequence[bytes]) -> Iterator[bytes]:
    """The content of results.csv, in the study's order, from those of its shards."""
    kinds = {name: kind for kind, names in enumerate(_PREDICTORS) for name in names}
    blocks: dict[tuple[int, str, int], list[bytes]] = {}
    for content in contents:
        header, *lines = content.splitlines(keepends=True)
        # A study has many times more lines than beginnings of them.
        for start, own in itertools.groupby(lines, _beginning):
            ((condition, _, predictor, number, _),) = csv.reader([start.decode()])
            key = kinds[predictor], condition, int(number)
            blocks.setdefault(key, []).append(b''.join(own))
    yield header
    for kind in range(len(_PREDICTORS)):
        for place, repeat in study.results:
            # The random guess that is common to conditions bears no condition's name.
            names = [study.conditions[place].name] if place else ['', study.conditions[0].name]
            for name in names:
                yield from blocks.get((kind, name, repeat), ())


def _beginning(line: bytes) -> bytes:
    found = _BEGINNING.match(line)
    assert found is not None, line
    return found[0]


def _epoch_rows(study: Study, contents: Sequence[bytes]) -> Iterator[bytes]:
    """The lines of metrics.jsonl, in the study's order, from those of its shards."""
    order = assemble.order(study)
    rows = [
        (order(json.loads(line)), line)
        for content in contents
        for line in content.splitlines(keepends=True)
    ]
    return (line for _, line in sorted(rows))


def _held(study: Study, parts: Sequence[_Part]) -> dict[str, Any]:
    """The content of a merged study's config.json, but for the digests of its files."""
    helds = [part.held for part in parts]
    first = {
        key: value for key, value in helds[0].items() if key not in ('shard', 'finished', 'digest')
    }
    return first | {
        'devices': _distinct(name for held in helds for name in held['devices']),
        'timing': _timing(study, helds),
        'history': _distinct(entry for held in helds for entry in held['history']),
        'shards': helds[0]['shard']['of'],
    }


def _timing(study: Study, helds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """When shards began and ended, and what they took together."""
    timings = [held['timing'] for held in helds]
    seconds = sum(timing['seconds'] for timing in timings)
    images = sum((timing['images_per_second'] or 0) * timing['seconds'] for timing in timings)
    taken: dict[str, float] = {}
    for held in helds:
        runs = {tuple(run[:2]) for unit in held['shard']['units'] for run in unit}
        for name, condition in held['timing']['conditions'].items():
            own = sum(study.conditions[place].name == name for place, _ in runs)
            known = condition['seconds'] is not None
            spent = condition['seconds'] * own if known else float('nan')
            taken[name] = taken.get(name, 0.0) + spent
    return {
        'started': min(timing['started'] for timing in timings),
        'finished': max(timing['finished'] for timing in timings),
        'seconds': seconds,
        'compile_seconds': sum(timing['compile_seconds'] for timing in timings),
        'images_per_second': images / seconds if seconds else None,
        'conditions': {
            condition.name: files.finite(
                {
                    'images': condition.remedy.members * condition.images,
                    'seconds': taken[condition.name] / len(study.repeats),
                }
            )
            for condition in study.conditions
        },
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
