"""What a study would be and take, without starting it: config, programs, memory, time, disk."""

from collections.abc import Iterable
from typing import Any

from imbreg_jax.compute import backend, units
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.results.workdir import Workdir
from imbreg_jax.runner import planning, speed
from imbreg_jax.study import Condition, Study
from imbreg_jax.study.config import flatten
from imbreg_jax.study.fields import CODE
from imbreg_jax.study.settings import FIELDS

_NUMBER_BYTES = 4
# Parameters and Adam's two moments.
_STATE_COPIES = 3
_MOST_CONDITIONS = 12


def text(study: Study, workdir: str) -> str:
    """Says it, as paragraphs for a terminal.

    Args:
      study: the study.
      workdir: its folder, which is read where it is there, and not made where it is not.

    Raises:
      BackendError, ConfigError: as for a start.
      OutOfMemory: not even one run of each device fits.
      WorkdirError: the folder holds what cannot go on.
    """
    held = Workdir(workdir)
    study = held.look(study)
    if held.damaged() == []:
        return f'{workdir} holds the finished study: nothing would be trained, its report made anew'
    with backend.pinned(study):
        devices = backend.prepare(study, planning.cores_begun_on(held))
        plan = planning.plan_for(study, held, devices)
    return '\n\n'.join(
        [
            _config(study),
            _conditions(study),
            '\n'.join(_programs(study, plan)),
            '\n'.join(_costs(study, plan, devices[: plan.devices], workdir)),
        ]
    )


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
    members = [condition.remedy.members for condition in study.conditions]
    of_members = ', with the members of ensembles' if max(members) > 1 else ''
    return (
        f'{_count(len(names), "condition")} x {_count(len(study.repeats), "repeat")} = '
        f'{_count(len(study.runs), "run")}{of_members}: '
        f'{", ".join(names[:_MOST_CONDITIONS])}{more}\n'
        f'conditions differ in: {", ".join(differing) or "nothing"}'
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
        f'{workdir}, and a report of some 10 MB'
    )


def disk(study: Study) -> int:
    """Bytes of what a study keeps, at most: predictions, weights and checkpoints, uncompressed."""
    settings = study.evaluation
    predictions = weights = 0
    for condition in study.conditions:
        each = study.test_size
        if settings.validation_under_test:
            each += condition.data.validation_size
        test = len(study.test_distributions) * each
        predictions += 2 * (test + condition.data.validation_size + settings.dense_size)
        weights += condition.remedy.members * condition.architecture.parameters
    # The newest checkpoint is written beside those that are kept.
    copies = 1 + _STATE_COPIES * (1 + study.compute.checkpoints_kept)
    return _NUMBER_BYTES * len(study.repeats) * (2 * predictions + copies * weights)


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
