"""Tests of imbreg_jax.study.fields and settings: what each field takes and refuses."""

import numpy as np
from absl.testing import absltest

from imbreg_jax import study
from imbreg_jax.study import ConfigError, fields, settings, suggestions
from imbreg_jax.study import config as config_lib

# What fields of a kind never take, whichever field it is. 1e30 as an int is absurdly large for
# every number; 10**5000 has more digits than Python prints.
_NEVER = {
    'int': (
        None, 'x', '', 1.5, True, float('nan'), [], {}, -1, 10**30, 10**5000, '3', [1], object(),
    ),
    'float': (
        None, 'x', '', True, float('nan'), float('inf'), -float('inf'), [], {}, -1, 10**30,
        10**5000, 1e300, 1j, '0.5', np.array([0.5, 0.5]),
    ),
    'bool': (None, 'x', '', 'True', 0, 1, 1.0, float('nan'), [], {}),
    'sweep': (None, 3, True, [], {}, 'x' * 5000, 'a', '= 1', 'a = (1', 'a = 1; a = 2'),
    'remedy': (None, 3, True, [], {}, 'x' * 5000, 'nothing', 'inverse(', 'fds + fds', 'a.b()'),
    'str': (None, 3, True, float('nan'), [], {}, 'x' * 10**6, 'a\0b', b'x'),
    'name': (
        None, 3, True, float('nan'), [], {}, '.', '..', '../x', 'a/b', 'a b', '-x', 'x' * 10**4,
        'ä', 'a\n',
    ),
    'distribution': (
        None, 3, True, float('nan'), [], {}, '', 'u1_01', 'x' * 10**6, 'uniform(5, 1)',
        'uniform(-1, 1)', 'normal(5.5, 3)', 'uniform(1, nan)', 'uniform(1, 1e30)',
        'lognormal(1e6, 3)', ['u1_10'],
    ),
    'distributions': (
        None, 3, True, float('nan'), [], (), {}, '', 'u1_10', ['u1_01'], [3], [None], [''],
        ['u1_10', 'u1_10'], ['u1_10', 'uniform(1, 10)'], ['normal(1, 1)'],
    ),
    'ints': (
        None, 3, True, float('nan'), [], (), {}, '', '(1, 2)', [1] * 17, [0, 1], [1.5, 2],
        [True, 2], [10**30, 1], ['1', '2'], [float('nan'), 1],
    ),
    'signals': (
        None, 3, True, float('nan'), {}, '', 'SIGTERM', ['SIGKILL'], ['SIGTREM'], [15],
        ['SIGTERM', 'SIGTERM'], [''], [None], ['x' * 10**6], [['SIGTERM']],
    ),
}  # fmt: skip
# What a refusal says of some values, whichever field it is.
_SAID = {
    'distribution': (
        ('normal(4, 1)', '0 or below with probability 3.17e-05; .* at most 1e-06'),
        ('lognormal(1000, 2)', 'greatest target in 2.24 is .* at most 1e.06'),
        ('u1_1', 'did you mean u1_10'),
    ),
    'distributions': (
        (['u1_10', 'u1_1'], 'did you mean u1_10'),
        (['u1_10', 'uniform(1,10)'], 'has u1_10 twice'),
    ),
    'signals': ((['SIGTREM'], "'SIGTREM' is none of .*; did you mean SIGTERM"),),
}
# What fields of a kind take, beside their choices and the ends of their ranges.
_TAKES = {
    'name': (('', ''), ('a.b-c_0', 'a.b-c_0'), (np.str_('x'), 'x')),
    'distribution': ((' u1_5 ', 'u1_5'), ('normal(5.5, 1)', 'normal(5.5, 1)')),
    'distributions': ((['u1_5', 'normal(5, .5)'], ('u1_5', 'normal(5, .5)')),),
    'ints': (
        ([1, 2], (1, 2)),
        ([7], (7,)),
        ([1, 2, 3], (1, 2, 3)),
        ((np.int64(3), np.uint8(4)), (3, 4)),
    ),
    'signals': (([], ()), (['SIGHUP', 'SIGUSR1'], ('SIGHUP', 'SIGUSR1'))),
    'remedy': ((' ', ''),),
    'bool': ((np.bool_(True), True),),
}


