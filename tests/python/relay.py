"""The relay between two queues of an emulator. Started by tests/relay."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

import boto3

MESSAGES, PER_WINDOW = 115, 50
GROUPS, OF_GROUP = 3, 15


def check(holds, *what):
    if not holds:
        sys.exit("FAILED: " + " ".join(str(part) for part in what))


class Relay:
    def __init__(self, endpoint):
        inherited = {name: value for name, value in os.environ.items() if not re.match("AWS_|DAYBOOK_|RUST_LOG", name)}
        self.environment = {
            **inherited,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": endpoint,
        }
        self.sqs = boto3.client(
            "sqs", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )

    def queue(self, name):
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def run(self, source, target, per_window=PER_WINDOW):
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.run(
                [os.environ["DAYBOOK_BINARY"], "relay", "--from", source, "--to", target, "--per-window", str(per_window),
                 "--lock", os.path.join(folder, "lock"), "--output", "json"],
                env=self.environment, capture_output=True, text=True, timeout=360,
            )
        check(ended.returncode == 0, "daybook relay:", ended.stderr)
        return json.loads(ended.stdout)

    def drained(self, url):
        """All messages of a queue, in the order in which they come."""
        messages, empty = [], 0
        while empty < 2:
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"])
            found = answer.get("Messages", [])
            empty = 0 if found else empty + 1
            for message in found:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            messages += found
        return messages


def standard(relay):
    source, target = relay.queue("arrivals"), relay.queue("work")
    for number in range(MESSAGES):
        attributes = {"number": {"DataType": "Number", "StringValue": str(number)}}
        relay.sqs.send_message(QueueUrl=source, MessageBody=json.dumps({"n": number}), MessageAttributes=attributes)
    sent = [relay.run(source, target)["sent"] for _ in range(4)]
    check(sent[:2] == [PER_WINDOW, PER_WINDOW] and sent[2] < PER_WINDOW and sent[3] == 0, "a run each sent", sent)
    arrived = relay.drained(target)
    numbers = [json.loads(message["Body"])["n"] for message in arrived]
    check(sorted(set(numbers)) == list(range(MESSAGES)), "arrived:", sorted(numbers))
    # Asked by two at once, moto sometimes gives both of them one message; a standard queue may. Each is sent on, and counted.
    check(len(numbers) == sum(sent), len(numbers), "arrived, and were sent:", sent)
    check(all(message["MessageAttributes"]["number"]["StringValue"] == str(json.loads(message["Body"])["n"]) for message in arrived), "attributes differ")
    check(relay.drained(source) == [], "something is left")
    return sent


def fifo(relay, is_strict):
    source, target = relay.queue("arrivals.fifo"), relay.queue("work.fifo")
    for number in range(OF_GROUP):
        for group in range(GROUPS):
            relay.sqs.send_message(
                QueueUrl=source, MessageBody=f"{group}-{number:02}", MessageGroupId=str(group), MessageDeduplicationId=f"{group}-{number}"
            )
    sent = relay.run(source, target)["sent"]
    check(sent >= GROUPS * OF_GROUP, "of FIFO messages were sent:", sent)
    arrived = [message["Body"] for message in relay.drained(target)]
    for group in range(GROUPS):
        of_group = [body for body in arrived if body.startswith(f"{group}-")]
        # moto looks which groups have messages in flight before it looks for messages: asked by two at once, it sometimes gives a later one of a group
        # beside an earlier one. Nothing is lost all the same.
        of_group = of_group if is_strict else sorted(set(of_group))
        check(of_group == [f"{group}-{number:02}" for number in range(OF_GROUP)], "group", group, "arrived as", of_group)
    return sent


def filled(relay, name, messages):
    url = relay.queue(name)
    for first in range(0, messages, 10):
        numbers = range(first, min(first + 10, messages))
        entries = [{"Id": str(number), "MessageBody": f"message {number}"} for number in numbers]
        check(not relay.sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed"), "not all was sent to", url)
    return url


def ratio(relay, messages):
    """What the relay takes for so many messages, and what receiving, sending and deleting each by itself takes, in seconds."""
    source, target = filled(relay, "many", messages), relay.queue("taken")
    begun, sent = time.monotonic(), 0
    # Of a queue that hardly answers a poll may find nothing: a run ends then.
    while sent < messages:
        sent += relay.run(source, target, messages - sent)["sent"]
    together = time.monotonic() - begun
    source, target = filled(relay, "many-too", messages), relay.queue("taken-too")
    begun, sent = time.monotonic(), 0
    while sent < messages:
        for message in relay.sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=1).get("Messages", []):
            relay.sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            relay.sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            sent += 1
    return together, time.monotonic() - begun


def main():
    implementation, endpoint, *messages = sys.argv[1:]
    relay = Relay(endpoint)
    in_order = implementation != "moto"
    print(f"{implementation}: sent {standard(relay)} of {MESSAGES} messages at N = {PER_WINDOW}, and {fifo(relay, in_order)} of {GROUPS} groups{' in order' * in_order}")
    for count in map(int, messages):
        together, each = ratio(relay, count)
        print(f"{implementation}: {count} messages in {together:.1f} s, one after another in {each:.1f} s: {each / together:.0f} times as fast")


main()
