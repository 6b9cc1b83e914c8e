"""Tests of the PyTorch baseline: its fast form computes what its plain form computes."""

import builtins
import importlib.util
import io
import json
import unittest
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

import torch_reference
from imbreg_jax.benchmark import torch_folded, torch_loops, torch_plain

HAS_TORCH = importlib.util.find_spec('torch') is not None
needs_torch = unittest.skipUnless(HAS_TORCH, 'torch is not installed')

BATCH = 8


def problem(seed):
    """A network, images, targets and dropout masks, in float64: differences are then mistakes."""
    import torch

    torch.manual_seed(seed)
    network = torch_plain.plain_network().double()
    images_BxHxW, targets_B = (data.double() for data in torch_plain.draw_data(BATCH))
    masks = [torch.rand(BATCH, width).lt(0.5).double() * 2 for width in (20, 50)]
    return network, images_BxHxW, targets_B, masks


def plain_loss_and_gradients(network, images_BxHxW, targets_B, masks):
    import torch

    network.eval()
    network.conv_dropout.register_forward_hook(
        lambda module, inputs, output: output * masks[0][:, :, None, None]
    )
    network.dense_dropout.register_forward_hook(lambda module, inputs, output: output * masks[1])
    loss = torch.nn.functional.mse_loss(network(images_BxHxW[:, None]), targets_B)
    loss.backward()
    gradients = {name: value.grad for name, value in network.named_parameters()}
    return loss.detach(), torch_folded.to_folded(gradients)


def folded_arguments(network, images_BxHxW, targets_B, masks):
    parameters = torch_folded.folded_views(torch_folded.to_folded(network.state_dict()))
    return parameters, torch_folded.to_tiles(images_BxHxW), targets_B, *masks


def matrices():
    first, second = torch_folded.fold_matrices()
    return first.double(), second.double()


@needs_torch
class FoldedTest(parameterized.TestCase):
    # Sums of at most 28,800 products of numbers up to 40 in float64 (2e-16): 1e-11 has room.
    TOLERANCE = 1e-11

    def assert_same(self, loss, gradients, expected_loss, expected_flat):
        np.testing.assert_allclose(loss, expected_loss, rtol=self.TOLERANCE)
        for name, value, expected in zip(
            torch_folded.FOLDED_SHAPES,
            gradients,
            torch_folded.folded_views(expected_flat),
            strict=True,
        ):
            scale = float(expected.abs().max())
            np.testing.assert_allclose(
                value, expected, rtol=0, atol=self.TOLERANCE * scale, err_msg=name
            )

    @parameterized.parameters(True, False)
    def test_folded_network_equals_the_plain_one(self, in_place):
        given = problem(seed=0)
        loss, gradients = torch_folded.folded_loss_and_gradients(
            *folded_arguments(*given), matrices(), in_place=in_place
        )
        self.assert_same(loss, gradients, *plain_loss_and_gradients(*given))

    def test_networks_stacked_by_vmap_equal_each_alone(self):
        import torch

        problems = [problem(seed) for seed in range(3)]
        flats = torch.stack([torch_folded.to_folded(given[0].state_dict()) for given in problems])
        rest = [folded_arguments(*given)[1:] for given in problems]
        losses, gradients = torch.func.vmap(
            lambda *arguments: torch_folded.folded_loss_and_gradients(
                *arguments, matrices(), in_place=False
            )
        )(torch_folded.folded_views(flats), *map(torch.stack, zip(*rest, strict=True)))
        for number, given in enumerate(problems):
            one = [gradient[number] for gradient in gradients]
            self.assert_same(losses[number], one, *plain_loss_and_gradients(*given))


