"""Notifications from other servers, all the way to the target. Started by tests/sources with the address of moto."""

import json
import pathlib
import sys
import tempfile

import boto3
from botocore.config import Config

from up import Up, check, equal, until
from webhooks import SENDERS

ACCOUNT, REGION = "123456789012", "us-east-1"

# What is encoded in one way or another on its way, and what must not be decoded twice.
KEYS = [
    "plain.txt",
    "with space/red flower.jpg",
    "plus+and & ampersand=1?.txt",
    "100%/%20/%2B.txt",
    "사진/🚀 é.bin",
    "quotes'\"/<tag>/back\\slash.txt",
    "semi;colon:and,comma@at#hash$.txt",
    "dots/../.hidden./a//b",
]

# Keeps what it was given: the environment, and stdin. Runs wait for the file `go` if there is `wait`.
TARGET = 'while [ -e "$1/wait" ] && [ ! -e "$1/go" ]; do sleep 0.05; done; env -0 > "$1/$DAYBOOK_ID.$$.env" && cat > "$1/$DAYBOOK_ID.$$.tmp" && mv "$1/$DAYBOOK_ID.$$.tmp" "$1/$DAYBOOK_ID.$$.json"'


class Target:
    """The folder into which the target command writes each of its runs."""

    def __init__(self, folder):
        self.folder = folder / "runs"
        self.folder.mkdir()
        self.arguments = ("--exec", "sh", "-c", TARGET, "sh", str(self.folder))

    def hold(self):
        """No run ends until `let_go`: what is posted twice meanwhile finds its row, and not the moment between receipt and deletion
        in which a duplicate may be recorded again."""
        (self.folder / "wait").touch()

    def let_go(self):
        (self.folder / "go").touch()

    def runs(self):
        runs = [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]
        for path, run in zip(sorted(self.folder.glob("*.env")), runs):
            pairs = (pair.split("=", 1) for pair in path.read_text().split("\0") if "=" in pair)
            variables = {name: value for name, value in pairs if name.startswith("DAYBOOK_")}
            for name in ("id", "bucket", "key", "etag", "version_id", "kind", "size"):
                expected = None if run.get(name) is None else str(run[name])
                equal(variables.get(f"DAYBOOK_{name.upper()}"), expected, f"DAYBOOK_{name.upper()} and stdin say the same")
        return runs

    def wait(self, count, up):
        """All runs, when so many have ended and nothing is open."""
        until(f"{count} runs", lambda: len(list(self.folder.glob("*.json"))) >= count)
        lines, summary = up.stop()
        runs = self.runs()
        equal(len(runs), count, "the runs of the target")
        equal(len({run["id"] for run in runs}), count, "no event ran twice")
        equal(summary["worker"]["completed"], count, "events completed")
        return runs, summary


class Moto:
    """S3 with notifications, and the queues that they arrive on."""

    def __init__(self, url):
        make = lambda service: boto3.client(
            service,
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}),
        )
        # By bucket what was put into it, whether or not it is there still.
        self.uploads = {}
        self.s3, self.sqs, self.sns, self.events = (make(service) for service in ("s3", "sqs", "sns", "events"))

    def bucket(self, name, **configuration):
        self.s3.create_bucket(Bucket=name)
        if configuration:
            self.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)

    def queue(self, name):
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def drain(self, url):
        """The bodies of all messages."""
        bodies = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def put(self, bucket, key, body):
        etag = self.s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"].strip('"')
        self.uploads.setdefault(bucket, set()).add((key, etag, len(body)))

    def upload(self, bucket):
        """Objects by PutObject and CopyObject."""
        for number, key in enumerate(KEYS):
            self.put(bucket, key, b"x" * number)
        self.s3.copy_object(Bucket=bucket, Key="copied + pasted.txt", CopySource={"Bucket": bucket, "Key": KEYS[1]})

    def upload_in_parts(self, bucket):
        """moto notifies twice of these, as S3 may of anything."""
        upload = {"Bucket": bucket, "Key": "in parts/%.bin"}
        upload["UploadId"] = self.s3.create_multipart_upload(**upload)["UploadId"]
        part = self.s3.upload_part(**upload, PartNumber=1, Body=b"part")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self.s3.complete_multipart_upload(**upload, MultipartUpload=parts)

    def objects(self, bucket):
        """What is in the bucket, as the target should be told."""
        listed = self.s3.list_objects_v2(Bucket=bucket)["Contents"]
        return {(found["Key"], found["ETag"].strip('"'), found["Size"]) for found in listed}


def told(runs, bucket, kind="created"):
    return {(run["key"], run.get("etag"), run.get("size")) for run in runs if (run["bucket"], run["kind"]) == (bucket, kind)}


def distinct(bodies):
    """How many events there are in bodies of moto's queues. moto sends no sequencer: what tells two events of one key apart is
    time, etag and size."""
    events, tests = set(), 0
    for body in map(json.loads, bodies):
        body = json.loads(body["Message"]) if "Message" in body else body
        tests += body.get("Event") == "s3:TestEvent"
        for record in body.get("Records", []):
            name = record["eventName"].split(":")[0]
            found = record["s3"]["object"]
            sent = (record["eventTime"], found.get("eTag"), found.get("size"))
            events.add((record["s3"]["bucket"]["name"], found["key"], name, *sent))
    return len(events), tests


