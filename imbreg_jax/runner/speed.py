"""How fast studies have trained on these devices before, for what a dry run expects of the next."""

import json
from pathlib import Path
from typing import Any

from imbreg_jax.compute import backend
from imbreg_jax.compute.plan import relative_work
from imbreg_jax.results import files
from imbreg_jax.study import Study

# What is less says more of starts and small arrays than of a machine's speed: some 3 seconds of a
# core, in steps of the paper's network and batch.
_LEAST_STEPS = 500.0


def work(study: Study) -> float:
    """What training a study takes, in steps of the paper's network and batch."""
    each = [condition.steps * relative_work(condition) for condition in study.conditions]
    return sum(each[run.condition_index] for run in study.runs)


def remember(devices: list[Any], steps: float, seconds: float) -> None:
    """Notes that so many of the paper's steps took so many seconds, evaluation included."""
    if steps < _LEAST_STEPS or seconds <= 0:
        return
    try:
        files.write_json(_file(), _held() | {_name(devices): steps / seconds})
    except OSError:  # No folder of the user's to write to: the next dry run knows no time.
        return


def recall(devices: list[Any]) -> float | None:
    """Steps of the paper's network a second as last noted on such devices; None where none is."""
    found = _held().get(_name(devices))
    return found if isinstance(found, float) and found > 0 else None


def _file() -> Path:
    return backend.cache_folder() / 'speeds.json'


def _held() -> dict[str, Any]:
    try:
        held = json.loads(_file().read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _name(devices: list[Any]) -> str:
    cores = f', {backend.threads()} cores' if backend.platform(devices) == 'cpu' else ''
    return f'{len(devices)} x {devices[0].device_kind}{cores}'
