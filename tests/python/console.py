"""Drives the console of `daybook up` with Debian's Chromium, and keeps screenshots in target/console. See tests/console."""

import http.server
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from playwright.sync_api import sync_playwright

from console_aws import letters, slow
from console_browser import ARGUMENTS, SHOTS, SIZES, Look, until, wait

DATA = "daybook-data"
WORK = """case $DAYBOOK_KEY in ok/*) exit 0;; esac; [ -e "$1" ] && exit 0; echo "no such column in $DAYBOOK_KEY" >&2; exit 1"""
IMAGES = {"now": "console-now", "audit": "console-audit"}
STRANGER = "stranger.example"
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


def start(folder):
    environment = {**os.environ, "DAYBOOK_LISTEN": "127.0.0.1:0", "DAYBOOK_CONSOLE": "127.0.0.1:0"}
    log = open(folder / "log", "w+")
    command = [os.path.abspath(os.environ["DAYBOOK_BINARY"]), "up", "--data-dir", DATA, "--max-attempts", "1", "--per-window", "25",
               "--exec", "sh", "-c", WORK, "sh", str(folder / "fixed")]
    process = subprocess.Popen(command, env=environment, stderr=log, stdout=subprocess.DEVNULL, cwd=folder)
    said = lambda pattern: re.search(pattern, (folder / "log").read_text())
    events = wait("listening", lambda: said(r"listening on (\S+)")).group(1)
    console = wait("the console", lambda: said(r"console  (http\S+)")).group(1)
    return process, events, console


def busy(events, console):
    """Some windows in which objects are processed."""
    numbers = itertools.count(1000)
    for size in (6, 15, 25, 22, 25, 13, 4, 25, 18, 8):
        post(events + "/events", {"Records": [record(f"ok/{number}.json", number) for number in itertools.islice(numbers, size)]})
        time.sleep(1)
    status = lambda: json.load(urllib.request.urlopen(console + "/status.json"))
    wait("they are done", lambda: status()["pending"]["rows"] == status()["claimed"]["rows"] == 0, 300)


def screenshots(browser, console, pages):
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            look = Look(browser, viewport={"width": width, "height": height}, color_scheme=scheme)
            for name, path in pages.items():
                look.go(console + path)
                look.shoot(f"{name}-{size}-{scheme}", full=size == "phone")
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


def tabs(browser, console, events):
    """Far more tabs than a browser makes connections all follow, and go on when the one that has the stream is closed."""
    context = browser.new_context()
    pages = [context.new_page() for _ in range(12)]
    parked = lambda page: page.inner_text(".card.parked .number")
    for page in pages:
        page.goto(console + "/", wait_until="load", timeout=10_000)
    for number in (0, 1):
        before = parked(pages[-1])
        post(events + "/events", {"Records": [record(f"2026/11/tabs-{number}.json", 120 + number)]})
        for page in pages:
            page.wait_for_function("before => document.querySelector('.card.parked .number').innerText !== before", arg=before, timeout=20_000)
        pages.pop(0).close()
    context.close()


def strangers(browser, console):
    """Pages of strangers, and texts of theirs in addresses."""
    paused = lambda: json.load(urllib.request.urlopen(console + "/status.json"))["dispatch"]["paused"]
    address = urllib.parse.urlsplit(console)

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = (f"<!doctype html><form method=post action='{console}/pause'><input name=why value=no></form>"
                    "<script>document.forms[0].submit()</script>").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    look = Look(browser, refused=True)
    # A page of another site, and one of another port of this machine: both send the form, and neither pauses anything.
    for host in (STRANGER, "127.0.0.1"):
        with look.page.expect_response(lambda response: response.url.endswith("/pause")) as refused:
            look.page.goto(f"http://{host}:{server.server_port}/")
        assert refused.value.status == 403, (host, refused.value.status)
        assert paused() is None, host
    server.shutdown()
    # A name of a stranger that leads here (DNS rebinding).
    answer = look.page.goto(f"http://{STRANGER}:{address.port}/")
    assert answer.status == 421 and "folder" not in look.page.content(), answer.status
    look.context.close()
    look = Look(browser, refused=True)
    hostile = urllib.parse.quote("<script>alert(1)</script>\"><img src=x onerror=alert(1)>\u202e%'" + "b" * 1000)
    for path in (f"/rows?batch={hostile}", f"/rows?status={hostile}", f"/rows?error={hostile}", f"/object?q={hostile}",
                 f"/object?q=s3://data/{hostile}", f"/act?verb={hostile}", f"/act?verb=redrive&error={hostile}", f"/operations/{hostile}",
                 f"/audit?id={hostile}", f"/replay?object=s3://data/{hostile}", f"/replay?object={hostile}",
                 f"/redrive-queue?queue={hostile}", f"/{hostile}"):
        look.go(console + path)
        look.check(path[:40])
        assert look.page.locator("main script, main img").count() == 0, path
    look.context.close()


def replay(browser, console):
    """What is done is processed once more, by keyboard alone."""
    look = Look(browser, viewport={"width": 1440, "height": 900})
    look.go(console + "/object?q=s3://data/ok/1000.json")
    look.shoot("done-desktop-light")
    look.page.locator("a", has_text="Replay").focus()
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/replay?*")
    look.answered()
    look.shoot("replay-desktop-light")
    look.page.locator("input[name=why]").focus()
    look.page.keyboard.type("<b>it was half</b>")
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/object?q=*")
    look.answered()
    assert "s3://data/ok/1000.json" in look.page.inner_text(".answer"), look.page.inner_text("main")
    look.check("replayed")
    look.go(console + "/operations")
    assert "replay s3://data/ok/1000.json" in look.page.inner_text("main"), look.page.inner_text("main")
    look.context.close()


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
    look.shoot("confirm-desktop-light")
    ask(look, why="<b>the column is there</b>", by="kim", canary="2")
    until(look, "stopped after the canaries")
    look.shoot("canary-desktop-light")
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
    look.shoot("did-desktop-light", full=True)
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
            keep_audit(pathlib.Path(folder) / DATA)
            busy(events, console)
            pages = {"now": "/", "rows": "/rows", "audit": "/audit", "errors": "/errors", "operations": "/operations",
                     "object": "/object?q=" + hostile["id"], "act": "/act?verb=redrive&error=no+such+column"}
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
                screenshots(browser, console, pages)
                operate(browser, console)
                keyboard(browser, console)
                live(browser, console, events)
                tabs(browser, console, events)
                strangers(browser, console)
                replay(browser, console)
                canary(browser, console, pathlib.Path(folder) / "fixed")
                bulk(browser, console, events)
                slow(browser, pathlib.Path(folder))
                letters(browser, pathlib.Path(folder))
                browser.close()
        finally:
            process.terminate()
            process.wait(30)
    if os.environ.get("DAYBOOK_WRITE_IMAGES"):
        for page, image in IMAGES.items():
            shutil.copy(SHOTS / f"{page}-desktop-light.png", f"docs/images/{image}.png")
    print(f"the console holds: {len(list(SHOTS.glob('*.png')))} screenshots in {SHOTS}")


if __name__ == "__main__":
    main()
