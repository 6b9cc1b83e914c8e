"""What to do when a device runs out of memory although the plan was made to fit.

The plan predicts memory from shapes; another process on the device, or a compiler's temporary
arrays, can prove it wrong.  Then the study goes on with less at once.
"""

import dataclasses
import re

import jax

from imbreg_jax.compute import memory
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.study import Study

_SIZES = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}
_ASKED = re.compile(
    r'(?:allocat\w*|requires?|requested|of size|needs?)\D{0,40}?([\d.]+) ?([KMGT]?)i?(?:B\b|bytes)',
    re.I,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the host."""
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return isinstance(error, jax.errors.JaxRuntimeError) and (
        'RESOURCE_EXHAUSTED' in text or 'out of memory' in text.lower()
    )


def requested_bytes(error: BaseException) -> int | None:
    """How many bytes an out-of-memory error says were asked for, or None."""
    found = _ASKED.search(str(error))
    if found is None:
        return None
    return round(float(found[1].rstrip('.')) * _SIZES[found[2].upper()])


def smaller(study: Study, plan: plan_lib.Plan) -> plan_lib.Plan | None:
    """The next plan that needs less memory, or None.

    First noise is cached instead of drawn images, then images are drawn anew instead of cached,
    which changes no value; then the runs of a unit are halved.
    """
    if plan.cached and plan.rendered:
        return _predicted(study, dataclasses.replace(plan, rendered=False))
    if plan.cached and study.cache != 'always':
        return _predicted(study, dataclasses.replace(plan, cached=False))
    if plan.runs_per_unit > 1:
        return _predicted(study, _halved(plan))
    return None


def _halved(plan: plan_lib.Plan) -> plan_lib.Plan:
    runs = -(-plan.runs_per_unit // 2)
    return dataclasses.replace(plan, runs_per_unit=runs, devices=min(plan.devices, runs))


def sentence(error: BaseException, study: Study, plan: plan_lib.Plan) -> str:
    """What ran out, how much was asked for, and what would fit."""
    asked = requested_bytes(error)
    text = 'out of memory' + (f': {asked:,} bytes were asked for' if asked else '')
    text += (
        f', with {plan.runs_per_unit} runs in a program, predicted to need '
        f'{plan.bytes_predicted:,} bytes'
    )
    tries = []
    if plan.cached:
        without = _predicted(study, dataclasses.replace(plan, cached=False, rendered=False))
        tries.append(f"config.data.cache = 'never' (about {without.bytes_predicted:,} bytes)")
    if plan.runs_per_unit > 1:
        fewer = _predicted(study, _halved(plan))
        tries.append(
            f'config.compute.runs_per_program = {fewer.runs_per_unit} '
            f'(about {fewer.bytes_predicted:,} bytes)'
        )
    if not tries:
        tries.append('a smaller config.training.batch_size or config.evaluation.batch_size')
    return f'{text}; what would need less: {" or ".join(tries)}'


def _predicted(study: Study, plan: plan_lib.Plan) -> plan_lib.Plan:
    needed = memory.bytes_needed(
        study, plan.platform, plan.devices, plan.runs_per_unit, plan.cached, plan.rendered
    )
    return dataclasses.replace(plan, bytes_predicted=needed)
