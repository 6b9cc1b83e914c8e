"""A kind of value has one text, whatever format it is written in."""

import math

from absl.testing import absltest

from imbreg_jax.analysis import formats

_NAN = math.nan


class FormatsTest(absltest.TestCase):
    def test_each_kind_shows_its_values_and_says_what_is_undefined(self):
        for kind, values, text, key in (
            (formats.LABEL, ('U(1, 10)',), 'U(1, 10)', None),
            (formats.STATUS, ('stands',), 'stands', None),
            (formats.COUNT, (12345,), '12,345', 12345),
            (formats.COUNT, (None,), 'n/a', ''),
            (formats.COUNT, (_NAN,), 'n/a', ''),
            (formats.count_or_more(10_000), (math.inf,), '> 10,000', ''),
            (formats.count_or_more(10_000), (_NAN,), 'n/a', ''),
            (formats.count_or_more(10_000), (12.0,), '12', 12),
            (formats.NUMBER, (0.000123456,), '0.0001235', 0.000123456),
            (formats.NUMBER, (1.23e9,), '1.230e+09', 1.23e9),
            (formats.NUMBER, (0.0,), '0', 0),
            (formats.NUMBER, (math.inf,), 'n/a', ''),
            (formats.ROUGH, (123.456,), '123', 123.456),
            (formats.SPREAD, (1.5, 0.25), '1.500 ± 0.250', 1.5),
            (formats.SPREAD, (1.5, _NAN), '1.500 ± n/a', 1.5),
            (formats.SPREAD, (_NAN, _NAN), 'n/a', ''),
            (formats.SPREAD, (0.000241, 0.0000312), '0.000241 ± 0.000031', 0.000241),
            (formats.SPREAD, (1.5, 0.0), '1.500 ± 0.000', 1.5),
            (formats.SPREAD, (0.00012, _NAN), '0.00012 ± n/a', 0.00012),
            (formats.SPREAD, (2e-12, 1e-13), '2.000e-12 ± 1.0e-13', 2e-12),
            (formats.INTERVAL, (0.5, 2.0), '0.5000 to 2.000', 0.5),
            (formats.INTERVAL, (_NAN, _NAN), 'n/a', ''),
            (formats.P_VALUE, (0.0123,), '0.012', 0.0123),
            (formats.P_VALUE, (1e-9,), '< 0.001', 1e-9),
            (formats.P_VALUE, (_NAN,), 'n/a', ''),
            (formats.SHARE, (1.0, 4.0), '1.00 (25.0 %)', 1),
            (formats.SHARE, (0.0, 0.0), '0', 0),
            (formats.PRINTED, (9.175, 0.978, 'a,d'), '9.175 ± 0.978 [a,d]', 9.175),
            (formats.PRINTED, (0.3, _NAN), '0.3', 0.3),
            (formats.PRINTED, (_NAN, _NAN, ''), '—', ''),
        ):
            with self.subTest(text):
                self.assertEqual(
                    formats.cell(kind, values, 'a.csv'),
                    formats.Cell(text, kind.name, key, 'a.csv'),
                )

    def test_what_a_stranger_wrote_stays_on_its_line_and_commands_nothing(self):
        cell = formats.cell(formats.LABEL, ('U\x1b[2J(1,\n10)\u202e\x9b31m\x07',), 'a\r\nb\ud800')
        self.assertEqual(cell.text, 'U\ufffd[2J(1, 10)\ufffd\ufffd31m\ufffd')
        self.assertEqual(cell.source, 'a  b\ufffd')


if __name__ == '__main__':
    absltest.main()
