"""Events of real S3 servers, all the way to the target. Started by tests/real-sources with the servers that could be installed:
`ceph=ROOT`, `localstack=PYTHON`."""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config

from real_servers import ACCESS_KEY, SECRET_KEY, Ceph, LocalStack, free_port
from up import PATIENCE, Up, check, daybook, equal, until

REGION = "us-east-1"

# Ceph's gateway looks for persistent notifications twice a minute.
DELIVERY = 120.0

# What is encoded in one way or another on its way, and what must not be decoded twice.
KEYS = [
    "plain.txt",
    "with space/red flower.jpg",
    "plus+and & ampersand=1?.txt",
    "c++/main.cpp",
    "100%/%20/%2B.txt",
    "사진/🚀 é.bin",
    "quotes'\"/<tag>.txt",
    "semi;colon:and,comma@at#hash$.txt",
    "~tilde/(round)*star!.txt",
    "x" * 1000,
]

# What is never encoded.
TAME_KEYS = ["plain.txt", "a/red-flower.jpg", "b_c.txt", "d/main.cpp"]

TARGET = 'cat > "$1/$DAYBOOK_ID.$$.tmp" && mv "$1/$DAYBOOK_ID.$$.tmp" "$1/$DAYBOOK_ID.$$.json"'


class Bucket:
    """A bucket, and every upload to it and deletion from it that must run. A server may tell the versions of plain uploads only."""

    def __init__(self, s3, name, versioned=False, tells_all_versions=True, odd_keys=True, pause=0):
        self.s3, self.name = s3, name
        # Seconds between two uploads of one key.
        self.pause = pause
        self.keys = KEYS if odd_keys else TAME_KEYS
        self.more_keys = ["copied + pasted.txt", "in parts/%41+.bin"] if odd_keys else ["copied.txt", "in-parts.bin"]
        self.versioned, self.tells_all_versions = versioned, tells_all_versions
        self.created, self.removed = collections.Counter(), collections.Counter()
        # What was uploaded as versions that events do not name: the audit cannot take these for done.
        self.untold = collections.Counter()
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def uploaded(self, key, plain=True):
        """What the server itself says of what was uploaded."""
        head = self.s3.head_object(Bucket=self.name, Key=key)
        version = head["VersionId"] if self.versioned else None
        if version and not plain and not self.tells_all_versions:
            self.untold[key] += 1
            version = None
        self.created[(key, head["ETag"].strip('"'), head["ContentLength"], version)] += 1

    def put(self, key, body):
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        self.uploaded(key)

    def copy(self, source, key):
        self.s3.copy_object(Bucket=self.name, Key=key, CopySource={"Bucket": self.name, "Key": source})
        self.uploaded(key, plain=False)

    def put_in_parts(self, key):
        upload = {"Bucket": self.name, "Key": key}
        upload["UploadId"] = self.s3.create_multipart_upload(**upload)["UploadId"]
        parts = []
        for number, body in enumerate((b"a" * (5 << 20), b"b"), 1):
            part = self.s3.upload_part(**upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        self.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        self.uploaded(key, plain=False)

    def delete(self, key):
        self.s3.delete_object(Bucket=self.name, Key=key)
        self.removed[key] += 1

    def fill(self):
        """Every key, once."""
        for number, key in enumerate(self.keys):
            self.put(key, b"x" * number)

    def change(self):
        """Overwrites, copies, parts, deletions, and an upload of what was deleted."""
        copied, in_parts = self.more_keys
        for body in (b"another content", b"another content", b"yet another"):
            time.sleep(self.pause)
            self.put(self.keys[2], body)
        self.copy(self.keys[1], copied)
        self.put_in_parts(in_parts)
        self.delete(self.keys[0])
        self.delete(self.keys[3])
        time.sleep(self.pause)
        self.put(self.keys[0], b"")

    def events(self):
        return sum(self.created.values()) + sum(self.removed.values())

    def check(self, runs):
        """Each upload and each deletion ran once, with the key as it is in the bucket, and nothing else ran."""
        created, removed = collections.Counter(), collections.Counter()
        for run in (run for run in runs if run["bucket"] == self.name):
            if run["kind"] == "created":
                version = run.get("version_id") if self.versioned else None
                created[(run["key"], run.get("etag"), run.get("size"), version)] += 1
            else:
                equal(run["kind"], "removed", f"the kind of {run}")
                removed[run["key"]] += 1
        for what, found, expected in (("uploads to", created, self.created), ("deletions from", removed, self.removed)):
            differing = {key: (found[key], expected[key]) for key in found | expected if found[key] != expected[key]}
            equal(differing, {}, f"{what} {self.name} that did not run once each (found, then expected)")


class Stage:
    """A server, its clients, and `daybook up`."""

    def __init__(self, server, folder, source):
        self.server, self.folder, self.source = server, folder, source
        self.runs_folder = folder / "runs"
        self.runs_folder.mkdir()
        self.buckets = []

    def client(self, service):
        # Older servers refuse the checksums that newer clients add to what does not ask for them.
        checksums = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
        return boto3.client(
            service,
            endpoint_url=self.server.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}, **checksums),
        )

    def bucket(self, name, **what):
        self.buckets.append(Bucket(self.client("s3"), name, **what))
        return self.buckets[-1]

    def up(self, listen="127.0.0.1:0"):
        target = ("--exec", "sh", "-c", TARGET, "sh", str(self.runs_folder))
        return Up(self.folder, "--source", self.source, "--every", "200ms", target=target, listen=listen)

    def daybook(self, *words, stdin=None, expect=(0,)):
        """The binary beside `daybook up`; its JSON."""
        inherited = {name: value for name, value in os.environ.items() if not re.match("DAYBOOK_|AWS_|RUST_LOG", name)}
        settings = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        command = [daybook(), *words, "--local", self.folder / "data", "--output", "json"]
        done = subprocess.run(command, env=inherited | settings, input=stdin, capture_output=True, timeout=PATIENCE)
        check(done.returncode in expect, f"the exit code of daybook {' '.join(words)}", done.returncode, done.stderr.decode())
        return json.loads(done.stdout)

    def runs(self):
        return [json.loads(path.read_text()) for path in self.runs_folder.glob("*.json")]

    def wait(self):
        """Until as many ran as must, and nothing is open. What runs twice is seen at the end."""
        count = sum(bucket.events() for bucket in self.buckets)
        until(f"{count} runs", lambda: len(list(self.runs_folder.glob("*.json"))) >= count, patience=DELIVERY, every=0.2)
        until("the ledger to drain", lambda: self.counts() == (0, 0, 0))

    def counts(self):
        status = self.daybook("status")
        return tuple(status[name]["rows"] for name in ("pending", "claimed", "parked"))

    def audit(self, bucket, *words, expect=(0,)):
        words = ("audit", f"s3://{bucket.name}", "--s3-endpoint", self.server.url, "--grace", "0s", *words)
        return self.daybook(*words, expect=expect)

    def check_audit(self):
        """What is in each bucket is done. In one that sends no notifications all is missing, and runs once it is repaired."""
        for bucket in self.buckets:
            untold = sum(bucket.untold.values())
            result = self.audit(bucket, expect=(0, 3) if untold else (0,))
            equal(result["done"], result["objects"] - untold, f"objects of {bucket.name} that are done")
            unproven = result["missing"] + result["before_watermark"]
            equal(unproven, untold, f"objects of {bucket.name} that nothing proves done")
        silent = self.bucket("silent")
        silent.fill()
        # What was uploaded a moment ago is too new to be missing.
        missing = lambda: self.audit(silent, expect=(0, 3))["missing"] == len(KEYS)
        until("all to be missing where nobody is told", missing, every=0.5)
        self.audit(silent, "--repair")
        self.wait()
        equal(self.audit(silent)["done"], len(KEYS), "objects that are done after the repair")

    def end(self, up):
        """All that must have run did, and nothing else."""
        _, summary = up.stop()
        equal(summary["left"], "none open", "what is left")
        runs = self.runs()
        for bucket in self.buckets:
            bucket.check(runs)
        count = sum(bucket.events() for bucket in self.buckets)
        equal(len(runs), count, "the runs of the target")
        untold = sum(sum(bucket.untold.values()) for bucket in self.buckets)
        print(f"{self.server.version()}: {count} uploads and deletions, each run once with the key, etag and size in the bucket")
        print("  the audit finds all of it done" + (f", but for {untold} versions that no event named" if untold else ""))


