"""What boto3 and the AWS CLI see of `daybook up`. Started by tests/boto3."""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse
import uuid

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import ClientError

from up import Up, check, equal, event_id, object_id, until

LEDGER, RECEIPTS, QUEUE = "daybook-ledger", "daybook-receipts", "daybook-dispatch"
SOURCE, BUCKET = "gateway", "device-uploads"
TRACE = "Root=1-67891233-abcdef012345678912345678"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LEASE = 600

# Three events that differ in all that identifies them. One of them fails.
EVENTS = {
    "good": {"key": "in/red flower + 100%.jpg", "version": None, "etag": "c1b05bd6a9f1a0c7f0b1b8e0a5f2d3c4", "size": 629648},
    "other": {"key": "사진/🚀.jpg", "version": "3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", "etag": "9b2cf535f27731c974343645a3985328-2", "size": 0},
    "bad": {"key": "in/bad.bin", "version": None, "etag": "b1946ac92492d2347c6235b4d2611184", "size": 5368709120},
}
for number, event in enumerate(EVENTS.values()):
    event["sequencer"] = f"0068b5c2f4a1b7{number:02x}"
    event["padded"] = event["sequencer"].upper().ljust(32, "0")
    identifying = (SOURCE, BUCKET, event["key"], event["version"], "created")
    event["id"] = event_id(*identifying, event["padded"], event["etag"])
    event["object_id"] = object_id(*identifying)

# Says that it runs, waits until it may go on, then fails for keys with "bad" in them.
TARGET = """
    echo "$DAYBOOK_KEY" >> ran
    while [ ! -e go ]; do sleep 0.05; done
    case "$DAYBOOK_KEY" in *bad*) echo "disk on fire" >&2; exit 7 ;; esac
"""


def record(event):
    found = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-20T10:15:00.123Z",
        "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "bucket": {"name": BUCKET},
            "object": {
                "key": urllib.parse.quote_plus(event["key"]),
                "size": event["size"],
                "eTag": event["etag"],
                "sequencer": event["sequencer"],
            },
        },
    }
    if event["version"]:
        found["s3"]["object"]["versionId"] = event["version"]
    return found


NOTIFICATION = {"Records": [record(event) for event in EVENTS.values()]}


def client(service, up, **options):
    return boto3.client(
        service,
        endpoint_url=up.url,
        region_name="us-east-1",
        aws_access_key_id=options.pop("access_key", "local"),
        aws_secret_access_key="local",
        # A refusal is to be seen, and not to be tried again.
        config=Config(retries={"total_max_attempts": 1}),
    )


def shard(event):
    return event["id"].int % 16


def row(dynamodb, event):
    """The row as it is on the wire, each attribute with its type."""
    return dynamodb.get_item(TableName=LEDGER, Key={"id": {"S": str(event["id"])}}, ConsistentRead=True).get("Item")


def value(item, name, kind):
    check(name in item, f"the row has {name}", item)
    equal(list(item[name]), [kind], f"the type of {name}")
    return item[name][kind]


