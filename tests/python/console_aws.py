"""The console in front of what stands in for AWS: a ledger that takes long to read, and a queue with dead letters. See tests/console."""

import http.server
import json
import os
import re
import subprocess
import threading
import time

from console_browser import SHOTS, SIZES, Look, until, wait


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
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # A look that nobody waits for any more is stopped.
            pass

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
                        look.shoot(f"looking-{size}-{scheme}", full=size == "phone")
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


class Letters(http.server.BaseHTTPRequestHandler):
    """A ledger without a row, and a queue with dead letters, which SQS moves back one by one as it is looked at."""

    moved = None

    def do_POST(self):
        asked, operation = self.rfile.read(int(self.headers["Content-Length"])), self.headers["X-Amz-Target"].split(".")[-1]
        arn = "arn:aws:sqs:eu-central-1:000000000000:dispatch"
        answers = {
            "GetQueueUrl": lambda: {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/000000000000/letters"},
            "GetQueueAttributes": lambda: {"Attributes": {
                "QueueArn": arn + "-letters", "ApproximateNumberOfMessages": str(1200 - (Letters.moved or 0)), "MessageRetentionPeriod": "1209600"}
                if b"letters" in asked else {"QueueArn": arn, "ApproximateNumberOfMessages": "0", "RedrivePolicy": json.dumps(
                    {"deadLetterTargetArn": arn + "-letters", "maxReceiveCount": 10})}},
            "ListMessageMoveTasks": self.tasks,
            "StartMessageMoveTask": self.start,
        }
        answer = answers.get(operation, lambda: {"Items": [], "Count": 0, "ScannedCount": 0})()
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def start(self):
        Letters.moved = 0
        return {"TaskHandle": "a-task"}

    def tasks(self):
        if Letters.moved is None:
            return {"Results": []}
        Letters.moved = min(1200, Letters.moved + 400)
        done = Letters.moved == 1200
        return {"Results": [{"Status": "COMPLETED" if done else "RUNNING", "TaskHandle": "a-task", "ApproximateNumberOfMessagesMoved": Letters.moved,
                             "ApproximateNumberOfMessagesToMove": 1200, "StartedTimestamp": int(time.time() * 1000) - 5000}]}

    def log_message(self, *_):
        pass


def letters(browser, folder):
    """Dead letters are moved back, and the page follows SQS by itself."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Letters)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_REGION": "eu-central-1",
                   "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    log = open(folder / "letters", "w+")
    command = [os.environ["DAYBOOK_BINARY"], "console", "--ledger-table", "a-ledger", "--receipts-keep", "0", "--listen", "127.0.0.1:0",
               "--dispatch-queue-url", "https://sqs.eu-central-1.amazonaws.com/000000000000/dispatch"]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        console = wait("the console", lambda: re.search(r"console +(http\S+)", (folder / "letters").read_text())).group(1)
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                look = Look(browser, viewport={"width": width, "height": height}, color_scheme=scheme)
                look.go(console + "/operations")
                look.shoot(f"queues-{size}-{scheme}", full=size == "phone")
                look.page.locator("a", has_text="Move back").click()
                look.page.wait_for_url("**/redrive-queue?*")
                look.shoot(f"letters-{size}-{scheme}", full=size == "phone")
                if (size, scheme) != ("wide", "dark"):
                    look.context.close()
        look.page.locator("input[name=why]").fill("<b>the role is fixed</b>")
        look.page.locator("form[action='/redrive-queue'] button").click()
        until(look, "SQS is moving them back")
        look.page.screenshot(path=SHOTS / "moving-wide-dark.png")
        until(look, "completed")
        # How many are left was asked a moment before.
        look.page.reload()
        look.check("moved back")
        assert "It holds no messages" in look.page.inner_text("main"), look.page.inner_text("main")
        look.go(console + "/operations")
        assert "<b>the role is fixed</b>" in look.page.inner_text("main"), look.page.inner_text("main")
        look.context.close()
    finally:
        process.terminate()
        process.wait(30)
        server.shutdown()
