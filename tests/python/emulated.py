"""ministack with a counting proxy before it, and Daybook's stacks in it. Everything listens on 127.0.0.1 and ends with the context."""

import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import boto3
import yaml
from botocore.config import Config

from asynchronous import AsynchronousInvocations
from counting_proxy import CountingProxy
from up import PATIENCE, ROOT, check, daybook, equal, until

ACCOUNT, REGION = "000000000000", "us-east-1"
EMULATOR = ROOT / "target/emulators/ministack-sam"
AWS_CLI = ROOT / "target/emulators/boto3/bin/aws"
ARTIFACTS = "artifacts"

# Two deployments side by side are slow on a small machine.
DEPLOYMENT_PATIENCE = 180.0

# ministack passes this on as it is, where EventBridge Scheduler puts the time of the tick.
SCHEDULED_TIME = '{"time": "<aws.scheduler.scheduled-time>"}'

# What ministack calls the actions of two operations, and what AWS calls them (Service Authorization Reference). It does not look into
# statements, so it takes no table with the first; `check_statements` does.
OWN_ACTIONS = {
    "dynamodb:BatchExecuteStatement": (r"dynamodb:PartiQL\w+", "*"),
    "sqs:SendMessageBatch": (r"sqs:SendMessage", None),
}

# Where a resource can be given a name of its own.
OWN_NAMES = {
    "AWS::CloudWatch::Alarm": ["AlarmName"],
    "AWS::CloudWatch::Dashboard": ["DashboardName"],
    "AWS::DynamoDB::Table": ["TableName"],
    "AWS::Events::Rule": ["Name"],
    "AWS::IAM::Role": ["RoleName"],
    "AWS::Logs::LogGroup": ["LogGroupName"],
    "AWS::S3::Bucket": ["BucketName"],
    "AWS::SQS::Queue": ["QueueName"],
    "AWS::Scheduler::Schedule": ["Name"],
    "AWS::Scheduler::ScheduleGroup": ["Name"],
    "AWS::Serverless::Function": ["FunctionName"],
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cloud:
    """A running ministack, in which IAM policies are enforced. Use it as a context."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.proxy = CountingProxy(self.port)
        self.asynchronous = None
        self.left_out = []
        self.url = f"http://127.0.0.1:{self.proxy.port}"
        self.names = {}
        # Access keys of functions, each with the ARN of a function that its role may invoke.
        self.invokers = set()
        inherited = {name: value for name, value in os.environ.items() if not re.match("AWS_|DAYBOOK_|RUST_LOG", name)}
        # "test" is whom ministack takes for the account's root.
        self.environment = {
            **inherited,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.log = open(self.folder / "ministack.log", "wb")
        self.process = subprocess.Popen(
            [EMULATOR / "bin/ministack"],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={
                **self.environment,
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(self.port),
                "AUTH": "true",
                # What the functions get.
                "AWS_ENDPOINT_URL": self.url,
            },
        )
        self.environment["AWS_ENDPOINT_URL"] = self.url
        try:
            until("ministack to listen", self._listens)
            for role, service in (("work", "states"),):
                self.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust(service)))
            self.client("s3").create_bucket(Bucket=ARTIFACTS)
            self.asynchronous = AsynchronousInvocations(self)
            self.proxy.invoked = self.asynchronous.take
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.asynchronous is not None:
            self.asynchronous.stop()
        if self.process.poll() is None:
            # With SIGTERM it ends the functions' processes, too.
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.proxy.stop()
        self.log.close()

    def _listens(self):
        check(self.process.poll() is None, "ministack ended at its start", self.said())
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def said(self):
        return (self.folder / "ministack.log").read_text(errors="replace")[-3000:]

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, read_timeout=120, s3={"addressing_style": "path"}),
        )

    def state_machine(self, name, definition):
        made = self.client("stepfunctions").create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=f"arn:aws:iam::{ACCOUNT}:role/work"
        )
        return made["stateMachineArn"]

    def run(self, *command, expect=0):
        """A program with the account's credentials; what it printed."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOYMENT_PATIENCE,
        )
        equal(done.returncode, expect, f"the exit code of {' '.join(map(str, command))}, which said {done.stdout}{done.stderr}")
        return done.stdout

    def daybook(self, *arguments, expect=0):
        return self.run(daybook(), *arguments, expect=expect)

    def package(self):
        """deploy/template.yaml with its functions uploaded, by the AWS CLI, as a person does it."""
        packaged, template = self._packaged("template")
        named = [
            f"{name}.{own}"
            for name, resource in template["Resources"].items()
            for own in OWN_NAMES.get(resource["Type"], ())
            if own in resource.get("Properties", {})
        ]
        equal(named, [], "names of its own in the template, over which two stacks would collide")
        self.left_out += fit(template)
        packaged.write_text(yaml.safe_dump(template, sort_keys=False))
        return packaged

    def package_example(self, name):
        """The same of deploy/examples/NAME.yaml, whose code is in it."""
        packaged, template = self._packaged(f"examples/{name}")
        fit(template)
        packaged.write_text(yaml.safe_dump(template, sort_keys=False))
        return packaged

    def _packaged(self, name):
        packaged = self.folder / f"packaged-{name.replace('/', '-')}.yaml"
        self.run(
            AWS_CLI, "cloudformation", "package", "--template-file", ROOT / f"deploy/{name}.yaml",
            "--s3-bucket", ARTIFACTS, "--output-template-file", packaged,
        )  # fmt: skip
        return packaged, yaml.safe_load(packaged.read_text())

    def deploy(self, name, packaged, **parameters):
        self.run(
            AWS_CLI, "cloudformation", "deploy", "--template-file", packaged, "--stack-name", name,
            "--s3-bucket", ARTIFACTS, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset",
            "--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items()),
        )  # fmt: skip
        return Stack(self, name)


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def fit(template):
    """Takes out of the template what ministack cannot take; says what. Everything else is created as it is written."""
    left_out = []
    for name, resource in list(template["Resources"].items()):
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::CloudWatch::Alarm" if "Metrics" in properties:
                del template["Resources"][name]
                left_out.append(f"{name}: alarms on metric math are not created")
            case "AWS::Lambda::EventSourceMapping" if "ScalingConfig" in properties:
                del properties["ScalingConfig"]
                left_out.append(f"{name}: MaximumConcurrency by a parameter stops its poller")
            case "AWS::Scheduler::Schedule" if SCHEDULED_TIME == properties["Target"].get("Input"):
                properties["Target"]["Input"] = "{}"
                left_out.append(f"{name}: <aws.scheduler.scheduled-time> is not filled in, so its ticks bear no time")
    return left_out