def time_of(item, name):
    text = value(item, name, "S")
    check(TIME.fullmatch(text), f"{name} is a time in UTC with milliseconds", text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def indexed(up, status, event):
    """What the index has of an event in that status, read through the resource interface."""
    table = boto3.resource(
        "dynamodb", endpoint_url=up.url, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
    ).Table(LEDGER)
    page = table.query(IndexName="by_status", KeyConditionExpression=Key("status_shard").eq(f"{status}#{shard(event)}"))
    return [item for item in page["Items"] if item["id"] == str(event["id"])]


def tables(up):
    dynamodb = client("dynamodb", up)
    equal(sorted(dynamodb.list_tables()["TableNames"]), [LEDGER, RECEIPTS], "the tables")
    ledger = dynamodb.describe_table(TableName=LEDGER)["Table"]
    key = lambda name, role: {"AttributeName": name, "KeyType": role}
    equal(ledger["TableStatus"], "ACTIVE", "the ledger's status")
    equal(ledger["KeySchema"], [key("id", "HASH")], "the ledger's key")
    equal(ledger["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST", "the ledger's billing mode")
    types = {found["AttributeName"]: found["AttributeType"] for found in ledger["AttributeDefinitions"]}
    equal(types, {"id": "S", "status_shard": "S", "due_at": "S"}, "the types of the keys")
    [index] = ledger["GlobalSecondaryIndexes"]
    equal(index["IndexName"], "by_status", "the index")
    equal(index["KeySchema"], [key("status_shard", "HASH"), key("due_at", "RANGE")], "the index's key")
    equal(index["Projection"], {"ProjectionType": "KEYS_ONLY"}, "the index's projection")
    receipts = dynamodb.describe_table(TableName=RECEIPTS)["Table"]
    equal(receipts["KeySchema"], [key("id", "HASH")], "the receipts' key")
    equal(receipts.get("GlobalSecondaryIndexes", []), [], "the receipts' indexes")
    ttl = dynamodb.describe_time_to_live(TableName=RECEIPTS)["TimeToLiveDescription"]
    equal(ttl, {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, "the receipts' TTL")


def check_event(item, event):
    """All attributes that do not change with the row's steps."""
    texts = {
        "id": str(event["id"]),
        "source": SOURCE,
        "bucket": BUCKET,
        "key": event["key"],
        "kind": "created",
        "etag": event["etag"],
        "sequencer": event["padded"],
        "event_name": "ObjectCreated:Put",
        "region": "eu-central-1",
        "trace": TRACE,
    }
    if event["version"]:
        texts["version_id"] = event["version"]
    for name, expected in texts.items():
        equal(value(item, name, "S"), expected, name)
    numbers = {"size": event["size"], "max_attempts": 5, "v": 2}
    for name, expected in numbers.items():
        equal(int(value(item, name, "N")), expected, name)
    equal(value(item, "event_time", "S"), "2026-11-20T10:15:00.123Z", "event_time")
    equal(uuid.UUID(value(item, "id", "S")).version, 5, "the version of the id")
    size = sum(len(name.encode()) + len(str(next(iter(held.values()))).encode()) for name, held in item.items())
    check(size < 1024, "a row costs one write unit", size)
    return set(texts) | set(numbers) | {"event_time"}


def pending(up, began):
    dynamodb = client("dynamodb", up)
    for event in EVENTS.values():
        item = row(dynamodb, event)
        check(item, "the row is there, under the id computed here", event)
        names = check_event(item, event)
        equal(value(item, "status", "S"), "PENDING", "status")
        equal(value(item, "status_shard", "S"), f"PENDING#{shard(event)}", "status_shard")
        equal(value(item, "attempt", "N"), "0", "attempt")
        equal(value(item, "deliveries", "N"), "0", "deliveries")
        recorded, due = time_of(item, "recorded_at"), time_of(item, "due_at")
        equal(due, recorded, "a new row is due at once")
        check(began - datetime.timedelta(seconds=1) <= recorded <= now(), "recorded_at is now", item["recorded_at"])
        names |= {"status", "status_shard", "attempt", "deliveries", "recorded_at", "due_at"}
        equal(set(item), names, "the attributes of a new row")
        expected = {"id": str(event["id"]), "status_shard": f"PENDING#{shard(event)}", "due_at": item["due_at"]["S"]}
        equal(indexed(up, "PENDING", event), [expected], "what the index has of it: its keys")
    scan = dynamodb.scan(TableName=LEDGER, FilterExpression="attribute_exists(status_shard)", Select="COUNT")
    equal(scan["Count"], len(EVENTS), "the open rows")


def queue_depth(up):
    sqs = client("sqs", up)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    check(url.startswith(up.url + "/") and url.endswith("/" + QUEUE), "the queue's URL leads to this port", url)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    equal(found["QueueArn"], f"arn:aws:sqs:us-east-1:000000000000:{QUEUE}", "the queue's ARN")
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


def claimed(up):
    """Two workers have an event each; the third is claimed, and waits in the queue."""
    dynamodb = client("dynamodb", up)
    items = [row(dynamodb, event) for event in EVENTS.values()]
    equal({value(item, "status", "S") for item in items}, {"CLAIMED"}, "status")
    # 0 deliveries is a row that a worker has taken.
    equal(sorted(value(item, "deliveries", "N") for item in items), ["0", "0", "1"], "deliveries")
    for item, event in zip(items, EVENTS.values()):
        names = check_event(item, event)
        equal(value(item, "status_shard", "S"), f"CLAIMED#{shard(event)}", "status_shard")
        equal(value(item, "attempt", "N"), "1", "attempt")
        equal(value(item, "lease_moves", "N"), "0", "lease_moves")
        uuid.UUID(value(item, "claim_token", "S"))
        left = (time_of(item, "due_at") - now()).total_seconds()
        check(LEASE - 120 < left <= LEASE, "due_at is the end of the lease", left)
        names |= {"status", "status_shard", "attempt", "deliveries", "recorded_at", "due_at", "claim_token", "lease_moves"}
        equal(set(item), names, "the attributes of a claimed row")
        equal(len(indexed(up, "CLAIMED", event)), 1, "the index has it as CLAIMED")
        equal(indexed(up, "PENDING", event), [], "the index has it as PENDING no more")
        check_no_receipt(dynamodb, event)
    equal(queue_depth(up), (1, 2), "messages that wait, and that workers have")


def check_no_receipt(dynamodb, event):
    item = dynamodb.get_item(TableName=RECEIPTS, Key={"id": {"S": str(event["object_id"])}}).get("Item")
    equal(item, None, "there is no receipt")


def check_receipt(dynamodb, event):
    item = dynamodb.get_item(TableName=RECEIPTS, Key={"id": {"S": str(event["object_id"])}}, ConsistentRead=True).get("Item")
    check(item, "the receipt is there, under the object's id computed here", event)
    texts = {
        "event_id": str(event["id"]),
        "outcome": "succeeded",
        "source": SOURCE,
        "bucket": BUCKET,
        "key": event["key"],
        "kind": "created",
        "etag": event["etag"],
        "sequencer": event["padded"],
        "event_time": "2026-11-20T10:15:00.123Z",
    }
    if event["version"]:
        texts["version_id"] = event["version"]
    for name, expected in texts.items():
        equal(value(item, name, "S"), expected, f"the receipt's {name}")
    equal(value(item, "attempt", "N"), "1", "the receipt's attempt")
    equal(int(value(item, "size", "N")), event["size"], "the receipt's size")
    check(re.fullmatch(r".+:\d+", value(item, "by", "S")), "the receipt says who: host and process", item["by"])
    completed = time_of(item, "completed_at")
    kept = int(value(item, "expires_at", "N")) - completed.timestamp()
    check(abs(kept - 14 * 24 * 3600) <= 1, "the receipt is kept for 14 days", kept)


def settled(up):
    dynamodb = client("dynamodb", up)
    for name in ("good", "other"):
        until(f"the row of {name!r} to go", lambda: row(dynamodb, EVENTS[name]) is None)
        check_receipt(dynamodb, EVENTS[name])
    bad = EVENTS["bad"]
    item = until("the failed event to go back", lambda: (found := row(dynamodb, bad)) and "last_error" in found and found)
    equal(value(item, "status", "S"), "PENDING", "the failed event's status")
    equal(value(item, "status_shard", "S"), f"PENDING#{shard(bad)}", "the failed event's status_shard")
    equal(value(item, "attempt", "N"), "1", "the failed event's attempt")
    equal(value(item, "last_error", "S"), "exit status 7: disk on fire", "the failed event's last_error")
    wait = (time_of(item, "due_at") - now()).total_seconds()
    check(0 < wait <= 30, "the failed event is due later, within the backoff of 30 s", wait)
    equal(len(indexed(up, "PENDING", bad)), 1, "the index has it as PENDING again")
    check_no_receipt(dynamodb, bad)
    until("the queue to be empty", lambda: queue_depth(up) == (0, 0))
    answer = up.post(NOTIFICATION)
    equal((answer["done_before"], answer["already_there"]), (2, 1), "the same notification again finds receipts and row")


def aws_cli(up, *words, access_key="local"):
    """The AWS CLI's exit code and what it printed."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    command = [pathlib.Path(sys.executable).with_name("aws"), "--endpoint-url", up.url, "--output", "json", *words]
    done = subprocess.run(command, env=keep | settings, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def command_line(up):
    code, out, errors = aws_cli(up, "dynamodb", "scan", "--table-name", LEDGER)
    equal(code, 0, f"the exit code of aws dynamodb scan, which said {errors!r}")
    ids = {item["id"]["S"] for item in json.loads(out)["Items"]}
    equal(ids, {str(EVENTS["bad"]["id"]), "control"}, "what the AWS CLI finds in the ledger")


def executions(up):
    machines = client("stepfunctions", up).list_state_machines()["stateMachines"]
    equal(machines, [], "state machines: one machine has workers instead")


def token(folder):
    with Up(folder, "--token", "a-long-secret") as up:
        listed = client("dynamodb", up, access_key="a-long-secret").list_tables()["TableNames"]
        equal(len(listed), 2, "the tables that the token's holder sees")
        try:
            client("dynamodb", up, access_key="another-secret").list_tables()
            sys.exit("FAILED: a client without the token was served")
        except ClientError as error:
            equal(error.response["ResponseMetadata"]["HTTPStatusCode"], 401, "the status for a wrong token")
        code, _, errors = aws_cli(up, "sqs", "list-queues", access_key="another-secret")
        check(code != 0 and "UnrecognizedClientException" in errors and "the token is wrong" in errors, "the AWS CLI is refused", code, errors)
        up.stop()


def main():
    home = tempfile.TemporaryDirectory(prefix="daybook-boto3.")
    folder = pathlib.Path(home.name)
    with home:
        began = now()
        with Up(folder, "--source", SOURCE) as up:
            answer = up.post(NOTIFICATION, **{"X-Amzn-Trace-Id": TRACE})
            equal(answer["recorded"], 3, "events recorded")
            tables(up)
            print(f"tables: {LEDGER} with by_status, {RECEIPTS} with a TTL")
            pending(up, began)
            print("3 rows PENDING: ids, shards, times, keys and all other attributes as recomputed here")
            equal(queue_depth(up), (0, 0), "messages in the queue while nothing is claimed")
            executions(up)
            lines, _ = up.stop()
            equal({line["id"] for line in lines}, {str(event["id"]) for event in EVENTS.values()}, "what it printed instead of running")
        (folder / "go").unlink(missing_ok=True)
        target = ("--exec", "sh", "-c", f"cd '{folder}'; {TARGET}")
        # The queue's way, so that there is a queue to look at: handed over directly, an event waits for a worker in the ledger.
        arguments = ("--source", SOURCE, "--workers", "2", "--lease", f"{LEASE}s", "--dispatch", "scheduled")
        with Up(folder, *arguments, target=target) as up:
            ran = folder / "ran"
            until("two commands to run", lambda: ran.exists() and len(ran.read_text().splitlines()) == 2)
            until("the third event to be claimed", lambda: indexed_claims(up) == 3)
            claimed(up)
            print("3 rows CLAIMED: leases and tokens; 2 messages in flight, 1 waits, as SQS tells")
            (folder / "go").touch()
            settled(up)
            print("2 rows gone, each with its receipt; the failed one PENDING again, attempt 1, later, with its error")
            command_line(up)
            keys = set(ran.read_text().splitlines())
            equal(keys, {event["key"] for event in EVENTS.values()}, "the keys that the command was given")
            _, summary = up.stop()
            # On a very slow machine the failed one has come due once more by now.
            done = (summary["worker"]["completed"], summary["worker"]["failed"] >= 1)
            equal(done, (2, True), "what it says that it did")
        token(folder)
        print("the AWS CLI scans the ledger; without the token neither client is served")


def indexed_claims(up):
    return sum(len(indexed(up, "CLAIMED", event)) for event in EVENTS.values())


main()
