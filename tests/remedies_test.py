"""Tests of imbreg_jax.remedies: what expressions name, and what several are together."""

import dataclasses
import itertools
import pathlib
import re
import textwrap
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

import documents
from imbreg_jax import remedies, study
from imbreg_jax.remedies.registry import REMEDIES
from imbreg_jax.study import relevance as relevance_lib
from imbreg_jax.study.fields import TABLE, declared, field, number
from imbreg_jax.training.remedy import COMMON, RECIPE

_FOLDER = pathlib.Path(__file__).resolve().parent.parent / 'configs'


def _tables(spec, targets, seed=0):
    return remedies.parse(spec).tables(targets, None, np.random.default_rng(seed))


def _skewed(count=2000, seed=0):
    return 1 + np.random.default_rng(seed).exponential(2.0, count)


class ParseTest(parameterized.TestCase):
    def test_nothing_is_no_remedy(self):
        for text in ('', '  '):
            self.assertIs(remedies.parse(text), remedies.NONE)
        self.assertEqual((remedies.NONE.spec, remedies.NONE.code), ('', ()))

    @parameterized.parameters(*REMEDIES)
    def test_a_spec_has_every_parameter_and_makes_the_same(self, name):
        found = remedies.parse(name)
        self.assertEqual(remedies.parse(found.spec), found)
        for parameter in declared(type(found)):
            self.assertIn(f'{parameter}=', found.spec)
        config = study.default_config()
        config.train_distribution = 'exponential(1, 2)'  # which no remedy refuses
        config.remedy = name
        self.assertEqual(study.resolve(config).conditions[0].remedy, found)

    @parameterized.parameters(
        ('invers', 'there is no remedy .invers.; did you mean inverse'),
        ('inverse(', 'it is no expression'),
        ('inverse(3)', 'parameters of inverse are given by name'),
        ('inverse(bin=3)', 'inverse has no parameter bin; it has bins, power'),
        ('inverse(bins=1)', 'inverse has bins = 1; it must be an integer, at least 2'),
        ('inverse(variant="papers")', "must be one of 'paper', 'published'; did you mean 'paper'"),
        ('inverse(bins=__import__("os"))', 'inverse has bins = .*; it must be an integer'),
        ('a.b()', 'is no remedy'),
        ('3', 'is no remedy'),
        ('fds(size=4)', 'it must be odd'),
        ('fds + fds', 'fds is there twice'),
        ('inverse(bins=3, bins=4)', 'it is no expression|inverse has bins twice'),
        ('inverse(low=0.5, high=0.01)', 'it must be below its high'),
        ('relevance(points=((2, 0), (1, 1)))', 'it must be empty, or two or more pairs'),
        ('relevance(points="")', 'it must be empty, or two or more pairs'),
        ('+'.join(['fds'] * 800), 'nested too deeply|no expression|twice'),
        ('-' * 900 + 'x', 'nested too deeply|no expression|no remedy'),
        ('inverse(bins=' + '-' * 900 + '1)', 'nested too deeply|no expression|must be'),
        ('x' + '.a' * 1500, 'nested too deeply|no expression|no remedy'),
    )
    def test_says_what_is_wrong(self, spec, message):
        with self.assertRaisesRegex(ValueError, message):
            remedies.parse(spec)
        config = study.default_config()
        config.remedy = spec
        with self.assertRaisesRegex(study.ConfigError, 'config.remedy = '):
            study.resolve(config)

    def test_one_of_ones_own_may_be_replaced_and_a_shipped_one_not(self):
        def make(name):
            @dataclasses.dataclass(frozen=True)
            class Own(remedies.Remedy):
                pass

            Own.name = name
            return remedies.register(Own)

        self.addCleanup(REMEDIES.pop, 'own_of_this_test', None)
        make('own_of_this_test')
        again = make('own_of_this_test')
        self.assertIs(REMEDIES['own_of_this_test'], again)
        with self.assertRaisesRegex(ValueError, "there is a remedy 'inverse' already"):
            make('inverse')


def _power():
    return field(2.0, number(0.0, 4.0), 'of targets', TABLE)