@needs_torch
class TrainingTest(parameterized.TestCase):
    def test_every_way_to_train_lowers_the_loss_and_touches_every_parameter(self):
        import torch

        torch.manual_seed(0)
        images_NxHxW, targets_N = torch_plain.draw_data(200)
        tiles = torch_folded.to_tiles(images_NxHxW)
        start = float(targets_N.square().mean())  # an untrained network predicts about 0
        with mock.patch.object(torch_plain, 'LEARNING_RATE', 1e-3):
            ways = {
                'plain': torch_plain.train_plain(images_NxHxW, targets_N, 8, 1),
                'folded': torch_folded.train_folded(tiles, targets_N, 8, 1),
            }
            stacked = torch_folded.StackedTraining(tiles, targets_N, 2)
            before = stacked.flat.detach().clone()
            ways['stacked'] = stacked.train(8)
            for way, step, networks in (
                ('compiled', torch_plain.compiled_step(images_NxHxW, targets_N), ()),
                ('torch.func', torch_plain.stacked_step(images_NxHxW, targets_N, 2), (2,)),
            ):
                for _ in range(32):
                    ways[way] = float(step(torch.randint(200, (*networks, 50))))
        for way, loss in ways.items():
            self.assertLess(loss, start / 2, way)
        self.assertFalse(torch.equal(before[0], before[1]), 'networks start alike')
        for name, moved in zip(
            torch_folded.FOLDED_SHAPES,
            torch_folded.folded_views(stacked.flat.detach() - before),
            strict=True,
        ):
            self.assertTrue(moved.flatten(1).any(1).all(), f'{name} of some network stays')

    @parameterized.parameters(*torch_loops.WHICH)
    def test_command_prints_one_line_of_json(self, which):
        output = io.StringIO()
        with redirect_stdout(output):
            torch_loops.main([f'--which={which}', '--images=120', '--networks=2'])
        measured = json.loads(output.getvalue())
        self.assertEqual(measured['images_trained'], 200)
        self.assertEqual(measured['which'], which)
        self.assertGreater(measured['seconds'], 0)
        self.assertTrue(np.isfinite(measured['final_loss']))

    def test_too_few_images_end_in_one_sentence(self):
        errors = io.StringIO()
        with redirect_stderr(errors), self.assertRaises(SystemExit) as caught:
            torch_loops.main(['--which=plain', '--images=49'])
        self.assertEqual(caught.exception.code, 2)
        self.assertIn('images must be at least 50', errors.getvalue())


class WithoutTorchTest(absltest.TestCase):
    def test_command_says_how_to_install_torch(self):
        import_anything = builtins.__import__

        def refuse_torch(name, *rest, **more):
            if name == 'torch':
                raise ImportError(name)
            return import_anything(name, *rest, **more)

        errors = io.StringIO()
        with (
            mock.patch.object(builtins, '__import__', refuse_torch),
            redirect_stderr(errors),
            self.assertRaises(SystemExit) as caught,
        ):
            torch_loops.main(['--which=plain'])
        self.assertEqual(caught.exception.code, 2)
        self.assertEqual(
            errors.getvalue(),
            f'The PyTorch baseline needs it: {torch_plain.MISSING}\n',
        )


class ReferenceTest(absltest.TestCase):
    def test_flax_layout_flattens_height_width_channel(self):
        parameters = {
            f'{layer}.bias': np.zeros(width)
            for layer, width in (('conv1', 3), ('conv2', 4), ('dense1', 5), ('dense2', 1))
        }
        parameters |= {
            'conv1.weight': np.zeros((3, 1, 5, 5)),
            'conv2.weight': np.arange(300.0).reshape(4, 3, 5, 5),
            'dense1.weight': np.arange(80.0).reshape(5, 16),
            'dense2.weight': np.arange(5.0).reshape(1, 5),
        }
        flax = torch_reference.to_flax(parameters)
        self.assertEqual(flax['conv1']['kernel'].shape, (5, 5, 1, 3))
        self.assertEqual(
            flax['conv2']['kernel'][1, 2, 0, 3], parameters['conv2.weight'][3, 0, 1, 2]
        )
        # Height 1, width 0, channel 3 of 2 x 2 x 4: row 11 here, column 14 in PyTorch.
        self.assertEqual(flax['dense1']['kernel'][11, 2], parameters['dense1.weight'][2, 14])
        self.assertEqual(flax['dense2']['kernel'].shape, (5, 1))


if __name__ == '__main__':
    absltest.main()
