"""The page is safe to open, whoever wrote the config of the workdir that it is about."""

import base64
import hashlib
import html
import html.parser
import json
import pathlib
import re
import shutil
import tempfile
from unittest import mock

from absl.testing import absltest

import browser
import simulated_study
from imbreg_jax import analysis
from imbreg_jax.analysis.render import html as page_html

# Each would run code, or fetch something, wherever it is not taken for text.
_ATTACKS = {
    'attribute': '"><script>document.title = "hacked"</script>',
    'handler': '" onload="document.title = \'hacked\'" x="',
    'single': "' onmouseover='document.title = 1' autofocus onfocus='document.title = 1",
    'svg': '</text></svg><svg onload=document.title=1><a href="javascript:document.title=1">x</a>',
    'title': '</title></style></script><img src=x onerror=document.title=1><base href="//x.test/">',
    'template': '{{ 7 * 7 }}{% include "x" %}${7*7}<!-- --!> ]]>',
    'controls': 'a\x1b]0;b\x07\x00\x9b2J\u202e\ud800\ufffe&#x3c;script&#x3e;',
}
_LINKS = ('href', 'xlink:href', 'src', 'action', 'formaction', 'data', 'srcdoc', 'poster')
_PLAIN_TAGS = frozenset(
    'html head meta title link style body div table caption thead tbody tr th td button p '
    'details summary ol ul li pre figure figcaption strong em span code nav a header main h1 h2 h3 '
    'script section svg g defs clippath path rect text tspan use image pattern'.split()
)


class _Page(html.parser.HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, {key: value or '' for key, value in attributes}))
        if tag == 'script':
            self._in_script = True
            self.scripts.append('')

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, {key: value or '' for key, value in attributes}))

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != 'script'

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data


def _policy(page: _Page) -> dict[str, list[str]]:
    (content,) = (
        attributes['content']
        for tag, attributes in page.elements
        if tag == 'meta' and attributes.get('http-equiv') == 'Content-Security-Policy'
    )
    return {name: values for name, *values in (part.split() for part in content.split(';'))}


class PageTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        workdir = cls.root / 'workdir'
        law = _ATTACKS['attribute']
        known = {law: (law, law, simulated_study.LAWS['u1_10'][2])}
        with mock.patch.dict(simulated_study.LAWS, known):
            simulated_study.write(
                workdir,
                {name: {'train_distribution': law} for name in _ATTACKS},
                dict.fromkeys(_ATTACKS, (0.9, 0.01, 0.03)),
                test_distributions=('u1_10', law),
                images=60,
                repeats=2,
            )
        path = workdir / 'config.json'
        header = json.loads(path.read_text(encoding='utf-8'))
        for name, attack in _ATTACKS.items():
            header['conditions'][name] |= {'label': attack, 'spec': attack}
        header['test_distributions'][law] |= {'label': _ATTACKS['svg']}
        header['config']['name'] = _ATTACKS['title']
        header['config']['model']['conv_dropout'] = _ATTACKS['svg']
        header['versions'] = {_ATTACKS['handler']: _ATTACKS['attribute']}
        header |= {'devices': [_ATTACKS['svg']], 'git_commit': _ATTACKS['handler']}
        path.write_text(json.dumps(header), encoding='utf-8')
        cls.report = analysis.build([workdir], workdir)
        cls.text = cls.report.path.read_text(encoding='utf-8')
        cls.page = _Page(cls.text)

    def test_the_page_holds_one_script_and_its_policy_allows_no_other(self):
        self.assertLen(self.page.scripts, 1)
        digest = hashlib.sha256(self.page.scripts[0].encode()).digest()
        policy = _policy(self.page)
        self.assertEqual(policy['script-src'], [f"'sha256-{base64.b64encode(digest).decode()}'"])
        self.assertEqual(policy['default-src'], ["'none'"])
        self.assertEqual(policy['img-src'], ['data:'])
        for name in ('base-uri', 'form-action'):
            self.assertEqual(policy[name], ["'none'"])
        # It must stand before whatever it is to hold for.
        self.assertLess(self.text.index('Content-Security-Policy'), self.text.index('<title'))

    def test_no_element_and_no_attribute_comes_from_a_label(self):
        self.assertContainsSubset({tag for tag, _ in self.page.elements}, _PLAIN_TAGS)
        for tag, attributes in self.page.elements:
            self.assertEmpty([key for key in attributes if key.startswith('on')], tag)
            self.assertNotIn('autofocus', attributes)
            for key in _LINKS:
                if key in attributes:
                    self.assertRegex(attributes[key], r'^(#|data:(image/png;base64)?,)')

    def test_labels_are_there_as_text(self):
        cells = html.unescape(self.text)
        for name in ('attribute', 'handler', 'single', 'svg'):
            self.assertIn(f'{name} [{_ATTACKS[name]}]', cells)
        self.assertIn('{{ 7 * 7 }}', cells)

    def test_nothing_hides_text_or_commands_a_terminal(self):
        terminal = self.report.terminal_summary()
        for text in (self.text, terminal):
            self.assertEmpty(re.findall('[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ufffe]', text))

    def test_drawings_and_markdown_hold_no_markup_of_a_label(self):
        folder = self.report.path.parent
        for path in sorted(folder.glob('figures/*.svg')):
            with self.subTest(path.name):
                drawing = _Page(path.read_text(encoding='utf-8'))
                tags = {tag for tag, _ in drawing.elements}
                self.assertEmpty(tags & {'script', 'img', 'a', 'base', 'foreignobject'})
                for _, attributes in drawing.elements:
                    self.assertEmpty([key for key in attributes if key.startswith('on')])
        for path in sorted(folder.glob('tables/*.md')):
            with self.subTest(path.name):
                text = path.read_text(encoding='utf-8')
                self.assertEmpty(re.findall(r'(?<!\\)<(?=[a-z/!])', text))

    def test_the_script_ends_no_element(self):
        # Within a page a script ends at the first of these, quoted or not.
        self.assertNotRegex(self.page.scripts[0], r'(?i)</script|<!--')
        folder = pathlib.Path(page_html.__file__).parent
        self.assertEqual(self.page.scripts[0], (folder / 'page.js').read_text(encoding='utf-8'))

    @absltest.skipIf(browser.BROWSER is None, 'skipped: no Chromium or Chrome on this machine')
    def test_in_a_browser_no_label_runs_and_no_script_but_its_own(self):
        # Also asks whether the policy holds.
        script = """
          const injected = document.createElement('script');
          injected.textContent = 'document.title = "hacked"';
          document.body.append(injected);
          all('details').forEach((details) => { details.open = true; });
          return {title: document.title, errors: [...errors], ...look()};"""
        script = browser.LOOKING + script
        found = browser.probe(self.report.path, script, [390])[390]
        self.assertStartsWith(found['title'], 'Imbalanced targets and regression CNNs: </title>')
        self.assertNotIn('hacked', ' '.join(found['errors']))
        # However long a label is, nothing is cut off and no text lies over another.
        self.assertLessEqual(found['wide'], 0)
        self.assertEmpty(found['beyond'] + found['over'] + found['cut'])


if __name__ == '__main__':
    absltest.main()
