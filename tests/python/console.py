"""Drives the console of `daybook up` with Debian's Chromium, and keeps screenshots in target/console. See tests/console."""

import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
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


def tally(objects, missing=0, unknown=0):
    return {"objects": objects, "bytes": objects * 1024, "done": objects - missing - unknown, "removed": 0, "open": 0, "too_new": 0,
            "missing": missing, "before_watermark": 0, "changed": 0, "unknown": unknown, "may_wait": 0}


def keep_audit(data):
    """An audit as `daybook audit` keeps it: a month of ten prefixes, some objects of which are missing."""
    began, bad = "2026-11-21T00:30:00.123Z", {("in/03/", 12): (7, 0), ("in/07/", 20): (1, 0), ("in/07/", 21): (0, 4), (KEYS[2] + "/", 9): (2, 0)}
    prefixes = [f"in/{number:02}/" for number in range(10)] + [KEYS[2] + "/", KEYS[4] + "/"]
    lines = []
    for prefix in prefixes:
        for day in range(1, 29):
            missing, unknown = bad.get((prefix, day), (0, 0))
            line = {"prefix": prefix, "day": f"2026-11-{day:02}", "complete": missing + unknown == 0}
            lines.append(line | tally(1000 + 37 * day, missing, unknown))
    objects = sum(line["objects"] for line in lines)
    missing = [{"key": f"in/03/{KEYS[2]}-{number}.json", "version_id": None, "etag": None, "size": 1024,
                "last_modified": "2026-11-12T10:15:00Z", "is_latest": True} for number in range(10)]
    brief = {"id": began.replace(":", ""), "began_at": began, "ended_at": "2026-11-21T00:31:10Z", "source": "aws", "bucket": "data", "prefix": "",
             "finished": True, "complete": False, "objects": objects, "missing_left": 10, "unknown": 4, "may_wait": 0}
    report = tally(objects, 10, 4) | {"statement": lines, "failures": [], "report": None, "gone": 0, "unreadable": 0, "repair": None}
    folder = data / "audits"
    folder.mkdir()
    kept = {"brief": brief, "report": report, "missing": missing}
    (folder / f"{brief['id']}.jsonl").write_text(f"{json.dumps(brief)}\n{json.dumps(kept)}\n")


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
               "--exec", "sh", "-c", "[ -e \"$1\" ] && exit 0; echo \"no such column in $DAYBOOK_KEY\" >&2; exit 1",
               "sh", str(folder / "fixed")]
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
        self.answered()

    def answered(self):
        """The page has its answer: where that takes longer than a moment, the page follows by itself, with script and without."""
        wait("the answer", lambda: self.page.locator("[data-look]").count() == 0)

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
    look.answered()
    look.page.keyboard.press("j")
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/object?q=*")
    look.answered()
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


def until(look, text, seconds=30_000):
    look.page.wait_for_function("text => document.querySelector('main').innerText.includes(text)", arg=text, timeout=seconds)


def ask(look, **fields):
    """Fills the confirmation page and begins."""
    for name, value in fields.items():
        look.page.locator(f"form[action='/act'] input[name={name}]").fill(value)
    look.page.locator("form[action='/act'] button").click()
    look.page.wait_for_url("**/operations/*")


def canary(browser, console, fixed):
    """A group is redriven: the canaries fail and the others stay; fixed, the canaries succeed and the others follow, in a closed tab."""
    parked = lambda: json.load(urllib.request.urlopen(console + "/status.json"))["parked"]["rows"]
    before = parked()
    look = Look(browser, viewport={"width": 1440, "height": 900})
    look.go(console + "/errors")
    look.page.locator("a", has_text="Redrive").first.click()
    look.page.wait_for_url("**/act?*")
    look.answered()
    look.check("act")
    look.page.screenshot(path=SHOTS / "confirm-desktop-light.png")
    ask(look, why="<b>the column is there</b>", by="kim", canary="2")
    until(look, "stopped after the canaries")
    look.check("canaries that failed")
    look.page.screenshot(path=SHOTS / "canary-desktop-light.png")
    violations = [violation for violation in Axe().run(look.page).response["violations"]
                  if violation["impact"] in ("serious", "critical")]
    assert not violations, json.dumps(violations, indent=1)
    assert parked() == before, "the canaries are parked again, and the others as they were"
    fixed.touch()
    look.page.locator("a", has_text="The same again").click()
    ask(look, why="<b>the column is there</b>", by="kim", canary="2")
    look.context.close()
    look = Look(browser)
    look.go(console + "/operations")
    assert "<b>the column is there</b>" in look.page.inner_text("main")
    look.page.locator("#did ~ .scroll a").first.click()
    until(look, "2 succeeded")
    until(look, "done")
    wait("the group is done", lambda: parked() < before - 2)
    look.check("canaries that succeeded")
    look.go(console + "/operations")
    look.page.screenshot(path=SHOTS / "did-desktop-light.png", full_page=True)
    look.context.close()
    fixed.unlink()