def moto(url, folder):
    """Uploads to moto's S3, delivered by moto; its queues are read and posted on, as a bridge would."""
    aws = Moto(url)
    target = Target(folder)
    target.hold()
    wanted = {"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    with Up(folder, "--every", "200ms", target=target.arguments) as up:
        direct, direct_arn = aws.queue("direct")
        aws.bucket("by-sqs", QueueConfigurations=[{"QueueArn": direct_arn, **wanted}])

        topic = aws.sns.create_topic(Name="uploads")["TopicArn"]
        fanned, fanned_arn = aws.queue("fanned-out")
        aws.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=fanned_arn)
        aws.bucket("by-sns", TopicConfigurations=[{"TopicArn": topic, **wanted}])

        # SNS calls daybook up itself: no bridge at all.
        calls = aws.sns.create_topic(Name="calls")["TopicArn"]
        aws.sns.subscribe(TopicArn=calls, Protocol="http", Endpoint=f"{up.url}/events")
        aws.bucket("by-http", TopicConfigurations=[{"TopicArn": calls, **wanted}])

        bus, bus_arn = aws.queue("bus")
        aws.events.put_rule(Name="s3", EventPattern=json.dumps({"source": ["aws.s3"]}))
        aws.events.put_targets(Rule="s3", Targets=[{"Id": "1", "Arn": bus_arn}])
        aws.bucket("by-eventbridge", EventBridgeConfiguration={})

        buckets = ["by-sqs", "by-sns", "by-http", "by-eventbridge"]
        for bucket in buckets:
            aws.upload(bucket)
        for bucket in ("by-sqs", "by-sns"):
            aws.upload_in_parts(bucket)
        events, tests = bridge(aws, [direct, fanned], up)
        check(events >= 2 * (len(KEYS) + 2), "moto told of all uploads to two buckets", events)
        equal(tests, 2, "test events, one by SQS and one by SNS and SQS")
        for bucket in buckets:
            aws.s3.delete_object(Bucket=bucket, Key=KEYS[0])
        for bucket in buckets:
            aws.put(bucket, KEYS[2], b"another content")
        later, _ = bridge(aws, [direct, fanned], up)
        equal(later, 4, "moto told of an overwritten and a removed object in two buckets")
        bridged = eventbridge(aws.drain(bus), up)

        by_http = len(KEYS) + 3
        target.let_go()
        runs, summary = target.wait(events + later + by_http + bridged, up)
        equal(summary["left"], "none open", "what is left")
        for bucket in buckets:
            equal(told(runs, bucket), aws.objects(bucket) | aws.uploads[bucket], f"what the target was told of {bucket}")
            removed = {key for key, _, _ in told(runs, bucket, "removed")}
            equal(removed, {KEYS[0]}, f"removals from {bucket}")
    print(f"moto's S3 by SQS, by SNS and SQS, by SNS over HTTP, by EventBridge and SQS: {len(runs)} events")
    print("  the command was given every key, etag and size as it is in the bucket; what came twice ran once")


def bridge(aws, queues, up):
    """Posts the bodies of all messages as they are, and once more; how many events and test events they had."""
    bodies = [body for queue in queues for body in aws.drain(queue)]
    events, tests = distinct(bodies)
    answers = [up.post(body) for body in bodies]
    equal(sum(answer["recorded"] for answer in answers), events, "events recorded")
    equal(sum(answer["test_events"] for answer in answers), tests, "test events recognised")
    equal(sum(answer["unreadable"] for answer in answers), 0, "parts of moto's notifications that cannot be read")
    for body in bodies:
        answer = up.post(body)
        equal(answer["recorded"] + answer["unreadable"], 0, f"events recorded when {body} is posted again")
    return events, tests


def eventbridge(bodies, up):
    """Posts EventBridge's events; how many there are. moto sends one for the tags of each upload, too."""
    check(len(bodies) >= len(KEYS) + 2, "moto's EventBridge told of uploads and a removal", bodies)
    for body in bodies:
        equal(up.post(body)["recorded"], 1, f"events recorded of {body}")
    return len(bodies)


def webhooks(sender, folder):
    """The recorded payloads of one server, sent as it sends them."""
    target = Target(folder)
    target.hold()
    arguments = ["--source", sender.source, "--every", "200ms"]
    if sender.token:
        arguments += ["--token", sender.token]
    with Up(folder, *arguments, target=target.arguments) as up:
        sender.probe(up)
        expected = {}
        for fixture in sender.fixtures():
            expected |= {event["id"]: event for event in fixture.events}
            for body in fixture.bodies:
                # The answer to the first is lost, say.
                sender.send(up, body)
                again = sender.send(up, body)
                equal(again["recorded"] + again["unreadable"], 0, f"events recorded when a body of {fixture.name} comes again")
        target.let_go()
        until("all to be done", lambda: len(list(target.folder.glob("*.json"))) >= len(expected))
        for fixture in sender.fixtures():
            for body in fixture.bodies:
                again = sender.send(up, body)
                equal(again["recorded"] + again["unreadable"], 0, f"events recorded when {fixture.name} comes much later")
        runs, summary = target.wait(len(expected), up)
        equal(summary["left"], "none open", "what is left")
    for run in runs:
        event = expected[run["id"]]
        for name in ("bucket", "key", "etag", "version_id", "kind", "size", "sequencer", "event_name", "event_time", "region"):
            equal(run.get(name), event[name], f"the {name} that the command was given for {run['id']}")
    print(f"{sender.name}: {sender.about}; {len(runs)} events of its payloads, each run once with the expected key")


def main():
    with tempfile.TemporaryDirectory(prefix="daybook-sources.") as home:
        folder = pathlib.Path(home)
        for name in ("moto", *(sender.name for sender in SENDERS)):
            (folder / name).mkdir()
        moto(sys.argv[1], folder / "moto")
        for sender in SENDERS:
            webhooks(sender, folder / sender.name)


main()
