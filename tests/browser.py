"""Pages as a real browser makes them, for the tests that look at one."""

import html
import json
import pathlib
import re
import shutil
import subprocess

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'chrome'))),
    None,
)
_OPTIONS = '--headless --no-sandbox --disable-gpu --enable-logging=stderr --dump-dom'
_OPTIONS += ' --allow-file-access-from-files --virtual-time-budget=10000'


def probe(page: pathlib.Path, script: str, width: int) -> dict:
    """Opens a page in a frame of so many pixels, and returns what `script` finds, and `console`.

    Args:
      page: the page; a copy of it beside it holds the script, before its policy would forbid it.
      script: evaluates to what JSON can hold, once the page is loaded; `errors` are the page's.
      width: of the frame. A window cannot be as narrow as a phone; a frame can.
    """
    text = page.read_text(encoding='utf-8')
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text).group(0)
    watching = """<script>
        const errors = [];
        const failed = (e) => errors.push(String(e.message || e.target.outerHTML));
        addEventListener('error', failed, true);
        addEventListener('securitypolicyviolation', (e) => errors.push('blocked ' + e.blockedURI));
        addEventListener('load', () => {
          const found = document.createElement('pre');
          found.id = 'probe';
          found.textContent = JSON.stringify((() => {%s})());
          document.body.append(found);
        });</script>"""
    probed, frame = page.with_name('probed.html'), page.with_name('frame.html')
    probed.write_text(text.replace(policy, watching % script + policy, 1), encoding='utf-8')
    frame.write_text(
        f'<iframe id="f" src="probed.html" style="width:{width}px;height:800px"></iframe>'
        '<pre id="out"></pre><script>addEventListener("load", () => { out.textContent = '
        'f.contentDocument.getElementById("probe").textContent; });</script>',
        encoding='utf-8',
    )
    profile = f'--user-data-dir={page.with_name(f"profile_{width}")}'
    command = [BROWSER, *_OPTIONS.split(), profile, frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    text = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL).group(1)
    console = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    return {**json.loads(html.unescape(text)), 'console': console}
