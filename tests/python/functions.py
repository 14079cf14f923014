"""How large, quick and frugal the functions are: each runs as deploy/build made it, under the Runtime API on loopback, with the
environment that the template gives it, against ministack. Started by tests/functions."""

import json
import platform
import statistics
import tempfile
import time
import uuid

from emulated import ACCOUNT, REGION, Cloud
from runtime_api import Function
from up import ROOT, check, equal, until

EVENTS = 2000
COLD_STARTS = 21

# The aims: zipped bytes and seconds of init.
LARGEST_ZIP, LONGEST_INIT = 5_000_000, 0.050


def batch(bodies, queue):
    """As Lambda hands messages over."""
    now = str(int(time.time() * 1000))
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "handle",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": now,
                    "SenderId": ACCOUNT,
                    "ApproximateFirstReceiveTimestamp": now,
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
                "awsRegion": REGION,
            }
            for body in bodies
        ]
    }


def notification(number):
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "awsRegion": REGION,
                    "eventTime": "2026-11-21T01:02:03.456Z",
                    "eventName": "ObjectCreated:Put",
                    "responseElements": {"x-amz-request-id": f"REQUEST{number:09d}"},
                    "s3": {
                        "bucket": {"name": "measured"},
                        "object": {
                            "key": f"devices/{number % 97}/2026/11/21/{number:09d}.parquet",
                            "size": 1048576,
                            "eTag": f"{number:032x}",
                            "sequencer": f"{number:018X}",
                        },
                    },
                }
            ]
        }
    )


class Bench:
    def __init__(self, cloud):
        self.cloud = cloud
        work = cloud.state_machine("work", {"StartAt": "Work", "States": {"Work": {"Type": "Pass", "End": True}}})
        cloud.client("s3").create_bucket(Bucket="measured")
        # Nothing runs but what is run here.
        self.stack = cloud.deploy(
            "measured", cloud.package(), StateMachineArn=work, Architecture=architecture(), Running="false", PerWindow=EVENTS, Dispatch="scheduled",
            StartsPerSecond=1000, AuditGrace="1s", Audit="s3://measured", AuditBucketArns="arn:aws:s3:::measured",
        )  # fmt: skip
        self.rows = []

    def start(self, short):
        found = self.cloud.client("lambda").get_function_configuration(FunctionName=self.stack.functions[short])
        environment = {name: self.cloud.environment[name] for name in self.cloud.environment if name.startswith("AWS_")}
        environment |= found["Environment"]["Variables"]
        bootstrap = ROOT / f"target/lambda/daybook-{short}/bootstrap"
        return Function(bootstrap, environment, found["FunctionName"], found["MemorySize"], found["Timeout"])

    def measure(self, short, work):
        """`work` invokes the function and gives the number of events that it handled."""
        starts = []
        for _ in range(COLD_STARTS):
            with self.start(short) as function:
                starts.append(function.init_seconds)
        with self.start(short) as function:
            before = function.cpu_seconds()
            events, of_what = work(function)
            cpu = function.cpu_seconds() - before
            peak = function.peak_kilobytes()
        code = self.cloud.client("lambda").get_function_configuration(FunctionName=self.stack.functions[short])["CodeSize"]
        self.rows.append((short, code, statistics.median(starts), peak, cpu / events, of_what))

    def drain(self, queue):
        """Takes what is on a queue, ten at a time, as Lambda's pollers do."""
        sqs, url = self.cloud.client("sqs"), self.stack.resources[queue]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            yield [message["Body"] for message in messages]
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def ingest(self, function):
        for first in range(0, EVENTS, 10):
            bodies = [notification(number) for number in range(first, first + 10)]
            equal(function.invoke(batch(bodies, "intake"))["batchItemFailures"], [], "what ingest returned")
        equal(len(self.stack.rows()), EVENTS, "rows")
        return EVENTS, "event"

    def schedule(self, function):
        report = function.invoke({})
        equal(report["sent"], EVENTS, "what schedule sent")
        return EVENTS, "event"

    def invoke(self, function):
        started = 0
        for bodies in self.drain("DispatchQueue"):
            equal(function.invoke(batch(bodies, "dispatch"))["batchItemFailures"], [], "what invoke returned")
            started += len(bodies)
        equal(started, EVENTS, "messages")
        return EVENTS, "event"

    def complete(self, function):
        until("the ends of all executions", lambda: self.stack.queued("CompletionQueue") == EVENTS)
        for bodies in self.drain("CompletionQueue"):
            equal(function.invoke(batch(bodies, "completion"))["batchItemFailures"], [], "what complete returned")
        equal((len(self.stack.rows()), len(self.stack.receipts())), (0, EVENTS), "rows and receipts")
        return EVENTS, "event"

    def reconcile(self, function):
        for _ in range(20):
            equal(function.invoke({})["failures"], [], "failures of the sweep")
        return 20, "sweep that finds nothing"

    def audit(self, function):
        s3 = self.cloud.client("s3")
        for number in range(EVENTS):
            s3.put_object(Bucket="measured", Key=f"audited/{number}", Body=b"")
        report = function.invoke({})
        [audit] = report["audits"]
        check(audit["standing"] == "finished" and audit["objects"] == EVENTS, "the audit looked at all objects", report)
        return EVENTS, "object"


def architecture():
    return {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]


def main():
    with tempfile.TemporaryDirectory(prefix="daybook-functions-") as folder, Cloud(folder) as cloud:
        bench = Bench(cloud)
        for short in ("ingest", "schedule", "invoke", "complete", "reconcile", "audit"):
            bench.measure(short, getattr(bench, short))
    print("| function | zipped | init | peak memory | CPU |")
    print("|---|---|---|---|---|")
    for short, code, init, peak, cpu, of_what in bench.rows:
        print(f"| {short} | {code / 1e6:.2f} MB | {init * 1e3:.1f} ms | {peak / 1024:.1f} MiB | {cpu * 1e3:.2f} ms per {of_what} |")
    for short, code, init, *_ in bench.rows:
        check(code < LARGEST_ZIP, f"{short} is below {LARGEST_ZIP} bytes zipped", code)
        check(init < LONGEST_INIT, f"{short} starts within {LONGEST_INIT * 1e3:.0f} ms", init)


if __name__ == "__main__":
    main()
