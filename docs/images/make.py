"""Makes the pictures of README from a real run: the terminal as SVG, the report as PNG.

usage: make.py CTVERIFY    (tests/run installs what it needs: Chromium, and playwright in target/test-venv)
"""

import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

from playwright.sync_api import sync_playwright

COLUMNS = 100
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341"}
# Spaces at the begin of a line, and several in a row, would be one.
NO_BREAK_SPACE = "\u00a0"
HERE = pathlib.Path(__file__).parent


def output_on_terminal(command, folder):
    """Returns what a command writes to a terminal of 100 columns."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    written = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        written += part
    os.waitpid(pid, 0)
    # The progress line is drawn and erased before anything else.
    text = written.decode().replace("\r\n", "\n").split("\r")[-1]
    return re.sub(r"\x1b\[[0-9;]*[A-HJKST]|\x1b\[\?\d+[hl]", "", text).rstrip("\n").split("\n")


def to_svg(lines):
    """Draws lines with the colours of their escape sequences."""
    size, step, left, top = 13, 18, 16, 44
    width, height = int(COLUMNS * size * 0.602) + 2 * left, top + step * len(lines) + 10
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="ctverify in a terminal">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>',
        '<g fill="#484f58"><circle cx="20" cy="17" r="5"/><circle cx="38" cy="17" r="5"/><circle cx="56" cy="17" r="5"/></g>',
        f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'Liberation Mono\', monospace" font-size="{size}" fill="#e6edf3">',
    ]
    style = ""
    for number, line in enumerate(lines):
        spans, column = [], 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b["):
                codes = part[2:-1].split(";")
                style = "" if codes in (["0"], [""]) else style
                style += "".join(f' fill="{COLOURS[code]}"' for code in codes if code in COLOURS)
                style += ' font-weight="bold"' if "1" in codes else ""
                style += ' fill="#8b949e"' if "2" in codes else ""
            elif part:
                text = html.escape(part).replace(" ", NO_BREAK_SPACE)
                spans.append(f'<tspan x="{left + column * size * 0.602:.1f}"{style}>{text}</tspan>')
                column += len(part)
        svg.append(f'<text y="{top + number * step}">{"".join(spans)}</text>')
    return "\n".join([*svg, "</g>", "</svg>", ""])


def main():
    ctverify = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([ctverify, "demo", "trail"], cwd=folder, check=True, capture_output=True)
        logs = sorted(pathlib.Path(folder, "trail/AWSLogs").glob("*/CloudTrail/*/*/*/*/*.gz"))
        logs[2].write_bytes(logs[3].read_bytes())
        logs[30].unlink()
        words = ["--from", "trail", "--keys", "trail/keys.json"]
        lines = output_on_terminal([ctverify, *words], folder)
        command = "\x1b[2m$\x1b[0m ctverify " + " ".join(words)
        (HERE / "terminal.svg").write_text(to_svg([command, "", *lines]))
        report = [*words, "--quiet", "--report", "html=report.html", "--case", "2026-117", "--exhibit", "E-4", "--examiner", "J. Doe"]
        subprocess.run([ctverify, *report], cwd=folder, capture_output=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1120, "height": 1000})
            page.goto(pathlib.Path(folder, "report.html").as_uri())
            page.screenshot(path=str(HERE / "report.png"))
            browser.close()


main()
