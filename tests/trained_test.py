"""Tests of imbreg_jax.trained: trained networks back from a workdir."""

import json
import pathlib

import numpy as np
from absl.testing import absltest, parameterized

import imbreg_jax
import simulated_study
import small_study
from imbreg_jax import trained
from imbreg_jax.data.randomness import Purpose
from imbreg_jax.data.synthetic import COMMON_REPEAT
from imbreg_jax.results.workdir import WorkdirError
from imbreg_jax.runner.study_run import StudyRun
from quick_compilation import setUpModule, tearDownModule  # noqa: F401 - for its runner


class TrainedTest(parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.study = small_study.study(
            {
                'a': {},
                'b': {
                    'model': {
                        'order': 'relu_pool',
                        'conv_features': (2, 5),
                        'normalization': 'batch',
                        'bias': False,
                    }
                },
            },
            training__epochs=1,
            first_repeat=3,
        )
        cls.folder = pathlib.Path(absltest.TEST_TMPDIR.value) / 'trained_test' / 'workdir'
        StudyRun(cls.study, cls.folder).finish()
        cls.networks = imbreg_jax.load(cls.folder).networks

    def _dense_images(self) -> np.ndarray:
        settings = self.study.evaluation
        noise = small_study.noise(
            self.study, COMMON_REPEAT, Purpose.DENSE_IMAGES, settings.dense_size
        )
        targets = np.linspace(
            settings.dense_low, settings.dense_high, settings.dense_size, dtype=np.float32
        )
        return targets[:, None, None] * noise

    def test_predicts_what_the_study_predicted(self):
        with np.load(self.folder / 'predictions.npz') as file:
            expected = file['dense_prediction']
        found = self.networks.predict(self._dense_images())
        self.assertEqual(found.dtype, np.float32)
        # The same float32 sums of some 500 products, in another order.
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_chooses_networks_and_shapes(self):
        images = self._dense_images()
        runs = [('a', 3), ('a', 4), ('b', 3), ('b', 4)]
        self.assertEqual(self.networks.runs, runs)
        every = self.networks.predict(images)
        self.assertEqual(every.shape, (4, len(images)))
        np.testing.assert_array_equal(self.networks.predict(images, condition='b'), every[2:])
        np.testing.assert_array_equal(self.networks.predict(images, repeat=4), every[1::2])
        one = self.networks.predict(images, 'b', 3)
        np.testing.assert_array_equal(one, every[2])
        self.assertEqual(self.networks.predict(images[0]).shape, (4,))
        self.assertEqual(self.networks.predict(images[0], 'b', 3), one[0])
        self.assertEqual(self.networks.predict(images[:0]).shape, (4, 0))
        self.assertEqual(self.networks.params['b', 3]['conv1']['kernel'].shape[-1], 2)
        many = np.tile(images, (60, 1, 1))
        np.testing.assert_array_equal(
            self.networks.predict(many, 'b', 3).reshape(60, -1), np.tile(one, (60, 1))
        )

    @parameterized.parameters(((20,),), ((3, 20, 21),), ((1, 1, 20, 20),))
    def test_refuses_images_of_another_shape(self, shape):
        with self.assertRaisesRegex(ValueError, r'it must be \[n, 20, 20\] or \[20, 20\]'):
            self.networks.predict(np.zeros(shape))

    def test_refuses_what_it_does_not_have(self):
        with self.assertRaisesRegex(KeyError, 'there are conditions a, b and repeats 3, 4'):
            self.networks.predict(self._dense_images(), condition='c')
        with self.assertRaisesRegex(ValueError, 'must be an array of numbers'):
            self.networks.predict([['x']])

    def test_refuses_a_workdir_that_is_not_finished_or_damaged(self):
        with self.assertRaisesRegex(WorkdirError, 'no study has been started'):
            trained.load(self.create_tempdir().full_path)
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'config.json').write_bytes((self.folder / 'config.json').read_bytes())
        with self.assertRaisesRegex(WorkdirError, 'weights.npz is not there, although'):
            trained.load(folder)
        content = (self.folder / 'weights.npz').read_bytes()
        middle = bytearray(content)
        middle[len(middle) // 2] ^= 1
        for damaged in (b'', content[:-30], content[: len(content) // 2], bytes(middle)):
            (folder / 'weights.npz').write_bytes(damaged)
            with self.assertRaisesRegex(WorkdirError, 'weights.npz is not as the study left it'):
                trained.load(folder)
            simulated_study.seal(folder)
            with self.assertRaisesRegex(WorkdirError, 'is damaged'):
                trained.load(folder)
        held = json.loads((folder / 'config.json').read_text())
        del held['finished'], held['digest']
        (folder / 'config.json').write_text(json.dumps(held))
        with self.assertRaisesRegex(WorkdirError, 'is not finished'):
            trained.load(folder)
        with self.assertRaisesRegex(WorkdirError, 'is no folder; name that of a finished study'):
            trained.load(folder / 'config.json')

    def test_refuses_weights_that_are_not_of_its_networks(self):
        with np.load(self.folder / 'weights.npz') as file:
            arrays = dict(file)
        folder = pathlib.Path(self.create_tempdir().full_path)
        (folder / 'config.json').write_bytes((self.folder / 'config.json').read_bytes())
        name = 'a/4/conv2/kernel'
        kernel = arrays[name]
        nan = kernel.copy()
        nan.flat[3] = np.nan
        without = {key: value for key, value in arrays.items() if key != name}
        for made, message in (
            (without, 'has no conv2/kernel of condition a, repeat 4'),
            (arrays | {name: kernel[:-1]}, 'no finite float32 numbers of shape'),
            (arrays | {name: kernel.astype(str)}, 'no finite float32 numbers of shape'),
            (arrays | {name: nan}, 'no finite float32 numbers of shape'),
            (arrays | {'a/5/conv1/bias': kernel}, 'holds a/5/conv1/bias, of no network'),
            (arrays | {'x': kernel}, 'holds x, of no network'),
        ):
            np.savez(folder / 'weights.npz', **made)
            simulated_study.seal(folder)
            with self.assertRaisesRegex(WorkdirError, message) as caught:
                trained.load(folder)
            self.assertNotIn('\n', str(caught.exception))
        np.savez(folder / 'weights.npz', **arrays)
        simulated_study.seal(folder)
        found = trained.load(folder)
        np.testing.assert_array_equal(found.params['a', 4]['conv2']['kernel'], kernel)


if __name__ == '__main__':
    absltest.main()
