"""A stack of Daybook's with its bucket and its target, and what the scripts about stacks ask of it."""

import collections
import datetime
import json
import re
import sys
import time

from botocore.exceptions import ClientError

from emulated import ACCOUNT
from up import check, equal, event_id, object_id, until

START = time.monotonic()

# Two ticks and what they start, on a machine that does much else.
PATIENCE = 420.0

# Fails the first attempt of what is below flaky/.
WORK = {
    "StartAt": "Choose",
    "States": {
        "Choose": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.attempt", "NumericEquals": 1},
                        {"Variable": "$.key", "StringMatches": "flaky/*"},
                    ],
                    "Next": "Refuse",
                }
            ],
            "Default": "Work",
        },
        "Work": {"Type": "Pass", "End": True},
        "Refuse": {"Type": "Fail", "Error": "Flaky", "Cause": "the first attempt fails"},
    },
}


def say(what):
    print(f"{time.monotonic() - START:5.0f} s  {what}", flush=True)


class Pipeline:
    """A stack, its bucket and its target: a state machine that does `work`, unless `target` has the parameters that name another."""

    # All, in the order in which they were made.
    made = []

    def __init__(self, cloud, packaged, name, bucket, work=WORK, target=None, **parameters):
        self.cloud, self.bucket, self.name = cloud, bucket, name
        self.s3, self.states = cloud.client("s3"), cloud.client("stepfunctions")
        self.state_machine = None if target else cloud.state_machine(f"{name}-work", work)
        self.s3.create_bucket(Bucket=bucket)
        self.packaged = packaged
        self.parameters = {
            **(target or {"StateMachineArn": self.state_machine}),
            "Architecture": "x86_64",
            # To ministack, an empty list is one that has been given.
            "IntakeBucketArns": f"arn:aws:s3:::{bucket}",
            "IntakeAccounts": ACCOUNT,
            **parameters,
        }
        self.stack = cloud.deploy(name, packaged, **self.parameters)
        self.uploaded = []
        Pipeline.made.append(self)

    def upload(self, wanted):
        for key in wanted:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=key.encode())
        self.uploaded += wanted

    def executions(self):
        if self.state_machine is None:
            return []
        pages = self.states.get_paginator("list_executions").paginate(stateMachineArn=self.state_machine)
        return [execution for page in pages for execution in page["executions"]]

    def wait(self, execution):
        """Seconds from the upload, as its notification says, to the start of an execution."""
        given = json.loads(self.states.describe_execution(executionArn=execution["executionArn"])["input"])
        uploaded = datetime.datetime.fromisoformat(given["event_time"].replace("Z", "+00:00"))
        return (execution["startDate"] - uploaded).total_seconds()

    def counts(self):
        """Rows by status, and receipts."""
        rows = collections.Counter(row["status"]["S"] for row in self.stack.rows())
        return {**rows, "receipts": len(self.stack.receipts())}

    def until(self, what, **wanted):
        """Waits for exactly these counts."""
        seen = []

        def reached():
            seen[:] = [self.counts()]
            return seen == [wanted]

        try:
            until(what, reached, PATIENCE, 0.5)
        except SystemExit as problem:
            sys.exit(f"{problem}\n  {self.name}: wanted {wanted}, last seen {seen}")
        say(f"{self.name}: {what}")

    def attach(self):
        shown = self.daybook("attach", f"s3://{self.bucket}", "--yes", "--output", "json")
        equal(json.loads(shown)["change"], "added", "what `daybook attach` did")

    def daybook(self, verb, *arguments):
        return self.cloud.daybook(verb, *arguments, "--stack", self.name)

    def tick_until_receipts(self, what, count):
        """Runs the schedule function at once instead of waiting for a minute."""

        def reached():
            self.stack.tick("schedule", time.time())
            return len(self.stack.receipts()) == count

        until(what, reached, PATIENCE, 2)

    def check_status(self, **wanted):
        """`daybook status` says the same as the table."""
        status = self.stack.status()
        told = {kind: status[kind]["rows"] for kind in ("pending", "claimed", "parked")}
        equal(told, {"pending": 0, "claimed": 0, "parked": 0, **wanted}, f"what `daybook status --stack {self.name}` counts")
        equal(status["failures"], [], f"what `daybook status --stack {self.name}` could not see")

    def check_done(self, attempts=lambda key: 1):
        """Every object is done: no row, one receipt, one successful execution and no more than it needed."""
        self.check_status()
        equal(self.stack.rows(), [], f"open rows of {self.name}")
        runs = collections.defaultdict(list)
        for execution in self.executions():
            described = self.states.describe_execution(executionArn=execution["executionArn"])
            given = json.loads(described["input"])
            equal(given["bucket"], self.bucket, f"the bucket of an execution of {self.name}")
            equal(described["name"], f"{given['id']}-{given['attempt']}", "the name of an execution")
            if "sequencer" in given:
                named = event_id("aws", self.bucket, given["key"], None, "created", given["sequencer"], given["etag"])
                equal(given["id"], str(named), f"the id of the event of {given['key']}")
            runs[given["key"]].append((given["attempt"], described["status"]))
        expected = {
            key: [(n + 1, "SUCCEEDED" if n + 1 == attempts(key) else "FAILED") for n in range(attempts(key))]
            for key in self.uploaded
        }
        equal({key: sorted(each) for key, each in runs.items()}, expected, f"the executions of {self.name} by key")
        receipts = {receipt["id"]["S"] for receipt in self.stack.receipts()}
        objects = {str(object_id("aws", self.bucket, key, None, "created")) for key in self.uploaded}
        equal(receipts, objects, f"the receipts of {self.name}")
        for queue in ("IntakeQueue", "DispatchQueue", "CompletionQueue"):
            until(f"{queue} of {self.name} to be empty", lambda queue=queue: self.stack.queued(queue) == 0)
        for queue in ("IntakeDeadLetters", "DispatchDeadLetters", "CompletionDeadLetters"):
            equal(self.stack.queued(queue), 0, f"messages in {queue} of {self.name}")

    def show(self):
        """What there is to see when something went wrong."""
        print(f"{self.name}: {self.counts()}, {len(self.executions())} executions", file=sys.stderr)
        for function in self.stack.functions:
            try:
                lines = [line for line in self.stack.logs(function) if '"_aws"' not in line]
            except ClientError as problem:
                lines = [str(problem)]
            for line in [line for line in lines if re.search("WARN|ERROR|rror", line)][-3:] + lines[-3:]:
                print(f"  {function}: {line[:600]}", file=sys.stderr)

    def sweep(self):
        self.stack.tick("reconcile", time.time())
        return self.metrics("reconcile")[0]

    def metrics(self, function):
        """Sums of what a function logged in CloudWatch's embedded metric format, and the most of one invocation."""
        sums, most = collections.Counter(), collections.Counter()
        for line in self.stack.logs(function):
            entry = json.loads(line) if line.startswith("{") else {}
            for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
                for metric in directive["Metrics"]:
                    value = entry[metric["Name"]]
                    value = sum(value) if isinstance(value, list) else value
                    sums[metric["Name"]] += value
                    most[metric["Name"]] = max(most[metric["Name"]], value)
        return sums, most
