"""What PyTorch computes for the paper's network, for the fixtures and for the live parity test.

Importable without torch; the functions that compute need it. `testdata/make_torch_fixtures.py`
writes what `parity` and `initial_distribution` return into `testdata/torch_parity.npz`, and a
test can call the same two functions to recompute the file where torch is installed.

Names in the returned dictionaries (all arrays; a parameter is one of PARAMETERS):
  images [batch, height, width], targets [batch] (population standard deviation of the image),
  learning_rate, adam_steps
  parameters/<parameter>              before training, PyTorch layout, the same for both orders
  <order>/outputs [batch], <order>/loss, <order>/gradients/<parameter>
  <order>/trained/<parameter>         after `adam_steps` steps on the same batch
  <order>/rounding/{outputs,loss,gradients,trained}
      largest |float32 - float64| over the largest |float64|, the worst parameter: the error that
      PyTorch's own float32 makes here, which is the scale for a test's tolerance
  initial/<parameter>/{shape,bound,minimum,maximum,mean,std}
      of the full-size network, over all entries and INITIAL_SEEDS seeds; bound = 1/sqrt(fan_in)
"""

from typing import Any

import numpy as np

from imbreg_jax.benchmark import torch_plain

ORDERS = ('pool_relu', 'relu_pool')
PARAMETERS = tuple(
    f'{layer}.{kind}'
    for layer in ('conv1', 'conv2', 'dense1', 'dense2')
    for kind in ('weight', 'bias')
)
IMAGE_SIZE = 20
CONV_FEATURES = (3, 4)
DENSE_FEATURES = 5
BATCH_SIZE = 6
LEARNING_RATE = 1e-3
ADAM_STEPS = 5
INITIAL_SEEDS = 200
PARITY_SEED = 97  # a start at which every parameter has a gradient: no unit is dead


def to_flax(parameters: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Turns the parameters of the PyTorch network into the layout of the Flax network.

    Args:
      parameters: 'conv1.weight' [out, in, height, width], 'conv1.bias' [out], the same of conv2,
        'dense1.weight' [out, channel * height * width], 'dense1.bias', and the same of dense2.

    Returns:
      {layer: {'kernel', 'bias'}}: convolution kernels [height, width, in, out], dense kernels
      [in, out]; the rows of dense1 run over height, width, channel instead of PyTorch's channel,
      height, width.
    """
    channels = parameters['conv2.weight'].shape[0]
    dense_out, flat = parameters['dense1.weight'].shape
    side = round((flat // channels) ** 0.5)
    dense1_OxCxHxW = parameters['dense1.weight'].reshape(dense_out, channels, side, side)
    kernels = {
        'conv1': parameters['conv1.weight'].transpose(2, 3, 1, 0),
        'conv2': parameters['conv2.weight'].transpose(2, 3, 1, 0),
        'dense1': dense1_OxCxHxW.transpose(2, 3, 1, 0).reshape(flat, dense_out),
        'dense2': parameters['dense2.weight'].T,
    }
    return {
        layer: {'kernel': np.ascontiguousarray(kernel), 'bias': parameters[f'{layer}.bias']}
        for layer, kernel in kernels.items()
    }


def batch() -> tuple[np.ndarray, np.ndarray]:
    """The fixture's images [batch, height, width] and their targets [batch], float32."""
    generator = np.random.default_rng(0)
    generating_B = generator.uniform(1, 10, BATCH_SIZE)
    noise_BxHxW = generator.standard_normal((BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE))
    images_BxHxW = (generating_B[:, None, None] * noise_BxHxW).astype(np.float32)
    return images_BxHxW, images_BxHxW.astype(np.float64).std((1, 2)).astype(np.float32)


def parity() -> dict[str, np.ndarray]:
    """Outputs, loss, gradients and trained parameters of a small network, dropout off."""
    torch = torch_plain.import_torch()
    images_BxHxW, targets_B = batch()
    torch.manual_seed(PARITY_SEED)
    initial = torch_plain.plain_network(IMAGE_SIZE, CONV_FEATURES, DENSE_FEATURES).state_dict()
    result = {
        'images': images_BxHxW,
        'targets': targets_B,
        'learning_rate': np.float64(LEARNING_RATE),
        'adam_steps': np.int64(ADAM_STEPS),
    }
    result |= {f'parameters/{name}': initial[name].numpy().copy() for name in PARAMETERS}
    for order in ORDERS:
        single = _train(order, initial, images_BxHxW, targets_B, torch.float32)
        double = _train(order, initial, images_BxHxW, targets_B, torch.float64)
        result |= {f'{order}/{name}': value for name, value in single.items()}
        for kind in ('outputs', 'loss', 'gradients', 'trained'):
            errors = [
                np.abs(single[name] - double[name]).max() / np.abs(double[name]).max()
                for name in single
                if name.split('/')[0] == kind
            ]
            result[f'{order}/rounding/{kind}'] = np.float64(max(errors))
    return result


def _train(
    order: str,
    initial: dict[str, Any],
    images_BxHxW: np.ndarray,
    targets_B: np.ndarray,
    dtype: Any,
) -> dict[str, np.ndarray]:
    torch = torch_plain.import_torch()
    network = torch_plain.plain_network(IMAGE_SIZE, CONV_FEATURES, DENSE_FEATURES, order)
    network.load_state_dict(initial)
    network.to(dtype).eval()  # eval: dropout off
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    images = torch.from_numpy(images_BxHxW)[:, None].to(dtype)
    targets = torch.from_numpy(targets_B).to(dtype)
    result = {}
    for step in range(ADAM_STEPS):
        optimizer.zero_grad()
        outputs = network(images)
        loss = torch.nn.functional.mse_loss(outputs, targets)
        loss.backward()
        if step == 0:
            result['outputs'] = outputs.detach().numpy()
            result['loss'] = loss.detach().numpy()
            for name, parameter in network.named_parameters():
                result[f'gradients/{name}'] = parameter.grad.numpy().copy()
        optimizer.step()
    for name, parameter in network.named_parameters():
        result[f'trained/{name}'] = parameter.detach().numpy()
    return result


def initial_distribution() -> dict[str, np.ndarray]:
    """How PyTorch's default initialisation of the full-size network is distributed."""
    torch = torch_plain.import_torch()
    draws: dict[str, list[np.ndarray]] = {name: [] for name in PARAMETERS}
    for seed in range(INITIAL_SEEDS):
        torch.manual_seed(seed)
        for name, value in torch_plain.plain_network().state_dict().items():
            draws[name].append(value.numpy())
    result: dict[str, np.ndarray] = {}
    for name, values in draws.items():
        weight = draws[name.split('.')[0] + '.weight'][0]
        stacked = np.stack(values).astype(np.float64)
        result[f'initial/{name}/shape'] = np.array(values[0].shape)
        result[f'initial/{name}/bound'] = np.float64(weight[0].size ** -0.5)
        result[f'initial/{name}/minimum'] = stacked.min()
        result[f'initial/{name}/maximum'] = stacked.max()
        result[f'initial/{name}/mean'] = stacked.mean()
        result[f'initial/{name}/std'] = stacked.std()
    return result
