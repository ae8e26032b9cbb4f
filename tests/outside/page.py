"""A custody report in a real browser: it renders, its list is filtered and searched, nothing is fetched, script in a name does not run, and
what is printed has the verdict.

usage: page.py REPORT.html EXPECTED_VERDICT EXPECTED_FILES FOLDER_FOR_SCREENSHOTS
"""

import pathlib
import re
import subprocess
import sys
import time

from playwright.sync_api import expect, sync_playwright

report, verdict, files, shots = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
shots.mkdir(parents=True, exist_ok=True)
url = pathlib.Path(report).resolve().as_uri()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]

with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
    for scheme in ["light", "dark"]:
        for name, width in [("wide", 1280), ("narrow", 420)]:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            requests, errors = [], []
            page.on("request", lambda request: requests.append(request.url))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("dialog", lambda dialog: errors.append("a dialog: " + dialog.message))
            page.goto(url)
            assert requests == [url], requests
            assert page.locator(".verdict .word").inner_text() == verdict
            assert page.locator("svg.block").count() >= 1
            # The page does not scroll sideways.
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
            begun = time.monotonic()
            page.locator("#files summary").click()
            expect(page.locator("#window div").first).to_be_attached()
            opened = time.monotonic() - begun
            assert page.locator("#shown").inner_text() == f"{files} of {files} files", page.locator("#shown").inner_text()
            # Only what is in sight exists.
            assert page.locator("#window div").count() < 200
            begun = time.monotonic()
            page.locator("#list").evaluate("list => list.scrollTop = list.scrollHeight")
            page.wait_for_timeout(50)
            last = page.locator("#window div").last.inner_text()
            # Its name: a file that no digest lists has no hash.
            page.locator("#search").fill(last.split()[-1])
            # The policy of the page allows no strings of code, with which a function would be waited for.
            expect(page.locator("#shown")).to_have_text(re.compile("^1 of "))
            searched = time.monotonic() - begun
            page.locator("#search").fill("")
            for word in page.locator("#status option").all_inner_texts()[1:]:
                page.locator("#status").select_option(word)
                found = page.locator("#window div").all_inner_texts()
                assert found and all(line.startswith(word) for line in found), word
            page.locator("#status").select_option("")
            assert not errors, errors
            assert page.evaluate("window.pwned === undefined")
            page.screenshot(path=str(shots / f"{scheme}-{name}-files.png"))
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=str(shots / f"{scheme}-{name}.png"))
            assert opened < 5 and searched < 5, (opened, searched)
            page.close()
    page = browser.new_page()
    page.goto(url)
    page.pdf(path=str(shots / "print.pdf"), prefer_css_page_size=True)
    browser.close()

text = subprocess.run(["pdftotext", "-layout", str(shots / "print.pdf"), "-"], check=True, capture_output=True, text=True).stdout
assert verdict in text and "What this does not prove" in text and "Signatures" in text, text[:2000]
assert text.count("\f") >= 2, "it has pages"
print("ok")
