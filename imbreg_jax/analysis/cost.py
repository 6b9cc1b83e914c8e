"""What remedies cost beside no remedy: image passes, and time in one study on one machine.

Times are of a machine that may have had other work, and of a compiled program whose conditions
share them; so they are compared within one study alone, and never between workdirs.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.places import Entry, Place


def known(study: FinishedStudy) -> bool:
    """Whether any workdir says what its conditions took."""
    return any(_conditions(header) for header in study.headers)


def relative(study: FinishedStudy, own: Entry, none: Entry) -> tuple[float, float]:
    """Returns what a repeat of a remedy takes, in those of no remedy, all members counted.

    Args:
      study: the loaded study.
      own: what is weighed.
      none: what it is weighed against.

    Returns:
      Image passes, wherever both were trained; and seconds, the median over rates and workdirs in
      which both were, as a rate changes neither; NaN where that is not known.
    """
    held = [_conditions(header) for header in study.headers]
    passes = [
        next((of[name].get('images') for of in held for name in e.conditions if name in of), None)
        for e in (own, none)
    ]
    partners = [
        (of[first], of[second])
        for of in held
        for first, second in zip(own.conditions, none.conditions, strict=True)
        if first in of and second in of
    ]
    times = [_ratio(first.get('seconds'), second.get('seconds')) for first, second in partners]
    known = [time for time in times if math.isfinite(time)]
    return _ratio(*passes), statistics.median(known) if known else math.nan


def table(study: FinishedStudy, found: Sequence[Place]) -> pd.DataFrame:
    """Returns what remedies cost, in what no remedy does under the same law.

    Returns:
      A row per setting and remedy, no remedy among them: setting, remedy, passes and time, each the
      geometric mean over laws of which it is known.
    """
    rows = [
        (place.setting, entry.remedy, *np.log(relative(study, entry, none)))
        for place in found
        for none in place.entries[:1]
        for entry in place.entries
    ]
    frame = pd.DataFrame(rows, columns=['setting', 'remedy', 'passes', 'time'])
    means = frame.groupby(['setting', 'remedy'], sort=False, as_index=False).mean()
    return means.assign(passes=np.exp(means['passes']), time=np.exp(means['time']))


def _conditions(header: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return (header.get('timing') or {}).get('conditions') or {}


def _ratio(own: float | None, none: float | None) -> float:
    if own is None or none is None or not (own > 0 and none > 0):
        return math.nan
    return own / none