def _made(
    name='mine_of_this_test', bases=(remedies.Remedy,), dataclass=False, annotated=None, **parts
):
    """A class `Mine`, with a dataclass's decorator or without."""
    body = {'name': name, '__annotations__': annotated or {}, **parts}
    kind = type('Mine', bases, body)
    return dataclasses.dataclass(frozen=True)(kind) if dataclass else kind


class RegisterTest(absltest.TestCase):
    def test_what_could_not_be_used_is_refused_with_a_sentence(self):
        plain = _made()
        number_of = {'annotated': {'power': float}}
        undeclared = 'remedy mine_of_this_test has the annotated attribute power: .* with field'
        no_dataclass = 'remedy mine_of_this_test has the parameter power, and Mine is no dataclass'
        cases = {
            'a function': (_made, 'subclass of imbreg_jax.remedies.Remedy, and _made is not'),
            'another class': (_made(bases=()), 'subclass of .*Remedy, and Mine is not'),
            'one of them': (plain(), r'subclass of .*Remedy, and .*Mine\(\) is not'),
            'no name': (_made(''), "a remedy needs a name .*, and that of Mine is ''"),
            'two words': (_made('my remedy'), "and that of Mine is 'my remedy'"),
            'a keyword': (_made('lambda'), "and that of Mine is 'lambda'"),
            'a name of each': (_made(property(str)), 'and that of Mine is <property'),
            'undeclared': (_made(dataclass=True, **number_of, power=2.0), undeclared),
            'a field of dataclasses': (
                _made(dataclass=True, **number_of, power=dataclasses.field(default=2.0)),
                undeclared,
            ),
            'undeclared in a base': (
                _made(bases=(_made(dataclass=True, **number_of, power=2.0),), dataclass=True),
                undeclared,
            ),
            'without a default': (_made(dataclass=True, **number_of), undeclared),
            'undeclared in no dataclass': (_made(**number_of, power=2.0), undeclared),
            'as a string': (_made(annotated={'power': 'float'}, power=2.0), undeclared),
            'an annotated name': (
                _made(dataclass=True, annotated={'name': str}), 'annotated attribute name',
            ),
            'no dataclass': (_made(**number_of, power=_power()), no_dataclass),
            'no annotation either': (_made(power=_power()), no_dataclass),
            'no dataclass over one': (
                _made(bases=(remedies.inverse.Inverse,), **number_of, power=_power()),
                no_dataclass,
            ),
            'a base that is none': (
                _made(bases=(_made(**number_of, power=_power()),), dataclass=True), no_dataclass,
            ),
        }  # fmt: skip
        before = dict(REMEDIES)
        for case, (kind, sentence) in cases.items():
            with self.subTest(case), self.assertRaisesRegex(ValueError, sentence) as caught:
                remedies.register(kind)
            self.assertNotIn('\n', str(caught.exception))
        self.assertEqual(REMEDIES, before)

    def test_parameters_and_class_variables_are_taken(self):
        self.addCleanup(REMEDIES.pop, 'mine_of_this_test', None)
        self.addCleanup(remedies.parse.cache_clear)
        annotated = {'power': float, 'a': ClassVar[int], 'b': 'ClassVar', 'c': 'ClassVar[int]'}
        values = {'a': 1, 'b': 2, 'c': 3}
        declared_one = _made(dataclass=True, annotated=annotated, power=_power(), **values)
        remedies.register(declared_one)
        found = remedies.parse('mine_of_this_test(power=1)')
        self.assertEqual(found.spec, 'mine_of_this_test(power=1.0)')
        # Of a dataclass, and with no parameters of its own.
        remedies.register(_made(bases=(declared_one,), annotated={'a': ClassVar[int]}, a=2))
        self.assertEqual(remedies.parse('mine_of_this_test').spec, 'mine_of_this_test(power=2.0)')
        del annotated['power']
        annotated['c'] = 'typing.ClassVar[int]'
        remedies.register(_made(annotated=annotated, **values))
        self.assertEqual(remedies.parse('mine_of_this_test').spec, 'mine_of_this_test()')


