"""Writes features.json beside this file: what the published code of remedies for features gives.

By hand, in an environment of its own, which needs nothing of this repository: PyTorch 2.13.0,
NumPy 2.4.6, SciPy 1.17.1, and a folder with clones of

    github.com/YyzHarry/imbalanced-regression, commit a6fdc45 (agedb-dir/fds.py)
    github.com/BorealisAI/ranksim-imbalanced-regression, commit 9e1c862 (agedb-dir/ranksim.py)
    github.com/BorealisAI/ConR, commit ad6a8c9 (agedb-dir/loss.py)
    github.com/kaiwenzha/Rank-N-Contrast, commit eca433b (loss.py)
    github.com/noah-puetz/deconstructing_deep_imbalanced_regression, commit 03fc357 (agedb_dir_rnc/
        loss.py, whose loss is that of Rank-N-Contrast; agedb_dir_uvote/loss.py and
        datasets_gradual.py; agedb_dir_vir/loss.py and evidential_deep_learning.py, which are those
        of github.com/Wang-ML-Lab/variational-imbalanced-regression, commit 78dbeb0)
    github.com/Wang-ML-Lab/variational-imbalanced-regression, commit 78dbeb0 (prm.py, utils.py,
        evidential_deep_learning.py)

    python tests/testdata/make_feature_fixtures.py FOLDER
"""

import importlib
import json
import pathlib
import sys
import types
from unittest import mock

import numpy as np
import torch

PATH = pathlib.Path(__file__).with_name('features.json')
_BINS, _FEATURES = 6, 3