def ceph(root, folder):
    """Ceph keeps its notifications until they are taken: the first ones before `daybook up` ever ran. In a bucket with versions it
    tells no version of copies and of uploads in parts (seen with 16.2)."""
    with Ceph(folder, root) as server:
        stage = Stage(server, folder, "ceph")
        listen = f"127.0.0.1:{free_port()}"
        attributes = {"push-endpoint": f"http://{listen}/events", "persistent": "true"}
        topic = stage.client("sns").create_topic(Name="daybook", Attributes=attributes)["TopicArn"]
        events = {"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], "TopicArn": topic, "Id": "daybook"}
        buckets = [stage.bucket("plain"), stage.bucket("versioned", versioned=True, tells_all_versions=False)]
        for bucket in buckets:
            configuration = {"TopicConfigurations": [events]}
            bucket.s3.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=configuration)
            bucket.fill()
        with stage.up(listen) as up:
            for bucket in buckets:
                bucket.change()
            stage.wait()
            stage.check_audit()
            stage.end(up)


def localstack(python, folder):
    """By SNS over HTTP, by SQS and the AWS CLI, by EventBridge and SQS. LocalStack's EventBridge encodes keys, which AWS's does not,
    so that a key with a percent sign cannot be told there. Its events have no order within a second: all uploads run, but the
    one receipt of the key may be of any of these, and the audit would not know the last one as done."""
    with LocalStack(folder, python) as server:
        stage = Stage(server, folder, "localstack")
        s3, sns, sqs, bus = (stage.client(service) for service in ("s3", "sns", "sqs", "events"))
        queue = lambda name: sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = lambda url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        notify = lambda bucket, **what: s3.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=what)
        events = {"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        with stage.up() as up:
            topic = sns.create_topic(Name="uploads")["TopicArn"]
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{up.url}/events")
            confirm(stage, topic)
            by_sns = stage.bucket("by-sns", versioned=True)
            notify(by_sns, TopicConfigurations=[{"TopicArn": topic, **events}])

            direct = queue("direct")
            by_sqs = stage.bucket("by-sqs")
            notify(by_sqs, QueueConfigurations=[{"QueueArn": arn(direct), **events}])

            ruled = queue("ruled")
            pattern = {"source": ["aws.s3"], "detail-type": ["Object Created", "Object Deleted"]}
            bus.put_rule(Name="uploads", EventPattern=json.dumps(pattern))
            bus.put_targets(Rule="uploads", Targets=[{"Id": "1", "Arn": arn(ruled)}])
            by_eventbridge = stage.bucket("by-eventbridge", odd_keys=False, pause=1.1)
            notify(by_eventbridge, EventBridgeConfiguration={})

            for bucket in stage.buckets:
                bucket.fill()
            for bucket in stage.buckets:
                bucket.change()
            by_the_cli(stage, sqs, direct, by_sqs.events())
            until("EventBridge's events", lambda: posted(up, sqs, ruled) >= by_eventbridge.events(), patience=DELIVERY, every=0.2)
            stage.wait()
            stage.check_audit()
            stage.end(up)


def confirm(stage, topic):
    """As a person would: reads what the parked row says to open, opens it, and removes the row."""
    rows = until("the confirmation", lambda: stage.daybook("list", "--status", "parked")["rows"])
    equal(len(rows), 1, "parked rows")
    url = re.search(rf"until {topic} is confirmed, .* open (http://\S+)$", rows[0]["last_error"])
    check(url, "the parked row names the topic and the URL that confirms", rows)
    equal(urllib.parse.urlsplit(url.group(1)).netloc, urllib.parse.urlsplit(stage.server.url).netloc, "who is asked to confirm")
    with urllib.request.urlopen(url.group(1), timeout=PATIENCE) as answer:
        equal(answer.status, 200, "the status of the confirmation")
    stage.daybook("remove", rows[0]["id"], "--why", "confirmed", "--yes")


def by_the_cli(stage, sqs, queue, count):
    """`aws sqs receive-message | daybook ingest -` until the queue is empty; then the CLI prints nothing at all."""
    cli = [pathlib.Path(sys.executable).parent / "aws", "--endpoint-url", stage.server.url, "--region", REGION]
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    command = [*cli, "sqs", "receive-message", "--queue-url", queue, "--max-number-of-messages", "10"]
    recorded, printed = 0, b"?"
    while printed:
        done = subprocess.run(command, env=os.environ | keys, capture_output=True, timeout=PATIENCE)
        equal(done.returncode, 0, f"the exit code of the AWS CLI, which said {done.stderr.decode()!r}")
        printed = done.stdout
        for _ in range(2):
            result = stage.daybook("ingest", "-", stdin=printed)
            equal((result["unreadable"], result["not_safe"]), (0, 0), "what could not be read of the CLI's output")
            recorded += result["recorded"]
        for message in json.loads(printed or "{}").get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    equal(recorded, count, "events recorded of what the AWS CLI printed, each batch given twice")


def posted(up, sqs, queue, seen=set()):
    """Posts the messages of the queue, each twice; how many there were up to now."""
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            equal(up.post(message["Body"])["recorded"], 1, f"events recorded of {message['Body']}")
            equal(up.post(message["Body"])["recorded"], 0, f"events recorded when {message['Body']} comes again")
            seen.add(message["MessageId"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return len(seen)


def main():
    # So that the servers are stopped then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("FAILED: terminated"))
    known = {"ceph": ceph, "localstack": localstack}
    with tempfile.TemporaryDirectory(prefix="daybook-real.", ignore_cleanup_errors=True) as home:
        for argument in sys.argv[1:]:
            name, _, where = argument.partition("=")
            folder = pathlib.Path(home) / name
            folder.mkdir()
            known[name](where, folder)


main()
