"""What ministack leaves out of Lambda's asynchronous invocations: it tells a destination of failures only, and in a form of its own.

The proxy before ministack hands such invocations over instead of passing them on. Who may not make one is refused, by the role's
policies as they are in ministack. The function then runs in ministack, and its destinations get the record that AWS documents ("Capturing records of Lambda asynchronous invocations", Lambda Developer Guide).
"""

import collections
import concurrent.futures
import datetime
import json
import re
import threading
import uuid

Run = collections.namedtuple("Run", "function payload condition")


class AsynchronousInvocations:
    """Runs functions of a cloud, by their own settings. `lost` says of a payload whether nobody shall hear of its run."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.lost = lambda payload: False
        self.failures = []
        self._functions, self._sqs = cloud.client("lambda"), cloud.client("sqs")
        self._runs = []
        self._lock = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(4)

    def take(self, key, path, body):
        """An invocation by whoever has that access key; status and answer."""
        function = re.fullmatch(r"/2015-03-31/functions/(.+)/invocations", path.replace("%3A", ":"))[1]
        if (key, function) not in self.cloud.invokers:
            return 403, {"__type": "AccessDeniedException", "Message": f"not authorized to perform: lambda:InvokeFunction on {function}"}
        self._pool.submit(self._run, function, body)
        return 202, {}

    def runs(self, function):
        """What was handed to a function, by the end of its ARN, and how it ended, in the order of the ends."""
        with self._lock:
            return [run for run in self._runs if run.function.endswith(function)]

    def stop(self):
        self._pool.shutdown(cancel_futures=True)

    def _run(self, function, body):
        try:
            self._run_once(function, body)
        except Exception as problem:  # Of another thread nobody would see it.
            with self._lock:
                self.failures.append(f"{function}: {problem!r}")

    def _run_once(self, function, body):
        # Without the qualifier ministack does not find what CloudFormation has made.
        settings = self._functions.get_function_event_invoke_config(FunctionName=function, Qualifier="$LATEST")
        payload = json.loads(body)
        for _ in range(1 + settings["MaximumRetryAttempts"]):
            answer = self._functions.invoke(FunctionName=function, Payload=body)
            error, said = answer.get("FunctionError"), json.loads(answer["Payload"].read() or "null")
            if error is None:
                break
        condition = "Success" if error is None else "RetriesExhausted"
        if not self.lost(payload):
            self._record(settings, function, payload, condition, error, said)
        with self._lock:
            self._runs.append(Run(function, payload, condition))

    def _record(self, settings, function, payload, condition, error, said):
        context = {"statusCode": 200, "executedVersion": "$LATEST"}
        record = {
            "version": "1.0",
            "timestamp": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": f"{function}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": 1 + (settings["MaximumRetryAttempts"] if error else 0),
            },
            "requestPayload": payload,
            "responseContext": {**context, "functionError": error} if error else context,
            "responsePayload": said,
        }
        destination = settings["DestinationConfig"]["OnFailure" if error else "OnSuccess"]["Destination"]
        queue = self._sqs.get_queue_url(QueueName=destination.rpartition(":")[2])["QueueUrl"]
        self._sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(record))
