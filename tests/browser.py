"""Pages as a real browser makes them, for the tests that look at one."""

import hashlib
import html
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Sequence
from typing import Any

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'chrome'))),
    None,
)
# Functions for a script.
LOOKING = pathlib.Path(__file__).with_name('browsing.js').read_text(encoding='utf-8')
_OPTIONS = '--headless --no-sandbox --disable-gpu --enable-logging=stderr --dump-dom'
_OPTIONS += ' --allow-file-access-from-files --virtual-time-budget=60000'
_AXE = 'https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz'
_AXE_DIGEST = 'e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745'


def probe(
    page: pathlib.Path, script: str, widths: Sequence[int], library: pathlib.Path | None = None
) -> dict[int, dict[str, Any]]:
    """Opens a page in a frame of each width, and returns what `script` finds, and `console`.

    Args:
      page: the page; a copy of it beside it holds the script, before its policy would forbid it.
      script: the body of an async function of `width` that returns what JSON can hold; `errors`
        are the page's.
      widths: of the frames, in pixels. A window cannot be as narrow as a phone; a frame can.
      library: a script that is to be there before.

    Returns:
      width -> what is found there, and what the browser wrote.
    """
    text = page.read_text(encoding='utf-8')
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text).group(0)
    watching = f"""{'' if library is None else f'<script src="{library.as_uri()}"></script>'}
      <script>
        const errors = [], width = innerWidth;
        const failed = (e) => errors.push(String(e.message || e.reason || e.target.outerHTML));
        addEventListener('error', failed, true);
        addEventListener('unhandledrejection', failed);
        addEventListener('securitypolicyviolation', (e) => errors.push('blocked ' + e.blockedURI));
        addEventListener('load', async () => {{
          const found = await (async () => {{{script}}})().catch((e) => ({{failed: e.stack}}));
          parent.postMessage([width, found], '*');
        }});</script>"""
    probed, frame = page.with_name('probed.html'), page.with_name('frame.html')
    probed.write_text(text.replace(policy, watching + policy, 1), encoding='utf-8')
    frames = [
        f'<iframe src="probed.html" style="width:{width}px;height:800px;border:0"></iframe>'
        for width in widths
    ]
    frame.write_text(
        '<pre id="out"></pre><script>const found = {};'
        'addEventListener("message", ({data: [width, what]}) => { found[width] = what;'
        f'if (Object.keys(found).length === {len(widths)}) '
        f'out.textContent = JSON.stringify(found); }});</script>{"".join(frames)}',
        encoding='utf-8',
    )
    command = [
        BROWSER, *_OPTIONS.split(), f'--window-size={max(widths) + 50},900',
        f'--user-data-dir={page.with_name("profile")}', frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    held = re.search(r'<pre id="out">(.+?)</pre>', done.stdout, re.DOTALL)
    if done.returncode or held is None:
        raise AssertionError(done.stderr)
    found = json.loads(html.unescape(held.group(1)))
    console = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    return {int(width): {**what, 'console': console} for width, what in found.items()}


def axe() -> pathlib.Path | None:
    """Where axe-core is, which finds what keeps people from using a page; None if it cannot be had.

    IMBREG_JAX_AXE names its file; else it is fetched once from the npm registry and kept in the
    user's cache.
    """
    if given := os.environ.get('IMBREG_JAX_AXE'):
        return pathlib.Path(given).resolve()
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    kept = cache / 'imbreg_jax' / f'axe-{_AXE_DIGEST[:12]}.min.js'
    if kept.is_file():
        return kept
    try:
        with urllib.request.urlopen(_AXE, timeout=10) as answer:
            content = answer.read()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != _AXE_DIGEST:
        raise AssertionError(f'{_AXE} is not what it was')
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile('package/axe.min.js')
        script = member.read()
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_suffix(f'.{os.getpid()}')
    beside.write_bytes(script)
    beside.replace(kept)
    return kept