def bulk(browser, console, events):
    """Ticked rows are removed without script."""
    post(events + "/events", {"Records": [record(f"bulk/{n}.json", 200 + n) for n in range(3)]})
    listed = lambda: json.load(urllib.request.urlopen(console + "/rows.json?status=parked&prefix=bulk/"))["rows"]
    wait("three are parked", lambda: len(listed()) == 3)
    look = Look(browser, java_script_enabled=False)
    look.go(console + "/rows?status=parked&prefix=bulk/")
    for box in look.page.locator("input[name=id]").all()[:2]:
        box.check()
    look.page.locator("form[action='/act']").first.locator("button[value=remove]").click()
    look.answered()
    assert "2 events" in look.page.inner_text("main"), look.page.inner_text("main")
    ask(look, why="a test", by="kim")
    while "Look again" in look.page.inner_text("main"):
        look.page.locator("a", has_text="Look again").click()
    assert re.search(r"removed\s+2", look.page.inner_text("main")), look.page.inner_text("main")
    assert len(listed()) == 1
    look.context.close()


class Slow(http.server.BaseHTTPRequestHandler):
    """A DynamoDB without a row, whose scans take until they are let through."""

    let_through = threading.Event()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"Items": [], "Count": 0, "ScannedCount": 0}
        if self.headers["X-Amz-Target"].endswith(".Scan"):
            if "ExclusiveStartKey" in asked:
                self.let_through.wait(60)
            else:
                answer |= {"ScannedCount": 250_000, "LastEvaluatedKey": {"id": {"S": "0"}}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def slow(browser, folder):
    """A page whose look takes long is there at once, says how far the look is, and gets its answer by itself, with script and without."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_REGION": "eu-central-1",
                   "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    log = open(folder / "slow", "w+")
    command = [os.environ["DAYBOOK_BINARY"], "console", "--ledger-table", "a-ledger", "--receipts-keep", "0", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        console = wait("the console", lambda: re.search(r"console +(http\S+)", (folder / "slow").read_text())).group(1)
        for script in (True, False):
            Slow.let_through.clear()
            for size, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    look = Look(browser, viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script)
                    look.page.goto(f"{console}/rows?prefix=in/{script}", wait_until="commit")
                    wait("it says how far it is", lambda: "1,000,000 so far" in look.page.inner_text("[data-look]"))
                    if script:
                        look.check(f"looking {size} {scheme}")
                        look.page.screenshot(path=SHOTS / f"looking-{size}-{scheme}.png", full_page=size == "phone")
                        violations = [violation for violation in Axe().run(look.page).response["violations"]
                                      if violation["impact"] in ("serious", "critical")]
                        assert not violations, json.dumps(violations, indent=1)
                    if (size, scheme) != ("wide", "dark"):
                        look.context.close()
            Slow.let_through.set()
            look.answered()
            assert "No such open events" in look.page.inner_text("main"), look.page.inner_text("main")
            look.context.close()
    finally:
        Slow.let_through.set()
        process.terminate()
        process.wait(30)
        server.shutdown()


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
            keep_audit(pathlib.Path(folder) / "data")
            pages = {"now": "/", "rows": "/rows", "audit": "/audit", "errors": "/errors", "operations": "/operations",
                     "object": "/object?q=" + hostile["id"], "act": "/act?verb=redrive&error=no+such+column"}
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
                screenshots(browser, console, pages)
                operate(browser, console)
                keyboard(browser, console)
                live(browser, console, events)
                canary(browser, console, pathlib.Path(folder) / "fixed")
                bulk(browser, console, events)
                slow(browser, pathlib.Path(folder))
                browser.close()
        finally:
            process.terminate()
            process.wait(30)
    print(f"the console holds: {len(list(SHOTS.glob('*.png')))} screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