def _module(folder: pathlib.Path, name: str) -> types.ModuleType:
    """A module of a repository; those of others that have its neighbours' names are forgotten."""
    for known in (
        'fds',
        'loss',
        'ranking',
        'ranksim',
        'utils',
        'datasets_gradual',
        'prm',
        'evidential_deep_learning',
    ):
        sys.modules.pop(known, None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def _without(*names: str) -> None:
    """Puts nothing in the place of packages that a module imports and does not need here."""
    sys.modules.update((name, mock.MagicMock()) for name in names)


def fds(folder: pathlib.Path) -> dict:
    """Four epochs as its train.py has them: images in training, and the pass at an epoch's end.

    Of six bins one has no image and one has a single one. A network's features are handed over as
    copies, since it writes into them. The gradient is that of a sum, with a slope on each of the
    features as training sees them.
    """
    made = _module(folder / 'imbalanced-regression' / 'agedb-dir', 'fds')
    torch.Tensor.cuda = lambda tensor, **_: tensor
    generator = np.random.default_rng(0)
    slope = np.random.default_rng(7).normal(size=(31, 3)).astype(np.float32)
    labels = np.repeat([0, 1, 2, 4, 5], [9, 7, 8, 1, 6])
    tracked = made.FDS(_FEATURES, bucket_num=_BINS, bucket_start=0, ks=5, sigma=2, momentum=0.9)
    column = torch.tensor(labels, dtype=torch.float32)
    epochs = []
    for epoch in range(4):
        # Features move from epoch to epoch; one does not vary in one bin.
        features = generator.normal(
            labels[:, None] * [1.0, 2.0, 0.5] + epoch, 1 + epoch / 2, (31, 3)
        )
        features[labels == 2, 1] = 1.5
        given = torch.tensor(features, dtype=torch.float32, requires_grad=True)
        trained = tracked.smooth(given.clone(), column[:, None], epoch)
        (torch.tensor(slope) * trained).sum().backward()
        with torch.no_grad():
            # Its resnet.py returns the features that smoothing has written into.
            passed = tracked.smooth(given.clone(), column[:, None], epoch)
            tracked.update_last_epoch_stats(epoch)
            tracked.update_running_stats(passed, column, epoch)
        epochs.append(
            {
                'features': given.tolist(),
                'trained': trained.tolist(),
                'gradient': given.grad.tolist(),
                'mean': tracked.running_mean.tolist(),
                'variance': tracked.running_var.tolist(),
                'smooth_mean': tracked.smoothed_mean_last_epoch.tolist(),
                'smooth_variance': tracked.smoothed_var_last_epoch.tolist(),
            }
        )
    return {
        'bins': labels.tolist(),
        'kernel': tracked.kernel_window.tolist(),
        'slope': slope.tolist(),
        'epochs': epochs,
    }


def _with_gradient(loss, features):
    found = torch.tensor(features, requires_grad=True)
    value = loss(found)
    value.backward()
    return {
        'features': features.tolist(),
        'loss': float(value.detach()),
        'gradient': found.grad.tolist(),
    }


def ranksim(folder: pathlib.Path) -> list:
    """Distinct targets, under several weights of the penalty and interpolations."""
    made = _module(folder / 'ranksim-imbalanced-regression' / 'agedb-dir', 'ranksim')
    generator = np.random.default_rng(1)
    cases = []
    for strength, interpolation in ((1.0, 2.0), (100.0, 2.0), (3.0, 0.5)):
        features = generator.normal(0.5, 1.0, (9, 4))
        targets = generator.uniform(1, 10, 9)
        column = torch.tensor(targets)[:, None]

        def loss(found, column=column, strength=strength, interpolation=interpolation):
            return strength * made.batchwise_ranking_regularizer(found, column, interpolation)

        cases.append(
            {
                'targets': targets.tolist(),
                'strength': strength,
                'interpolation': interpolation,
                **_with_gradient(loss, features),
            }
        )
    return cases


def conr(folder: pathlib.Path) -> list:
    """Two views of six images, with weights of ones and others; some anchors have no negatives."""
    made = _module(folder / 'ConR' / 'agedb-dir', 'loss')
    generator = np.random.default_rng(2)
    cases = []
    for weighted in (False, True):
        features = generator.normal(0.5, 1.0, (12, 4))
        targets = np.tile([1.0, 1.4, 3.0, 5.0, 5.3, 9.0], 2)
        predictions = targets + generator.normal(0, 1.5, 12)
        predictions[[5, 11]] = 20.0
        weights = np.tile(generator.uniform(0.5, 2, 6) if weighted else np.ones(6), 2)
        columns = [torch.tensor(part)[:, None] for part in (targets, predictions, weights)]

        def loss(found, columns=columns):
            return made.ConR(found, columns[0], columns[1], w=1.0, weights=columns[2], e=0.2)

        cases.append(
            {
                'targets': targets.tolist(),
                'predictions': predictions.tolist(),
                'weights': weights.tolist(),
                'window': 1.0,
                'push': 0.2,
                **_with_gradient(loss, features),
            }
        )
    return cases


def rnc(folder: pathlib.Path) -> list:
    """Two views [images, 2, features], with two targets that are equal and one view twice."""
    made = _module(folder / 'Rank-N-Contrast', 'loss')
    other = _module(folder / 'deconstructing_deep_imbalanced_regression' / 'agedb_dir_rnc', 'loss')
    generator = np.random.default_rng(3)
    cases = []
    for temperature in (2.0, 0.5):
        features = generator.normal(0.5, 1.0, (7, 2, 4))
        features[3, 1] = features[3, 0]
        targets = generator.uniform(1, 10, 7)
        targets[5] = targets[1]
        column = torch.tensor(targets)[:, None]

        def loss(found, column=column, temperature=temperature, module=made):
            return module.RnCLoss(temperature)(found, column)

        found = _with_gradient(loss, features)
        again = _with_gradient(lambda f, loss=loss: loss(f, module=other), features)
        assert found == again
        cases.append({'targets': targets.tolist(), 'temperature': temperature, **found})
    return cases


def uvote(folder: pathlib.Path) -> dict:
    """The likelihood of one head with weights, and the weights of three heads.

    Some log-scales lie outside of the limits that it cuts them to.
    """
    folder = folder / 'deconstructing_deep_imbalanced_regression' / 'agedb_dir_uvote'
    made = _module(folder, 'loss')
    generator = np.random.default_rng(4)
    targets = generator.uniform(1, 10, 8)
    outputs = np.stack([targets + generator.normal(0, 1, 8), generator.normal(0, 1, 8)], 1)
    outputs[:2, 1] = -7.0, 6.0
    weights = generator.uniform(0.5, 2, 8)

    def loss(found):
        return made.weighted_l1nll_loss(
            found[:, 0], found[:, 1], torch.tensor(targets), torch.tensor(weights)
        )

    likelihood = _with_gradient(loss, outputs)
    likelihood['outputs'] = likelihood.pop('features')
    # It reads images, which its weights do not need.
    _without('PIL', 'torchvision', 'torchvision.transforms')
    weighing = _module(folder, 'datasets_gradual').AgeDB._prepare_weights
    ages = np.minimum(generator.exponential(12.0, 3000).astype(int), 40)
    data = types.SimpleNamespace(df={'age': types.SimpleNamespace(values=ages)})
    # Of one image of each age.
    chosen = np.unique(ages, return_index=True)[1]
    return {
        'targets': targets.tolist(),
        'weights': weights.tolist(),
        'likelihood': likelihood,
        'ages': ages.tolist(),
        'places': chosen.tolist(),
        'head_weights': [
            np.asarray(weighing(data, r=r), float)[chosen].tolist() for r in (0.0, 0.5, 1.0)
        ],
    }


_UNUSED = (
    'pandas', 'seaborn', 'cv2', 'sklearn', 'sklearn.metrics', 'tqdm', 'tqdm.notebook',
    'torchvision', 'torchvision.transforms', 'torchvision.utils',
)  # fmt: skip


def evidential(folder: pathlib.Path) -> dict:
    """The last layer's outputs, of which the first part is linear, as those of a linear layer."""
    _without(*_UNUSED)
    folder = folder / 'deconstructing_deep_imbalanced_regression' / 'agedb_dir_vir'
    made = _module(folder, 'loss')
    generator = np.random.default_rng(5)
    targets, weights = generator.uniform(1, 10, 8), generator.uniform(0.5, 2, 8)
    # One of the scales is so large that PyTorch takes log(1 + e**x) for x.
    outputs = generator.normal([5.0, 0.0, -5.0], [2.0, 8.0, 10.0], (8, 3))
    outputs[0, 2] = 230.0
    last = made.ConjugatePrior(3, 1)
    last.linear = torch.nn.Identity()
    prior = {'gamma': 0, 'v': 0, 'alpha': 0.3, 'beta': 0}
    columns = [torch.tensor(part)[:, None] for part in (targets, weights)]

    def loss(found):
        return made.cdm_loss(last(found), columns[0], 0.01, True, columns[1], **prior)

    found = _with_gradient(loss, outputs)
    found['outputs'] = found.pop('features')
    return {'targets': targets.tolist(), 'weights': weights.tolist(), **found}


def vir(folder: pathlib.Path) -> dict:
    """Four epochs of images in training and the pass at an epoch's end, as its rerun.py has them.

    Images, bins and features are as those of `fds`. Means are the features, and variances are made
    of them by a `LinearNormal` of the repository, in the place of its last convolution. Of a batch,
    the whole set, features are drawn with noise that is handed over as well; with them come a loss
    of three parts, one of which is linear in what is drawn, and its gradient.
    """
    _without(*_UNUSED)
    folder = folder / 'variational-imbalanced-regression'
    torch.Tensor.cuda = lambda tensor, **_: tensor
    made, edl = (_module(folder, name) for name in ('prm', 'evidential_deep_learning'))
    generator = np.random.default_rng(6)
    labels = np.repeat([0, 1, 2, 4, 5], [9, 7, 8, 1, 6])
    tracked = made.PRM(_FEATURES, bucket_num=_BINS, bucket_start=0, ks=5, sigma=2, momentum=0.9)
    column = torch.tensor(labels, dtype=torch.float32)
    spread, decoder, images, slope, noise = (
        generator.normal(0, scale, shape).astype(np.float32)
        for scale, shape in (
            (0.3, (3, 3)), (0.5, (3, 4)), (2.0, (31, 4)), (1.0, (31, 3)), (1.0, (31, 3)),
        )
    )  # fmt: skip
    bias = np.float32([-3.0, -1.0, 0.5])
    last = edl.LinearNormal(_FEATURES, _FEATURES)
    with torch.no_grad():
        # The first half of its outputs, a mean, is not used.
        last.linear.weight[_FEATURES:] = torch.tensor(spread.T)
        last.linear.bias[_FEATURES:] = torch.tensor(bias)

    def encoding(features):
        return torch.cat((features, last(features)[:, _FEATURES:]), dim=1)

    epochs = []
    for epoch in range(4):
        drawn = generator.normal(
            labels[:, None] * [1.0, 2.0, 0.5] + epoch, 1 + epoch / 2, (31, 3)
        ).astype(np.float32)
        given = torch.tensor(drawn, requires_grad=True)
        last.zero_grad()
        trained = tracked.smooth(encoding(given), column[:, None], epoch)
        mean, variance = torch.tensor_split(trained, 2, dim=1)
        log_variance = variance.log()
        sample = mean + torch.tensor(noise) * torch.exp(log_variance / 2.0)
        divergence = edl.KL_DIV(mean, log_variance, 0.1)
        squared = torch.nn.functional.mse_loss(torch.tensor(images), sample @ torch.tensor(decoder))
        (divergence + 0.7 * squared + (torch.tensor(slope) * sample).mean()).backward()
        with torch.no_grad():
            # Its resnet.py returns the laws that smoothing has written into.
            passed = tracked.smooth(encoding(given), column[:, None], epoch)
            tracked.update_last_epoch_stats(epoch)
            tracked.update_running_stats(passed, column, epoch)
        epochs.append(
            {
                'features': drawn.tolist(),
                'laws': encoding(given).tolist(),
                'trained': trained.tolist(),
                'sample': sample.tolist(),
                'divergence': divergence.item(),
                'squared': squared.item(),
                'gradient': given.grad.tolist(),
                'spread_gradient': last.linear.weight.grad[_FEATURES:].T.tolist(),
                'own_mean': tracked.running_mean.tolist(),
                'own_variance': tracked.running_var.tolist(),
                'smooth_mean': tracked.smoothed_mean_last_epoch.tolist(),
                'smooth_variance': tracked.smoothed_var_last_epoch.tolist(),
            }
        )
    return {
        'bins': labels.tolist(),
        'spread': spread.tolist(),
        'spread_bias': bias.tolist(),
        'decoder': decoder.tolist(),
        'images': images.tolist(),
        'slope': slope.tolist(),
        'noise': noise.tolist(),
        'epochs': epochs,
    }


def main() -> None:
    """Runs each of them and writes what they give."""
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    parts = (fds, ranksim, conr, rnc, uvote, evidential, vir)
    found = {make.__name__: make(folder) for make in parts}
    PATH.write_text(json.dumps(found) + '\n', encoding='utf-8')
    print(f'{PATH}: {PATH.stat().st_size} bytes, torch {torch.__version__}')


if __name__ == '__main__':
    main()