def _checked(name: str, value):
    return fields.checked(name, value, study.FIELDS[name], _PARSE)


_PARSE = config_lib.parser()


class FieldsTest(absltest.TestCase):
    def _refusal(self, name: str, value) -> str:
        """The one sentence that refuses a value and names its field."""
        with self.assertRaises(ConfigError) as caught:
            _checked(name, value)
        text = str(caught.exception)
        self.assertStartsWith(text, f'config.{name} = ')
        self.assertNotIn('\n', text)
        self.assertTrue(text.endswith('.') and not text.endswith('..'), text)
        self.assertLess(len(text), 1500)
        return text

    def test_each_takes_its_default_and_says_what_it_is(self):
        for name, field in study.FIELDS.items():
            with self.subTest(name):
                self.assertEqual(_checked(name, field.default), field.default)
                self.assertNotEmpty(field.meaning)
                self.assertNotEmpty(field.rule)

    def test_each_refuses_what_its_kind_never_takes(self):
        self.assertSameElements(_NEVER, {field.kind for field in study.FIELDS.values()})
        for name, field in study.FIELDS.items():
            for place, value in enumerate(_NEVER[field.kind]):
                with self.subTest(name, place=place):  # Not the value, which may not be printable.
                    self._refusal(name, value)

    def test_what_a_refusal_says(self):
        for name, field in study.FIELDS.items():
            for value, words in _SAID.get(field.kind, ()):
                with self.subTest(name, value=value):
                    self.assertRegex(self._refusal(name, value), words)

    def test_each_takes_what_its_kind_takes_as_a_plain_value(self):
        for name, field in study.FIELDS.items():
            for value, taken in _TAKES.get(field.kind, ()):
                with self.subTest(name, value=value):
                    found = _checked(name, value)
                    self.assertEqual(found, taken)
                    self.assertIs(type(found), type(taken))

    def test_a_number_is_refused_beyond_either_end_and_taken_at_it(self):
        for name, field in study.FIELDS.items():
            if field.kind not in ('int', 'float') or field.choices:
                continue
            step = 1 if field.kind == 'int' else 1e-6
            for end, is_open, outward in (
                (field.of.low, field.of.open_low, -step),
                (field.of.high, field.of.open_high, step),
            ):
                with self.subTest(name, end=end):
                    self._refusal(name, end + outward)
                    if is_open:
                        self._refusal(name, end)
                        continue
                    kinds = [int, np.int64] if field.kind == 'int' else [int, np.float64]
                    for kind in kinds:  # An int is a number, and numpy's are Python's.
                        if kind(end) == end:
                            found = _checked(name, kind(end))
                            self.assertEqual(found, end)
                            self.assertIs(type(found), {'int': int, 'float': float}[field.kind])

    def test_each_takes_its_choices_and_suggests_the_nearest(self):
        for name, field in study.FIELDS.items():
            for choice in field.choices:
                with self.subTest(name, choice=choice):
                    self.assertEqual(_checked(name, choice), choice)
                    if field.kind == 'str':
                        for value in (choice + 'e', choice.upper() + '?', 'zzz'):
                            self.assertIn('it must be one of', self._refusal(name, value))
        self.assertIn("did you mean 'pool_relu'", self._refusal('model.order', 'poolrelu'))

    def test_a_field_is_suggested_for_its_misspelling_and_for_what_others_call_it(self):
        for name, field in study.FIELDS.items():
            *section, leaf = name.rsplit('.', 1)
            misspelt = '.'.join([*section, leaf[1] + leaf[0] + leaf[2:]])
            misspelt = misspelt if misspelt != name else f'{name}x'
            with self.subTest(name):
                self.assertEqual(config_lib.hint(misspelt, study.FIELDS), f'did you mean {name}')
                for synonym in field.also:
                    found = suggestions.suggestions(synonym, study.FIELDS, settings.SYNONYMS)
                    # One that is a field's own name elsewhere is taken for that field.
                    leaves = [other.rsplit('.', 1)[-1] for other in study.FIELDS]
                    if synonym not in leaves and synonym not in settings.SECTIONS:
                        self.assertIn(name, found, synonym)


if __name__ == '__main__':
    absltest.main()
