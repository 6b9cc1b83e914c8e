"""Tests of the site that mkdocs makes of README.md and docs/, in a real browser."""

import functools
import http.server
import importlib.util
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import unittest

import pytest
from absl.testing import absltest

import documents
from browser import BROWSER

_ROOT = documents.ROOT
# Opens every page in frames of so many pixels; a window cannot be as narrow as a phone.
_FRAMES = """<script type="module">
const found = [];
for (const width of %(widths)s) {
  for (const page of %(pages)s) {
    const frame = document.createElement('iframe');
    frame.style = `width:${width}px;height:900px`;
    frame.src = page;
    const loaded = new Promise((done) => { frame.onload = done; });
    document.body.append(frame);
    await loaded;
    const doc = frame.contentDocument;
    const figures = [...doc.querySelectorAll('article img')];
    const tables = [...doc.querySelectorAll('article table')];
    const end = doc.querySelector('article').getBoundingClientRect().right;
    const loads = frame.contentWindow.performance.getEntriesByType('resource');
    found.push({
      page, width,
      shown: doc.querySelectorAll('article h1').length,
      beyond: doc.documentElement.scrollWidth - doc.documentElement.clientWidth,
      cut: figures.filter((img) => img.getBoundingClientRect().right > width).map((i) => i.src),
      wide: tables.filter((table) => table.getBoundingClientRect().right > end + 1)
        .map((table) => table.rows[0].innerText),
      missing: figures.filter((img) => !img.naturalWidth).map((img) => img.src),
      loads: loads.length,
      foreign: loads.map((load) => load.name).filter((name) => !name.startsWith(location.origin)),
    });
    frame.remove();
  }
}
await fetch('found', { method: 'POST', body: JSON.stringify(found) });
</script>"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(204)
        self.end_headers()
        self.server.told.put(json.loads(body))

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    """A folder's pages, and what a page tells it."""

    def __init__(self, folder: pathlib.Path):
        self.told: queue.Queue[list[dict]] = queue.Queue()
        super().__init__(('127.0.0.1', 0), functools.partial(_Handler, directory=folder))


@pytest.mark.slow
@unittest.skipIf(importlib.util.find_spec('mkdocs') is None, 'the extra docs is not installed')
class SiteTest(absltest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site = pathlib.Path(absltest.get_default_test_tmpdir()) / 'site'
        built = subprocess.run(
            [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', cls.site],
            cwd=_ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert built.returncode == 0, built.stderr
        cls.pages = [
            str(path.parent.relative_to(cls.site)) + '/' for path in cls.site.rglob('index.html')
        ]

    def test_it_has_every_page_and_figure(self):
        for path in documents.TEXTS:
            name = path.relative_to(_ROOT).with_suffix('').as_posix().removeprefix('docs/')
            place = re.sub(r'(^|/)(README|index)$', r'\1', name)
            self.assertTrue((self.site / place / 'index.html').is_file(), name)
        for path in (_ROOT / 'results').rglob('*.png'):
            self.assertTrue((self.site / path.relative_to(_ROOT)).is_file(), path)

    def test_every_field_is_in_the_reference(self):
        from imbreg_jax.study import FIELDS

        fields = (self.site / 'reference' / 'fields' / 'index.html').read_text('utf-8')
        for name in FIELDS:
            self.assertIn(f'>{name}<', fields)

    @unittest.skipIf(BROWSER is None, 'there is no browser')
    def test_pages_fit_phones_and_screens_and_load_nothing_from_elsewhere(self):
        for place in self._opened((390, 1280)):
            with self.subTest(page=place['page'], width=place['width']):
                self.assertEqual(place['shown'], 1)
                self.assertEqual(place['beyond'], 0)
                self.assertEqual(place['cut'] + place['missing'], [])
                if place['width'] > 390:  # On a phone tables scroll, by themselves.
                    self.assertEqual(place['wide'], [])
                self.assertGreater(place['loads'], 1)
                self.assertEqual(place['foreign'], [])

    def _opened(self, widths: tuple[int, ...]) -> list[dict]:
        values = {'widths': json.dumps(widths), 'pages': json.dumps(self.pages)}
        (self.site / 'frames.html').write_text(_FRAMES % values, 'utf-8')
        with _Server(self.site) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            profile = self.create_tempdir().full_path
            options = f'--headless --no-sandbox --disable-gpu --user-data-dir={profile}'
            page = f'http://127.0.0.1:{server.server_port}/frames.html'
            with subprocess.Popen(
                [BROWSER, *options.split(), '--remote-debugging-port=0', page],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # It has processes of its own.
            ) as browser:
                try:
                    found = server.told.get(timeout=240)
                finally:
                    os.killpg(browser.pid, signal.SIGKILL)
                    server.shutdown()
        self.assertLen(found, len(widths) * len(self.pages))
        return found


if __name__ == '__main__':
    absltest.main()
