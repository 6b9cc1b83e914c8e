"""Writes sera.json beside this file: what the package of SERA's authors gives.

By hand, in an environment of its own, which needs nothing of this repository: ImbalanceMetrics
(github.com/paobranco/ImbalanceMetrics, commit bb13502), smogn 0.1.2, which has its relevance
function, scikit-learn 1.5.2 and NumPy 1.26.4.

    python tests/testdata/make_sera_fixtures.py
"""

import json
import pathlib

import numpy as np
import pandas as pd
from imbalance_metrics import regression_metrics

PATH = pathlib.Path(__file__).with_name('sera.json')
COUNT = 60


def main() -> None:
    """Scores one estimate of targets with extremes on one side, on both, and with ties."""
    generator = np.random.default_rng(0)
    drawn = {
        'high': generator.exponential(2.0, COUNT) + 1.0,
        'low': 10.0 - generator.exponential(2.0, COUNT),
        'both': generator.standard_t(2.0, COUNT),
        'ties': np.round(generator.exponential(2.0, COUNT)),
    }
    cases = {}
    for name, targets in drawn.items():
        predictions = targets + generator.normal(0.0, 1.0, COUNT)
        cases[name] = {
            'targets': targets.tolist(),
            'predictions': predictions.tolist(),
            'relevance': [float(x) for x in regression_metrics.calculate_phi(pd.Series(targets))],
            'sera': float(regression_metrics.sera(targets, predictions, step=0.001)),
        }
    PATH.write_text(json.dumps(cases) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
