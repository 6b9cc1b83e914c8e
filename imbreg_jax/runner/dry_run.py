"""What a study would be and take, without starting it: config, programs, memory, time, disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imbreg_jax.compute import backend, units
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.data import folds as folds_lib
from imbreg_jax.results import merging
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.runner import planning, speed
from imbreg_jax.study import Condition, Study, shards
from imbreg_jax.study.config import flatten
from imbreg_jax.study.fields import CODE
from imbreg_jax.study.settings import FIELDS
from imbreg_jax.study.shards import Shard

_NUMBER_BYTES = 4
# Parameters and Adam's two moments.
_STATE_COPIES = 3
_MOST_CONDITIONS = 12
_MOST_SHARDS = 20


def text(study: Study, workdir: str, shard: Shard | None = None) -> str:
    """Says it, as paragraphs for a terminal.

    Args:
      study: the study.
      workdir: its folder, which is read where it is there, and not made where it is not.
      shard: which of its shards would be trained; its sisters are told beside it.

    Raises:
      BackendError, ConfigError: as for a start.
      OutOfMemory: not even one run of each device fits.
      WorkdirError: the folder holds what cannot go on.
    """
    whole = study
    if shard is None:
        held = Workdir(workdir)
    else:
        if merging.merged(Path(workdir), study) is not None:
            return f'{workdir} holds the merged study: nothing would be trained'
        merging.refuse_other_counts(Path(workdir), shard.of)
        held = Workdir(merging.folder(Path(workdir), shard), shard)
        study = shards.part(study, shard)
    study = held.look(study)
    if held.damaged() == []:
        anew = ', its report made anew' if shard is None else ''
        return f'{held.path} holds the finished study: nothing would be trained{anew}'
    said = [_config(study), _conditions(whole)]
    with backend.pinned(study):
        devices = backend.prepare(study, planning.cores_begun_on(held))
        if study.runs:
            plan = planning.plan_for(study, held, devices)
            said.append('\n'.join(_programs(study, plan)))
            costs = _costs(study, plan, devices[: plan.devices], str(held.path))
            report = ', and a report of some 10 MB' if shard is None else ''
            said.append('\n'.join(costs) + report)
        if shard is not None:
            said.append('\n'.join(_shards(whole, shard, devices)))
    return '\n\n'.join(said)


def _config(study: Study) -> str:
    """Every field, those that depart from the defaults marked."""
    values = {name: value for name, value in flatten(study.resolved).items() if name in FIELDS}
    lines = [f'{study.name}: the config, with * where it departs from the defaults']
    for name, field in FIELDS.items():
        value = values[name]
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        lines.append(f'{"*" if value != default else " "} {name} = {value}')
    return '\n'.join(lines)


def _conditions(study: Study) -> str:
    names = [condition.name for condition in study.conditions]
    more = f', and {len(names) - _MOST_CONDITIONS} more' if len(names) > _MOST_CONDITIONS else ''
    fields = ('train_distribution', 'remedy', *study.varied)
    differing = [f for f in fields if len({_value(c, f) for c in study.conditions}) > 1]
    folds = study.conditions[0].data.folds
    lacking = folds_lib.told(folds, study.repeats) if folds else ''
    members = [condition.remedy.members for condition in study.conditions]
    of_members = ', with the members of ensembles' if max(members) > 1 else ''
    return (
        f'{_count(len(names), "condition")} x {_count(len(study.repeats), "repeat")} = '
        f'{_count(len(study.runs), "run")}{of_members}: '
        f'{", ".join(names[:_MOST_CONDITIONS])}{more}\n'
        f'conditions differ in: {", ".join(differing) or "nothing"}' + (lacking and f'\n{lacking}')
    )


def _programs(study: Study, plan: plan_lib.Plan) -> Iterable[str]:
    """A line a program: what sets it apart, and what is data to it."""
    groups = study.programs()
    cut = units.cut(study, plan.runs_per_unit)
    apart = [field for field in study.varied if FIELDS[field].role is CODE]
    for number, group in enumerate(groups):
        conditions = [study.conditions[i] for i in group]
        first = conditions[0]
        what = [f'{field} = {_value(first, field)}' for field in apart]
        if len({c.remedy.code for c in study.conditions}) > 1:
            what.append(f'remedy = {first.remedy.spec or "none"}')
        shared = [
            field
            for field in ('train_distribution', 'remedy', *study.varied)
            if len({_value(c, field) for c in conditions}) > 1
        ]
        network = first.architecture
        folded = '' if all(layer.folded for layer in network.convolutions) else ', not folded'
        slices = [len(unit.runs) for unit in cut if unit.program == number]
        if not slices:  # none of a shard's
            continue
        runs = f'{_count(sum(slices), "run")} in {_count(len(slices), "unit")}'
        yield (
            f'program {number + 1} of {len(groups)}: {_count(len(group), "condition")}, '
            f'{runs} of up to {max(slices)}; '
            f'{network.parameters:,} parameters, {network.training_multiplications:,} '
            f'multiplications an image{folded}'
            + (f'; {", ".join(what)}' if what else '')
            + (f'; data to it: {", ".join(shared)}' if shared else '')
        )


def _costs(study: Study, plan: plan_lib.Plan, devices: list[Any], workdir: str) -> Iterable[str]:
    kind = f'{len(devices)} x {devices[0].device_kind}'
    yield f'memory: about {plan.bytes_predicted / 1e9:.2g} GB on {kind}, images {plan.kept}'
    images = sum(study.conditions[run.condition_index].images for run in study.runs)
    rate = speed.recall(devices)
    if rate:
        took = _duration(speed.work(study) / rate)
        how = 'as fast as the last study trained here, and compiling'
        yield f'time: about {took} for {images:,} images, {how}'
    else:
        yield f'time: unknown for {images:,} images until a study has trained here'
    yield (
        f'disk: up to {disk(study) / 1e6:.2g} MB of predictions, weights and checkpoints in '
        f'{workdir}'
    )


def disk(study: Study) -> int:
    """Bytes of what a study keeps, at most: predictions, weights and checkpoints, uncompressed."""
    settings = study.evaluation
    predictions = weights = 0
    for place, _ in study.results:
        condition = study.conditions[place]
        each = study.test_size
        if settings.validation_under_test:
            each += condition.data.validation_size
        test = len(study.test_distributions) * each
        predictions += 2 * (test + condition.data.validation_size + settings.dense_size)
        weights += condition.remedy.members * condition.architecture.parameters
    # The newest checkpoint is written beside those that are kept.
    copies = 1 + _STATE_COPIES * (1 + study.compute.checkpoints_kept)
    return _NUMBER_BYTES * (2 * predictions + copies * weights)


def _shards(study: Study, own: Shard, devices: list[Any]) -> Iterable[str]:
    """A line a shard: its runs, and what it takes on a machine like this one."""
    cut = shards.results(study, own.of)[:_MOST_SHARDS]
    yield f'{own.of} shards, with * that which this start would train:'
    for number, part in enumerate((shards.of_results(study, results) for results in cut), 1):
        mark = '*' if number == own.number else ' '
        if not part.runs:
            yield f'{mark} {number}: nothing, as the study has fewer runs'
            continue
        plan = plan_lib.make(part, devices)
        rate = speed.recall(devices[: plan.devices])
        took = f', {_duration(speed.work(part) / rate)}' if rate else ''
        programs = len({unit.program for unit in units.cut(part, plan.runs_per_unit)})
        yield (
            f'{mark} {number}: {_count(len(part.runs), "run")} in '
            f'{_count(programs, "program")}, {plan.bytes_predicted / 1e9:.2g} GB of memory, '
            f'{disk(part) / 1e6:.2g} MB on disk{took}'
        )
    if own.of > _MOST_SHARDS:
        yield f'  and {own.of - _MOST_SHARDS} more'


def _value(condition: Condition, field: str) -> Any:
    if field == 'train_distribution':
        return condition.distribution.spec
    return condition.remedy.spec if field == 'remedy' else condition.value(field)


def _count(number: int, what: str) -> str:
    return f'{number:,} {what}{"" if number == 1 else "s"}'


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 6000 else f'{seconds / 3600:.1f} h'
