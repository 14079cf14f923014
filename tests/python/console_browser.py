"""A page of Debian's Chromium that minds what it must not see, for console.py and console_aws.py."""

import json
import pathlib
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error

SHOTS = pathlib.Path("target/console")
SIZES = {"desktop": (1440, 900), "phone": (360, 780), "wide": (2560, 1200)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.example 127.0.0.1"]


def wait(what, found, seconds=30):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return value


class Look:
    """A browser's page that minds what it must not see."""

    def __init__(self, browser, refused=False, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong = []
        # That a page was answered with an error is what some of them are about.
        minds = lambda text: not (refused and text.startswith("Failed to load resource"))
        self.page.on("console", lambda said: said.type in ("error", "warning") and minds(said.text) and self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))

    def go(self, url):
        self.page.goto(url, wait_until="load")
        self.answered()

    def answered(self):
        """The page has its answer: where that takes longer than a moment, the page follows by itself, with script and without."""
        is_there = "document.readyState === 'complete' && !document.querySelector('[data-look]') && performance.timeOrigin"
        before = None

        def stays():
            """The same document as a tenth of a second before, and it has its answer: between two documents there is none, either."""
            nonlocal before
            try:
                last, before = before, self.page.evaluate(is_there)
            except Error as error:
                if "navigation" not in str(error):
                    raise
                last, before = None, None
            return before and before == last

        wait("the answer", stays)

    def check(self, name):
        assert not self.wrong, f"{name}: {self.wrong}"
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"{name} is {width} px too wide"

    def accessible(self, name):
        violations = [violation for violation in Axe().run(self.page).response["violations"]
                      if violation["impact"] in ("serious", "critical")]
        assert not violations, f"{name}: {json.dumps(violations, indent=1)}"

    def shoot(self, name, full=False):
        self.check(name)
        self.accessible(name)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=full)


def until(look, text, seconds=30_000):
    look.page.wait_for_function("text => document.querySelector('main').innerText.includes(text)", arg=text, timeout=seconds)
