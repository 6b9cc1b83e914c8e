"""Writes losses.json beside this file: what the published losses give, and their gradients.

By hand, in an environment of its own, which needs nothing of this repository: torch 2.13.0,
scikit-learn 1.9.0 and joblib 1.6.0, and on PYTHONPATH the folders `agedb-dir` of
github.com/YyzHarry/imbalanced-regression (commit a6fdc45), for its module loss, and `imdb-wiki-dir`
of github.com/jiawei-ren/BalancedMSE (commit c6f2f33), for its module balanaced_mse.

    PYTHONPATH=agedb-dir:imdb-wiki-dir python tests/testdata/make_loss_fixtures.py
"""

import json
import pathlib

import balanaced_mse
import loss
import numpy as np
import torch
from sklearn.mixture import GaussianMixture

PATH = pathlib.Path(__file__).with_name('losses.json')
COUNT = 12
STEPS = 20


def gradients(function, predictions, *others):
    """The loss, and its gradients in the predictions and whatever else wants one."""
    wanted = [predictions, *(other for other in others if other.requires_grad)]
    found = function(predictions, *others)
    parts = torch.autograd.grad(found, wanted)
    return {'loss': found.item(), 'gradients': [part.flatten().tolist() for part in parts]}


def focal_and_huber(predictions, targets, weights):
    """The losses of imbalanced-regression, under weights, for some of their parameters."""
    predictions = torch.tensor(predictions, requires_grad=True)
    targets, weights = torch.tensor(targets), torch.tensor(weights)
    functions = {1: loss.weighted_focal_l1_loss, 2: loss.weighted_focal_mse_loss}
    focal = [
        {'power': power, 'beta': beta, 'gamma': gamma}
        | gradients(
            lambda x, y, w, of=function, b=beta, g=gamma: of(x, y, w, beta=b, gamma=g),
            predictions, targets, weights,
        )
        for power, function in functions.items()
        for beta, gamma in ((0.2, 1), (1.5, 0.5), (0.7, 2.0))
    ]  # fmt: skip
    huber = [
        {'delta': delta}
        | gradients(
            lambda x, y, w, d=delta: loss.weighted_huber_loss(x, y, w, beta=d),
            predictions, targets, weights,
        )
        for delta in (0.5, 1.0, 3.0)
    ]  # fmt: skip
    return {'focal_r': focal, 'huber': huber}


def balanced(predictions, targets, labels):
    """The three forms of Balanced MSE, with gradients in the noise, and noise as they learn it."""
    column = torch.tensor(predictions)[:, None].requires_grad_()
    targets = torch.tensor(targets)[:, None]
    fitted = GaussianMixture(n_components=3, random_state=0).fit(labels[:, None])
    mixture = {
        'weights': torch.tensor(fitted.weights_),
        'means': torch.tensor(fitted.means_),
        'variances': torch.tensor(fitted.covariances_),
    }
    centres = torch.tensor([1.0, 2.5, 4.0, 7.0, 9.0], dtype=torch.float64)
    shares = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64)
    forms = {
        'bmc': balanaced_mse.bmc_loss,
        'gai': lambda x, y, t: balanaced_mse.gai_loss(x, y, mixture, t),
        'bni': lambda x, y, t: balanaced_mse.bni_loss(x, y, t, centres, shares),
    }
    cases = []
    for form, function in forms.items():
        for start in (0.3, 1.0, 2.5):
            noise = torch.tensor(start, dtype=torch.float64, requires_grad=True)
            case = gradients(lambda x, y, n, of=function: of(x, y, n**2), column, targets, noise)
            optimizer = torch.optim.Adam([noise], lr=0.01)
            path = []
            for _ in range(STEPS):
                optimizer.zero_grad()
                function(column.detach(), targets, noise**2).backward()
                optimizer.step()
                path.append(noise.item())
            cases.append({'variant': form, 'noise': start, 'path': path} | case)
    return {
        'balanced_mse': cases,
        'mixture': {name: part.flatten().tolist() for name, part in mixture.items()},
        'labels': labels.tolist(),
        'bins': {'centres': centres.tolist(), 'shares': shares.tolist()},
    }


def main() -> None:
    """Computes everything in float64 on a CPU, where the repositories take a GPU."""
    torch.Tensor.cuda = lambda self: self
    generator = np.random.default_rng(0)
    targets = generator.uniform(1.0, 10.0, COUNT)
    predictions = targets + generator.normal(0.0, 1.0, COUNT)
    weights = generator.uniform(0.2, 2.0, COUNT)
    # Apart, so that every fit finds the same three.
    labels = np.concatenate(
        [generator.normal(m, s, n) for m, s, n in ((2, 0.1, 80), (5, 0.3, 60), (9, 0.2, 20))]
    )
    found = {
        'predictions': predictions.tolist(),
        'targets': targets.tolist(),
        'weights': weights.tolist(),
        **focal_and_huber(predictions, targets, weights),
        **balanced(predictions, targets, labels),
    }
    PATH.write_text(json.dumps(found) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
