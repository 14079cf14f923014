"""Runs the README's commands as they stand there: one machine, and the audit of a bucket of which one notification was never sent.

Arguments: the folder of the `daybook` binary, and the URL of an S3 that may be filled (moto's). Port 9480 of this machine must be free:
it is the README's.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

BINARIES, S3 = sys.argv[1:]
README = open("README.md", encoding="utf-8").read()
PATIENCE = 60


def commands(heading):
    """The lines that a person types, block by block, below that heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [[line[2:] for line in block.splitlines() if line.startswith("$ ")] for block in blocks]


def until(what, is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.1)


class Shell:
    """A folder in which lines are typed; what they start with & ends with it."""

    def __init__(self):
        self.home = tempfile.TemporaryDirectory()
        self.environment = {
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "HOME": self.home.name,
            "AWS_ENDPOINT_URL_S3": S3,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
        self.home.cleanup()

    def type(self, line):
        print(f"$ {line}", flush=True)
        command = ["bash", "-c", line.removesuffix("&")]
        options = {"cwd": self.home.name, "env": self.environment, "text": True}
        if line.endswith("&"):
            self.started.append(subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, **options))
            until("it listens", self.listens)
            return None
        ended = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, **options)
        print(ended.stdout + ended.stderr, end="", flush=True)
        return ended

    def listens(self):
        assert self.started[-1].poll() is None, "it has ended: is port 9480 taken?"
        try:
            return urllib.request.urlopen("http://127.0.0.1:9480/health", timeout=5).status == 200
        except OSError:
            return False

    def is_done(self, key):
        shown = ["daybook", "show", f"s3://photos/{key}", "--local", "daybook-data"]
        shown = subprocess.run(shown, cwd=self.home.name, env=self.environment, capture_output=True, text=True, check=False)
        return ": done" in shown.stdout


def one_machine():
    blocks = commands("On one machine")
    [up, curl, show] = next(block for block in blocks if block[0].startswith("daybook up --exec sh"))
    with Shell() as shell:
        shell.type(up)
        recorded = shell.type(curl)
        assert json.loads(recorded.stdout)["recorded"] == 1, recorded
        until("it is done", lambda: shell.is_done("cats/one.jpg"))
        shown = shell.type(show)
        assert shown.returncode == 0 and "s3://photos/cats/one.jpg: done" in shown.stdout, shown
        seen = open(f"{shell.home.name}/seen.txt", encoding="utf-8").read()
        assert seen == "photos/cats/one.jpg: 1024 bytes\n", seen


def audit():
    [[audit, _]] = commands("Is everything in the bucket processed?")
    s3 = boto3.client("s3", endpoint_url=S3, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Shell() as shell:
        shell.type("daybook up --exec true &")
        s3.create_bucket(Bucket="photos")
        for number, key in enumerate(["cats/one.jpg", "cats/two.jpg", "dogs/three.jpg"]):
            put = s3.put_object(Bucket="photos", Key=key, Body=b"x" * 1200)
            if key == "cats/two.jpg":
                continue
            modified = s3.head_object(Bucket="photos", Key=key)["LastModified"]
            thing = {"key": key, "size": 1200, "eTag": put["ETag"].strip('"'), "sequencer": f"0069C0A1B2D3E4F5A{number}"}
            record = {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": modified.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "s3": {"bucket": {"name": "photos"}, "object": thing},
            }
            body = json.dumps({"Records": [record]}).encode()
            urllib.request.urlopen("http://127.0.0.1:9480/events", body, timeout=PATIENCE)
            until("it is done", lambda key=key: shell.is_done(key))
        # Older than the grace of the command.
        time.sleep(4)
        ended = shell.type(audit)
        assert ended.returncode == 3, ended
        counts = dict(re.findall(r"^(done|missing|open|unknown) +(\d+) ", ended.stdout, re.MULTILINE))
        assert counts == {"done": "2", "missing": "1", "open": "0", "unknown": "0"}, ended
        assert "missing: s3://photos/cats/two.jpg" in ended.stdout, ended


one_machine()
audit()
print("the README's commands do what it says")