class Stack:
    """One of Daybook's stacks."""

    def __init__(self, cloud, name):
        self.cloud, self.name = cloud, name
        self.cloudformation, self.lambdas = cloud.client("cloudformation"), cloud.client("lambda")
        self.queues, self.log_groups = cloud.client("sqs"), cloud.client("logs")
        [described] = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        check(described["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), f"the stack {name} is there", described)
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        resources = self.cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        self.resources = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
        self.types = {one["LogicalResourceId"]: one["ResourceType"] for one in resources}
        self.functions = {
            logical.removesuffix("Function").lower(): physical
            for logical, physical in self.resources.items()
            if self.types[logical] == "AWS::Lambda::Function"
        }
        self._know_functions()

    def _know_functions(self):
        """Who calls, by access key: ministack makes it of the function and its role. And the two actions that ministack calls
        otherwise than AWS are allowed to whoever may do what AWS calls them, on the same resources."""
        functions, iam = self.cloud.client("lambda"), self.cloud.client("iam")
        self.allowed = set()
        for short, physical in self.functions.items():
            found = functions.get_function_configuration(FunctionName=physical)
            digest = hashlib.sha256(f"{found['FunctionArn']}:{found['Role']}".encode()).hexdigest()
            key = f"ASIA{digest[:16].upper()}"
            self.cloud.names[key] = (self.name, short)
            role = found["Role"].rpartition("/")[2]
            statements = []
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                statements += (json.loads(document) if isinstance(document, str) else document)["Statement"]
            own = []
            for statement in statements:
                actions = statement["Action"]
                actions = [actions] if isinstance(actions, str) else actions
                if "lambda:InvokeFunction" in actions:
                    self.cloud.invokers.add((key, statement["Resource"]))
                for emulated, (real, resource) in OWN_ACTIONS.items():
                    if any(re.fullmatch(real, action) for action in actions):
                        own.append({"Effect": "Allow", "Action": emulated, "Resource": resource or statement["Resource"]})
                self.allowed |= {(short, action, statement["Resource"].rpartition("/")[2]) for action in actions if "PartiQL" in action}
            if own:
                document = {"Version": "2012-10-17", "Statement": own}
                iam.put_role_policy(RoleName=role, PolicyName="emulated-names", PolicyDocument=json.dumps(document))

    def calls(self, mark=0):
        """What this stack's functions asked AWS for since a mark: (function, call)."""
        named = ((self.cloud.names.get(call.key), call) for call in self.cloud.proxy.since(mark))
        return [(name[1], call) for name, call in named if name and name[0] == self.name]

    def check_policies(self):
        """The policies let the functions do what they did. ministack enforces them, statements excepted."""
        denied = {(function, call.operation) for function, call in self.calls() if "Denied" in call.failure}
        equal(denied, set(), f"calls that a policy of {self.name} does not allow")
        made = {(function, *statement) for function, call in self.calls() for statement in call.statements}
        check(made, f"{self.name} executed statements")
        equal(made - self.allowed, set(), f"statements that no policy of {self.name} allows")

    def invoke(self, function, payload):
        """One invocation, as a schedule makes it; its answer. Fails when the function did."""
        answer = self.lambdas.invoke(FunctionName=self.functions[function], Payload=json.dumps(payload))
        text = answer["Payload"].read().decode()
        check("FunctionError" not in answer, f"{function} of {self.name} succeeds with {payload}", text)
        return json.loads(text) if text else None

    def tick(self, function, at):
        """What EventBridge Scheduler sends at that time."""
        return self.invoke(function, {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))})

    def mapping(self, function, enabled):
        """Starts or stops what feeds a function from its queue."""
        functions = self.cloud.client("lambda")
        [found] = functions.list_event_source_mappings(FunctionName=self.functions[function])["EventSourceMappings"]
        functions.update_event_source_mapping(UUID=found["UUID"], Enabled=enabled)

    def table(self, logical):
        return self.outputs[f"{logical}Name"]

    def items(self, logical):
        table = self.table(logical)
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def rows(self):
        return [item for item in self.items("LedgerTable") if item["id"]["S"] != "control"]

    def receipts(self):
        return self.items("ReceiptsTable")

    def queued(self, logical):
        """Messages of a queue, those in flight included."""
        found = self.queues.get_queue_attributes(QueueUrl=self.resources[logical], AttributeNames=["All"])
        counted = found["Attributes"]
        return int(counted["ApproximateNumberOfMessages"]) + int(counted["ApproximateNumberOfMessagesNotVisible"])

    def status(self):
        return json.loads(self.cloud.daybook("status", "--stack", self.name, "--output", "json"))

    def logs(self, function):
        """All lines that a function logged, Lambda's own included."""
        group = self.resources[f"{function.capitalize()}Logs"]
        pages = self.log_groups.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]
