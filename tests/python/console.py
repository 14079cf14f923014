"""Drives the console of `daybook up` with Debian's Chromium, and keeps screenshots in target/console. See tests/console."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

SHOTS = pathlib.Path("target/console")
SIZES = {"desktop": (1440, 900), "phone": (360, 780), "wide": (2560, 1200)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
KEYS = ["2026/11/reading-0001.json", "2026/11/reading-0002.json", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
        "gpj.\u202eexe.txt", "100%25/'quotes'\"&amp;", "long/" + "a" * 1000]


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def record(key, number):
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-11-20T10:15:00.000Z",
            "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "data"}, "object": {
                "key": urllib.parse.quote_plus(key), "sequencer": f"{number:04X}", "size": 1024}}}


def wait(what, found, seconds=30):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return value


def start(folder):
    environment = {**os.environ, "DAYBOOK_LISTEN": "127.0.0.1:0", "DAYBOOK_CONSOLE": "127.0.0.1:0"}
    log = open(folder / "log", "w+")
    command = [os.environ["DAYBOOK_BINARY"], "up", "--data-dir", str(folder / "data"), "--max-attempts", "1",
               "--exec", "sh", "-c", "echo \"no such column in $DAYBOOK_KEY\" >&2; exit 1"]
    process = subprocess.Popen(command, env=environment, stderr=log, stdout=subprocess.DEVNULL)
    said = lambda pattern: re.search(pattern, (folder / "log").read_text())
    events = wait("listening", lambda: said(r"listening on (\S+)")).group(1)
    console = wait("the console", lambda: said(r"console  (http\S+)")).group(1)
    return process, events, console


class Look:
    """A browser's page that minds what it must not see."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))

    def go(self, url):
        self.page.goto(url, wait_until="load")

    def check(self, name):
        assert not self.wrong, f"{name}: {self.wrong}"
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"{name} is {width} px too wide"


def screenshots(browser, console, pages):
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            look = Look(browser, viewport={"width": width, "height": height}, color_scheme=scheme)
            for name, path in pages.items():
                look.go(console + path)
                look.check(f"{name} {size} {scheme}")
                look.page.screenshot(path=SHOTS / f"{name}-{size}-{scheme}.png", full_page=size == "phone")
                violations = [violation for violation in Axe().run(look.page).response["violations"]
                              if violation["impact"] in ("serious", "critical")]
                assert not violations, json.dumps(violations, indent=1)
            look.context.close()


def operate(browser, console):
    """Pause and resume, without script."""
    look = Look(browser, java_script_enabled=False)
    look.go(console + "/operations")
    look.page.locator("form[action='/pause'] input[name=why]").fill("<b>a release</b>")
    look.page.locator("form[action='/pause'] input[name=by]").fill("tester")
    look.page.locator("form[action='/pause'] button").click()
    look.go(console + "/")
    assert "Dispatch is paused by tester" in look.page.inner_text("main"), look.page.inner_text("main")
    assert "<b>a release</b>" in look.page.inner_text("main")
    look.page.screenshot(path=SHOTS / "paused-desktop-light.png")
    look.go(console + "/operations")
    look.page.locator("form[action='/resume'] input[name=why]").fill("done")
    look.page.locator("form[action='/resume'] button").click()
    look.go(console + "/")
    assert "Dispatch is paused" not in look.page.inner_text("main")
    look.context.close()


def keyboard(browser, console):
    look = Look(browser)
    look.go(console + "/")
    look.page.keyboard.press("g")
    look.page.keyboard.press("r")
    look.page.wait_for_url("**/rows")
    look.page.keyboard.press("j")
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/object?q=*")
    assert "parked" in look.page.inner_text(".answer")
    look.page.keyboard.press("/")
    assert look.page.evaluate("document.activeElement.name") == "q"
    look.check("keyboard")
    look.context.close()


def live(browser, console, events):
    """A tab follows the ledger by itself."""
    look = Look(browser)
    look.go(console + "/")
    before = look.page.inner_text(".card.parked .number")
    post(events + "/events", {"Records": [record("2026/11/late.json", 99)]})
    look.page.wait_for_function("before => document.querySelector('.card.parked .number').innerText !== before", arg=before, timeout=20_000)
    look.check("live")
    look.context.close()


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        process, events, console = start(pathlib.Path(folder))
        try:
            post(events + "/events", {"Records": [record(key, number) for number, key in enumerate(KEYS)]})
            status = lambda: json.load(urllib.request.urlopen(console + "/status.json"))
            wait("all are parked", lambda: status()["parked"]["rows"] == len(KEYS))
            rows = json.load(urllib.request.urlopen(console + "/rows.json?status=parked"))["rows"]
            hostile = next(row for row in rows if row["key"].startswith("<script>"))
            pages = {"now": "/", "rows": "/rows", "errors": "/errors", "operations": "/operations",
                     "object": "/object?q=" + hostile["id"]}
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
                screenshots(browser, console, pages)
                operate(browser, console)
                keyboard(browser, console)
                live(browser, console, events)
                browser.close()
        finally:
            process.terminate()
            process.wait(30)
    print(f"the console holds: {len(list(SHOTS.glob('*.png')))} screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
