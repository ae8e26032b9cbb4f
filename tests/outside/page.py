"""A custody report in a real browser: its order, its size on a screen and on paper, its accessibility, its list of files, and that nothing
is fetched and no script in a name runs.

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
axe = (pathlib.Path(sys.prefix) / "npm/node_modules/axe-core/axe.min.js").read_text()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
# The number of elements of a page that is large.
LARGE = 20_000
ORDER = ["summary", "findings", "timeline", "map", "chains", "gaps", "circumstances", "method", "signatures", "files"]


def open_page(browser, width, height, scheme):
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.requests, page.errors = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("dialog", lambda dialog: page.errors.append("a dialog: " + dialog.message))
    page.goto(url)
    return page


def list_of_files(page):
    """Searches and filters the list of files. Returns the seconds until it is there and until it is searched."""
    begun = time.monotonic()
    page.locator("#files").scroll_into_view_if_needed()
    rows = page.locator("#height [role=row]")
    expect(page.locator("#shown")).to_have_text(f"{files} of {files} files", timeout=60_000)
    opened = time.monotonic() - begun
    # Only what is in sight exists.
    assert rows.count() < 200, rows.count()
    page.locator("#list").evaluate("list => list.scrollTop = list.scrollHeight")
    # The rows are drawn for the next frame.
    expect(page.locator(f'[aria-rowindex="{files}"]')).to_be_attached()
    last = page.locator(f'[aria-rowindex="{files}"]')
    name = last.locator(".cut").get_attribute("title")
    # A name that is cut is copied whole.
    assert last.locator(".cut").evaluate("name => name.textContent") == name
    hashes = [line for line in page.locator("#height .hash").all_text_contents() if line != "no hash"]
    begun = time.monotonic()
    page.locator("#search").fill(name.split("/")[-1])
    expect(page.locator("#shown")).to_have_text(re.compile("^1 of "), timeout=20_000)
    searched = time.monotonic() - begun
    page.locator("#search").fill("no such name")
    expect(page.locator("#shown")).to_have_text(f"0 of {files} files")
    page.locator("#search").fill(hashes[0][:64])
    expect(page.locator("#shown")).to_have_text(re.compile("^1 of "), timeout=20_000)
    assert hashes[0] == page.locator("#height .hash").first.text_content()
    page.locator("#search").fill("")
    expect(page.locator("#shown")).to_have_text(f"{files} of {files} files")
    for word in page.locator("#status option").all_inner_texts()[1:]:
        page.locator("#status").select_option(label=word)
        found = page.locator("#height .status").all_inner_texts()
        assert found and all(status == word for status in found), word
    page.locator("#status").select_option(label="all")
    return opened, searched


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
    for scheme in ["light", "dark"]:
        for name, width, height in [("wide", 1280, 900), ("narrow", 390, 844)]:
            begun = time.monotonic()
            page = open_page(browser, width, height, scheme)
            loaded = time.monotonic() - begun
            assert page.requests == [url], page.requests
            assert page.locator(".verdict .word").inner_text() == verdict
            # Sections that have nothing to show are left out.
            ids = page.evaluate("[...document.querySelectorAll('main > section[id]')].map(section => section.id)")
            known = [id for id in ids if id in ORDER]
            assert known == sorted(known, key=ORDER.index) and {"summary", "findings", "chains", "files"} <= set(ids), ids
            numbers = page.evaluate("[...document.querySelectorAll('#findings .finding')].map(finding => finding.id)")
            assert numbers == [f"F-{index + 1}" for index in range(len(numbers))], numbers
            if verdict == "VIOLATED":
                top = page.locator(".finding").first.evaluate("finding => finding.getBoundingClientRect().top")
                assert numbers and (name == "narrow" or top < height), top
            # Each link leads to something.
            dead = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(a.getAttribute('href').slice(1))).map(a => a.outerHTML)")
            assert not dead, dead[:3]
            # The page does not scroll sideways, and nothing is cut off, apart from what scrolls by itself.
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
            clipped = page.evaluate("""[...document.querySelectorAll('main *')].filter(element => !element.closest('.scroll, .cut, #list, svg, .hidden, nav h2') &&
                element.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(element => element.outerHTML.slice(0, 100))""")
            assert not clipped, clipped[:3]
            opened, searched = list_of_files(page)
            page.screenshot(path=str(shots / f"{scheme}-{name}-files.png"))
            # The rules of WCAG 2, levels A and AA. Of a large page they take a minute: each scheme and each width is seen once.
            is_large = page.evaluate("document.querySelectorAll('*').length") > LARGE
            if not is_large or (scheme, name) in [("light", "wide"), ("dark", "narrow")]:
                page.evaluate(axe)
                found = page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })")
                problems = [(rule["id"], rule["nodes"][0]["html"][:120], len(rule["nodes"])) for rule in found["violations"]]
                assert not problems and len(found["passes"]) > 20, problems
            assert not page.errors, page.errors
            assert page.evaluate("window.pwned === undefined")
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=str(shots / f"{scheme}-{name}.png"))
            assert loaded < 5 and opened < 5 and searched < 5, (loaded, opened, searched)
            page.close()
    # Without the script, the page says where the list is.
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    assert "The records, whose SHA-256 is above, hold all of it." in page.locator("noscript").inner_text()
    context.close()
    page = browser.new_page()
    page.goto(url)
    page.pdf(path=str(shots / "print.pdf"), prefer_css_page_size=True)
    browser.close()

text = subprocess.run(["pdftotext", "-layout", str(shots / "print.pdf"), "-"], check=True, capture_output=True, text=True).stdout
pages = text.split("\f")[:-1]
assert len(pages) >= 3, len(pages)
assert verdict in pages[0] and "Summary" in pages[0] and "Contents" in pages[0], pages[0]
if verdict == "VIOLATED":
    assert "F-1 " in pages[1], pages[1]
for number, page in enumerate(pages, 1):
    assert re.search(rf"\b{number} ?/ ?{len(pages)}\b", page) and "SHA-256 of the records " in page, page
assert "What this does not prove" in text and "Signatures" in text
print(f"{len(pages)} pages; opened in {loaded:.2f} s, list in {opened:.2f} s, searched in {searched:.2f} s")
