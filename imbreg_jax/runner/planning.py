"""Under which plan a study goes on: that of its first start, wherever digits hang on it."""

import dataclasses
import logging
from typing import Any

from imbreg_jax.compute import backend
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.study import Study

logger = logging.getLogger('imbreg_jax')

# Fields of a config that a plan follows, and that may be others than at the last start.
_FOLLOWED = ('compute.runs_per_program', 'compute.steps_per_chunk', 'data.cache')


def cores_begun_on(workdir: Workdir | None) -> int:
    """Cores of the first start, where something was trained, as they decide digits; or 0."""
    if workdir is None or not workdir.begun():
        return 0
    held = workdir.read_plan()
    cores = held.get('cores') if isinstance(held, dict) else None
    return cores if isinstance(cores, int) and 0 < cores <= plan_lib.MOST_CORES else 0


def plan_for(study: Study, workdir: Workdir | None, devices: list[Any]) -> plan_lib.Plan:
    """The plan that a study was begun under, or a new one where nothing is trained yet.

    Args:
      study: the study.
      workdir: its folder, checked; None for none.
      devices: the devices that are here.

    Raises:
      WorkdirError: the plan cannot be read.
      OutOfMemory: not even one run of each device fits.
    """
    held = None if workdir is None else workdir.read_plan()
    if workdir is None or held is None:
        return plan_lib.make(study, devices)
    try:
        plan = plan_lib.Plan.from_json(held)
        plan_lib.check(plan, study)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise WorkdirError(
            f'{workdir.plan} is no plan that this version knows ({error}); use the version '
            'that wrote it, or name another --workdir=DIR'
        ) from error
    if not workdir.begun():
        same = plan.platform == backend.platform(devices) and plan.devices <= len(devices)
        same = same and plan.cores == backend.threads() and not _changed(study, workdir)
        return plan if same else plan_lib.make(study, devices)
    if reason := _cannot_go_on(plan, devices):
        # A checkpoint holds runs, however they lay on devices, so they go on here as well.
        logger.warning(
            'workdir %s was begun %s; it goes on here, and its results may have other last digits '
            'than there; to have the same, resume it there',
            workdir.path, reason,
        )  # fmt: skip
        return plan_lib.make(study, devices)
    if 'compute.runs_per_program' in _changed(study, workdir):
        return plan_lib.make(study, devices)
    if plan.cached and study.cache == 'never':
        # The values are the same bit for bit, so this may change on the way.
        plan = dataclasses.replace(plan, cached=False, rendered=False)
    return plan


def _cannot_go_on(plan: plan_lib.Plan, devices: list[Any]) -> str:
    """Why a plan cannot be followed here, as the end of a sentence; '' where it can."""
    platform = backend.platform(devices)
    if plan.platform != platform or plan.devices > len(devices):
        here = f'here are {len(devices)} of {platform}'
        return f'on {plan.devices} {plan.platform} device(s), and {here}'
    cores = backend.threads()
    if platform == 'cpu' and plan.cores not in (0, cores):
        return (
            f'on {plan.cores} core(s), and JAX was in use in this process before the study, on '
            f'{cores}'
        )
    return ''


def _changed(study: Study, workdir: Workdir) -> list[str]:
    """Fields that the plan follows and that are not as they were at the last start."""
    held = (workdir.held or {'config': study.resolved})['config']
    return [
        field
        for field in _FOLLOWED
        for section, leaf in [field.split('.')]
        if held[section][leaf] != study.resolved[section][leaf]
    ]
