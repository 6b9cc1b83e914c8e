"""Writes weights.json beside this file: what the packages of two methods' authors give.

By hand, in an environment of its own, which needs nothing of this repository: denseweight 0.1.2
(PyPI; its module is that of github.com/SteiMi/denseweight, commit dd61852) with KDEpy 1.1.12,
scikit-learn 1.9.1, SciPy 1.17.1 and NumPy 2.4.6; and the folder agedb-dir of
github.com/YyzHarry/imbalanced-regression, commit a6fdc45, whose `AgeDB._prepare_weights` is called
on ages alone. Modules that it imports for images and training, and does not use here, are left out.

    python tests/testdata/make_weight_fixtures.py imbalanced-regression/agedb-dir
"""

import json
import pathlib
import sys
from unittest import mock

import numpy as np
import pandas as pd

PATH = pathlib.Path(__file__).with_name('weights.json')
COUNT = 60


def dense_weights() -> list:
    """DenseWeight of targets with a tail, of a bell, of none, and of two clumps."""
    from denseweight import DenseWeight

    generator = np.random.default_rng(0)
    drawn = {
        'tail': 1 + generator.exponential(2.0, COUNT),
        'bell': generator.normal(5.5, 1.0, COUNT),
        'uniform': generator.uniform(1, 10, COUNT),
        'clumps': np.r_[generator.normal(2, 0.1, COUNT // 2), generator.normal(300, 5, COUNT // 2)],
    }
    options = (
        {},
        {'alpha': 0.5},
        {'alpha': 2.0, 'eps': 0.01},
        {'bandwidth': 0.3},
    )
    return [
        {
            'name': name,
            'targets': targets.tolist(),
            'options': given,
            'weights': DenseWeight(**given).fit(targets).tolist(),
        }
        for name, targets in drawn.items()
        for given in options
    ]


def age_weights(folder: str) -> dict:
    """Inverse and smoothed weights of 3,000 ages below 121, most of them in few bins."""
    sys.path.insert(0, folder)
    unused = ('torch', 'torch.utils', 'torchvision', 'torchvision.transforms', 'PIL')
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in unused}):
        sys.modules['torch.utils'].data.Dataset = object
        import datasets
        import utils
    generator = np.random.default_rng(1)
    # So that the clip at 5 and the one at 1,000 both hold somewhere.
    ages = np.r_[generator.integers(0, 121, 300), generator.normal(40, 12, 1500).astype(int)]
    ages = np.clip(np.r_[ages, np.full(1200, 40)], 0, 120)
    found = []
    for reweight in ('sqrt_inv', 'inverse'):
        cases: list = [None]
        cases += [(k, s, g) for k in ('gaussian', 'triang', 'laplace') for s, g in ((5, 2), (9, 1))]
        for case in cases:
            data = datasets.AgeDB(
                pd.DataFrame({'age': ages}), '', 224, 'train', reweight, case is not None,
                *(case or ('gaussian', 5, 2)),
            )  # fmt: skip
            window = None if case is None else np.asarray(utils.get_lds_kernel_window(*case))
            found.append(
                {
                    'reweight': reweight,
                    'smoothing': case,
                    'window': None if window is None else window.tolist(),
                    # By age, of those that there are.
                    'weights': dict(zip(ages.tolist(), map(float, data.weights), strict=True)),
                }
            )
    return {'counts': np.bincount(ages, minlength=121).tolist(), 'cases': found}


def main() -> None:
    """Writes the file."""
    found = {'dense_weight': dense_weights(), 'ages': age_weights(sys.argv[1])}
    PATH.write_text(json.dumps(found) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