def _run_example(module, **names):
    """What a module's example for anybody's arrays makes of these."""
    _, text = module.__doc__.split("\nFor anybody's ", 1)
    blocks = [block for block in text.split('\n\n') if block.startswith('    ')]
    code = textwrap.dedent('\n\n'.join(blocks))
    exec(compile(code, f'{module.__name__}.__doc__', 'exec'), names)
    return names


class OnesOwnTest(absltest.TestCase):
    def test_the_example_of_relevance_says_which_targets_are_extreme(self):
        targets = _skewed(300)
        found = _run_example(remedies.relevance, targets=targets)
        phi = found['phi']
        self.assertEqual(phi[targets.argmax()], 1)
        self.assertTrue((phi[targets <= np.median(targets)] == 0).all())
        np.testing.assert_allclose(found['weights'].mean(), 1)
        np.testing.assert_allclose(np.corrcoef(phi, found['weights'])[0, 1], 1)

    def test_the_example_of_resampling_makes_images_and_their_targets(self):
        """Of rows, and of images as they are here."""
        targets = _skewed(300)
        generator = np.random.default_rng(1)
        for shape in ((5,), (6, 6), (6, 6, 2)):
            noise = generator.normal(size=(300, *shape))
            images = (targets.reshape(-1, *[1] * len(shape)) * (1 + noise / 99)).astype(np.float32)
            found = _run_example(remedies.resampling, targets=targets, images=images)
            made, wanted = found['new_images'], found['new_targets']
            self.assertEqual((made.shape, made.dtype), (images.shape, np.float32))
            # Half of them are rare, and an image's mean is its target still, to the noise on both.
            self.assertGreater(wanted.mean(), targets.mean() + 1)
            error = made.reshape(300, -1).mean(1) - wanted
            self.assertLess(np.abs(error).max(), 0.4)

    def test_the_example_of_fds_gives_features_their_neighbours_statistics(self):
        targets = np.random.default_rng(2).uniform(1, 10, 4000)
        features = np.random.default_rng(3).normal(targets[:, None] * [1.0, -2.0], 1.0)
        found = _run_example(remedies.fds, targets=targets, features=features.astype(np.float32))
        mean, _ = found['smooth']
        own = remedies.fds.statistics(found['moved'], found['places'], 20)
        np.testing.assert_allclose(own.mean, mean, rtol=1e-4)
        self.assertGreater(np.abs(mean - found['own'].mean).max(), 0.1)

    def test_the_examples_train_a_model_of_ones_own(self):
        """On arrays that are neither images nor of this package."""

        class Model(nn.Module):
            @nn.compact
            def __call__(self, rows):
                features = nn.relu(nn.Dense(8)(rows))
                return nn.Dense(1)(features)[:, 0], features

        targets = _skewed(300)
        rows = np.stack([targets, targets**2, np.ones(300)], 1).astype(np.float32) / 10
        names = {'targets': targets, 'model': Model()}
        lines = (remedies.__doc__ or '').splitlines()
        code = '\n'.join(line for line in lines if not line or line.startswith('    '))
        exec(compile(textwrap.dedent(code), 'remedies.__doc__', 'exec'), names)
        weights, index, loss = names['weights'], names['index'], names['loss']
        np.testing.assert_allclose(weights.mean(), 1.0)
        self.assertGreater(weights[targets.argmax()], weights[np.median(targets) > targets].max())
        self.assertEqual((index.shape, index.dtype), (targets.shape, np.int32))
        # Rare targets lie above, and occur the more often.
        self.assertGreater(targets[index].mean(), targets.mean() + 1)
        params = names['model'].init(jax.random.key(0), rows)
        step = jax.jit(jax.value_and_grad(loss))
        values = []
        for _ in range(30):
            batch = index[:: len(index) // 20]
            value, slope = step(params, rows[batch], targets[batch], weights[batch])
            params = jax.tree.map(lambda p, g: p - 1e-3 * g, params, slope)
            values.append(float(value))
        self.assertLess(values[-1], 0.8 * values[0])

    def test_the_example_of_the_page_helps_the_old(self):
        """That of docs/concepts/remedies.md, as it is printed."""
        (code,) = re.findall(
            r'^```python\n(.*?)^```', documents.page('docs/concepts/remedies.md'), re.M | re.S
        )
        names = {}
        exec(compile(code, 'remedies.md', 'exec'), names)
        targets, weights = names['targets'], names['weights']
        self.assertTrue(((targets > 0) & (targets < 100)).all())
        old = targets > 65
        self.assertLess(old.mean(), 0.05)
        np.testing.assert_allclose(weights.mean(), 1)
        self.assertGreater(weights[old].min(), 1)
        self.assertGreater(old[names['index']].mean(), 4 * old.mean())
        errors = {}
        for name in ('plain', 'weighted', 'resampled', 'rebalanced'):
            predictions = np.asarray(names[name])
            self.assertEqual(predictions.shape, targets.shape)
            errors[name] = (predictions - targets)[old].mean()
            self.assertLess(np.sqrt(np.mean((predictions - targets) ** 2)), targets.std() / 2)
        # The old are taken for younger than they are, and by each remedy for less so.
        plain = errors.pop('plain')
        self.assertLess(plain, max(errors.values()))
        for name, error in errors.items():
            self.assertBetween(error, plain + 1, 0, name)
        # As the page says.
        for refusing in (remedies.lds.weights, lambda y: remedies.resampling.of_bins(y, 20)):
            with self.assertRaises(ValueError):
                refusing(names['y'])


class CheckTest(absltest.TestCase):
    def _resolve(self, law, remedy, **fields):
        config = study.default_config()
        config.train_distribution, config.remedy = law, remedy
        config.update_from_flattened_dict(fields)
        return study.resolve(config)

    def test_a_law_that_a_remedy_can_do_nothing_with_is_refused(self):
        for spec in ('relevance', 'inverse + relevance'):
            with self.assertRaisesRegex(study.ConfigError, 'config.remedy = .*: 0 of 50000 train'):
                self._resolve('u1_10', spec)
            self._resolve('n5_5_1', spec)

    def test_batch_normalisation_is_refused_where_features_of_a_pass_are_those_of_training(self):
        passes = [name for name in REMEDIES if remedies.parse(name).folds]
        self.assertContainsSubset(['fds', 'vir'], passes)
        for name in (*passes, 'inverse + fds'):
            with self.assertRaisesRegex(
                study.ConfigError, 'config.remedy = .* with model.normalization batch'
            ):
                self._resolve('u1_10', name, **{'model.normalization': 'batch'})
            self._resolve('u1_10', name, **{'model.normalization': 'layer'})
        self._resolve('u1_10', 'inverse', **{'model.normalization': 'batch'})

    def test_by_hand_any_law_will_do(self):
        points = 'points=((1, 1), (5.5, 0), (10, 1))'
        made = self._resolve('u1_10', f'relevance({points})')
        self.assertIn(
            'points=((1.0, 1.0), (5.5, 0.0), (10.0, 1.0))', made.conditions[0].remedy.spec
        )


class ProgramTest(absltest.TestCase):
    """Remedies that are arrays only share the program of none; the others have one each."""

    def _programs(self, *specs):
        config = study.default_config()
        config.conditions = {f'c{i}': {'remedy': spec} for i, spec in enumerate(specs)}
        return study.resolve(config).programs()

    def test_of_arrays(self):
        points = 'points=((1, 1), (5.5, 0), (10, 1))'
        weights = ('inverse', 'inverse(bins=7, power=0.5)', 'lds', "lds(kernel='laplace', size=3)")
        weights += ('dense_weight(alpha=0.5)', f'relevance({points})', 'lds + dense_weight')
        found = self._programs('', *weights)
        self.assertEqual(found, (tuple(range(1 + len(weights))),))
        drawn = self._programs('', 'random_over', 'random_under(most=0.2)', 'inverse')
        self.assertEqual(drawn, ((0, 1, 2, 3),))
        two = self._programs('gaussian_noise', 'gaussian_noise(bins=7, perturbation=0.3)')
        self.assertEqual(two, ((0, 1),))

    def test_of_dials(self):
        found = self._programs('balanced_mse(noise=1.0)', 'balanced_mse(noise=2.0)', '')
        self.assertEqual(found, ((0, 1), (2,)))

    def test_of_code(self):
        self.assertLen(self._programs('', 'fds', 'fds(bins=7)', 'gaussian_noise', 'fds+inverse'), 5)


class PredictionTest(parameterized.TestCase):
    @parameterized.parameters(
        *REMEDIES,
        '',
        'balanced_mse(space="log")',
        'inverse + evidential',
        'rrt + log_target',
        'uvote(heads=5) + lds',
    )
    def test_is_the_first_output_where_a_remedy_says_so(self, spec):
        """Of which moments are: they would be of something else."""
        remedy = remedies.parse(spec)
        # So many images that the surest of two heads is not the first for all of them.
        outputs = np.random.default_rng(0).normal(size=(64, remedy.outputs)).astype(np.float32)
        is_first = np.array_equal(remedy.predict(jnp.asarray(outputs)), outputs[:, 0])
        self.assertEqual(remedy.predicts_first, is_first)

    def test_of_ones_own_is_taken_to_be_another(self):
        class Own(remedies.Remedy):
            def predict(self, outputs):
                return 2 * outputs[:, 0]

        self.assertFalse(Own().predicts_first)


class CombinedTest(absltest.TestCase):
    def test_weights_multiply_and_have_mean_one(self):
        targets = _skewed()

        @dataclasses.dataclass(frozen=True)
        class Other(remedies.Remedy):
            name = 'other_of_this_test'

            def tables(self, targets, law, generator):
                return {'weights': targets / targets.mean()}

        self.addCleanup(REMEDIES.pop, Other.name)
        remedies.register(Other)
        found = _tables(f'inverse + {Other.name}', targets)['weights']
        wanted = _tables('inverse', targets)['weights'] * targets
        np.testing.assert_allclose(found, wanted / wanted.mean(), rtol=1e-12)
        with self.assertRaisesRegex(ValueError, 'fds is there twice'):
            remedies.parse('fds + inverse + fds')

    def test_weights_are_of_the_training_set_that_resampling_made(self):
        targets = _skewed()
        found = _tables('inverse + gaussian_noise', targets)
        alone = _tables('gaussian_noise', targets)
        np.testing.assert_array_equal(found['target'], alone['target'])
        wanted = remedies.inverse.weights(alone['target'].astype(float))
        np.testing.assert_allclose(found['weights'], wanted, rtol=1e-6)

    def test_relevance_is_by_the_targets_before_resampling(self):
        targets = _skewed()
        points = relevance_lib.control_points(targets)
        for other in ('random_over', 'random_under', 'gaussian_noise', 'rebagg', 'wercs'):
            alone = _tables(other, targets)
            made = alone['target'].astype(float) if 'target' in alone else targets[alone['first']]
            wanted = remedies.relevance.weights(made, points)
            for spec in (f'{other} + relevance', f'relevance + {other}'):
                with self.subTest(spec):
                    found = _tables(spec, targets)
                    np.testing.assert_array_equal(found['first'], alone['first'])
                    np.testing.assert_allclose(found['weights'], wanted, rtol=1e-12)

    def test_two_of_a_kind_are_refused(self):
        for method, words in (('loss', 'a loss of its own'), ('map_features', 'a map of features')):
            kinds = []
            for place in range(2):
                kind = type(f'Kind{place}', (remedies.Remedy,), {method: lambda self, *_: 0.0})
                kind.name = f'kind{place}_of_this_test'
                kinds.append(dataclasses.dataclass(frozen=True)(kind)())
            with self.assertRaisesRegex(ValueError, words):
                remedies.registry.combine(kinds)

    def test_fields_that_parts_set_go_together_unless_they_differ(self):
        both = remedies.parse('homogeneous + relative_mse')
        self.assertEqual(both.sets, {'model.bias': False, 'training.objective': 'relative_mse'})

        @dataclasses.dataclass(frozen=True)
        class Biased(remedies.Remedy):
            name = 'biased_of_this_test'
            sets = {'model.bias': True}

        with self.assertRaisesRegex(ValueError, 'each sets model.bias'):
            remedies.registry.combine([remedies.parse('homogeneous'), Biased()])

    def test_whatever_part_does_not_fit_is_refused(self):
        config = study.default_config()
        config.remedy = 'inverse + homogeneous'
        study.resolve(config)
        config.model.activation = 'gelu'
        with self.assertRaisesRegex(study.ConfigError, 'without biases is not homogeneous'):
            study.resolve(config)

    def test_each_part_learns_its_own(self):
        both = remedies.parse('balanced_mse(learnable=True) + fds(bins=5)')
        state = both.start(4, {})
        learned = both.learned(state)
        self.assertEqual(learned, {'balanced_mse': 0.0, 'fds': ()})
        dials = {name: jnp.float32(value) for name, value in both.dials().items()}
        after = both.learn(state, {'balanced_mse': jnp.float32(3.0), 'fds': ()}, dials)
        # Adam's first step has the size of its rate, whatever the gradient's.
        self.assertAlmostEqual(float(after['balanced_mse'].more), -0.01, places=6)
        self.assertIs(after['fds'], state['fds'])

    def test_each_part_sees_its_own(self):
        both = remedies.parse('balanced_mse(noise=3.0) + fds(bins=5)')
        self.assertEqual(
            both.dials(),
            {'balanced_mse.noise': 3.0, 'balanced_mse.noise_rate': 0.01, 'fds.momentum': 0.9},
        )
        tables = both.tables(_skewed(), None, np.random.default_rng(0))
        self.assertCountEqual(tables, ['weights', 'fds.bin'])
        state = both.start(4, {name: jnp.asarray(v) for name, v in tables.items()})
        self.assertEqual(state['fds'].mean.shape, (5, 4))


class PairsTest(absltest.TestCase):
    """What a config accepts makes its tables too, not only then to find that it cannot."""

    # About as few as the rarest of a normal law's targets allow.
    COUNT = 2500

    class Images:
        """Small ones, of noise in proportion to their targets."""

        def __init__(self, targets):
            pixels = np.random.default_rng(1).normal(size=(len(targets), 2, 2, 1))
            self.images = np.float32(targets[:, None, None, None] * pixels)

        def __getitem__(self, index):
            return self.images[index]

        def measured(self, recipe, index):
            return self.images[recipe['first'][index]].std((1, 2, 3))

    def _resolved(self, law, spec):
        """The remedy under this law, or None where it is refused."""
        config = study.default_config()
        config.train_distribution, config.remedy = law, spec
        config.training.epochs, config.data.train_size = 5, self.COUNT
        try:
            return study.resolve(config).conditions[0].remedy
        except study.ConfigError:
            return None

    def test_of_those_that_look_at_training_targets(self):
        # Any other makes no tables, so that those of a pair with it are those of one of these.
        seeing = [name for name in REMEDIES if remedies.parse(name).sees_targets]
        seeing += [f'balanced_mse(variant={variant!r})' for variant in ('gai', 'bni')]
        config = study.load_config_file(f'{_FOLDER}/remedies.py:std/inverse')
        laws = {fields['train_distribution'] for fields in config.conditions.values()}
        self.assertLen(laws, 4)
        made = dict.fromkeys(laws, 0)
        for law in sorted(laws):
            known = study.parse(law)
            targets = known.ppf(np.random.default_rng(0).uniform(size=self.COUNT))
            images = self.Images(targets)
            for pair in itertools.combinations_with_replacement(seeing, 2):
                spec = ' + '.join(dict.fromkeys(pair))
                remedy = self._resolved(law, spec)
                if remedy is None:
                    continue
                with self.subTest(f'{spec} under {law}'):
                    seen = (images,) if remedy.sees_images else ()
                    found = remedy.tables(targets, known, np.random.default_rng(0), *seen)
                    for name in found.keys() & {*COMMON, *RECIPE}:
                        self.assertLen(found[name], self.COUNT, name)
                    weights = found.get('weights', np.ones(1))
                    self.assertTrue((weights > 0).all())
                    np.testing.assert_allclose(weights.mean(), 1.0)
                    made[law] += 1
        # More than each by itself.
        self.assertGreater(min(made.values()), len(seeing))


if __name__ == '__main__':
    absltest.main()
