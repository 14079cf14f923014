"""What the linters do not know of deploy/: parameters, the functions' settings, alarms against the runbook, checkov's skips.

Started by tests/deploy.
"""

import json
import pathlib
import re
import subprocess
import sys

from cfnlint.decode import decode

DEPLOY = pathlib.Path("deploy")
# Only these may be asked of whoever deploys. The target has three ways to be named, and a rule that asks for one.
WITHOUT_DEFAULT = set()

found = []


def look(holds, what):
    if not holds:
        found.append(what)


def parameters(template):
    """Each has a default that it allows, says what it is and what is allowed, and stands in one group."""
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    look(sorted(grouped) == sorted(template["Parameters"]), f"groups and parameters differ: {set(grouped) ^ set(template['Parameters'])}")
    asked = {name for name, parameter in template["Parameters"].items() if "Default" not in parameter}
    look(asked == WITHOUT_DEFAULT, f"without a default: {sorted(asked)}, expected {sorted(WITHOUT_DEFAULT)}")
    text = json.dumps({key: template[key] for key in ("Rules", "Conditions", "Globals", "Resources", "Outputs")})
    for name, parameter in template["Parameters"].items():
        look(parameter.get("Description"), f"{name} has no description")
        limits = {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue"} & set(parameter)
        look(limits or name == "IntakeBucketArns", f"{name} allows anything")
        look(not limits or parameter.get("ConstraintDescription"), f"{name} does not say what is allowed")
        look(name in text, f"{name} is used nowhere")
        default = parameter.get("Default")
        if default is None:
            continue
        values = str(default).split(",") if parameter["Type"] == "CommaDelimitedList" else [str(default)]
        for value in values:
            pattern = parameter.get("AllowedPattern", "^.*$")
            look(pattern.startswith("^") and pattern.endswith("$"), f"the pattern of {name} allows more at its ends")
            look(re.fullmatch(pattern, value), f"{name} does not allow its default {value!r}")
        allowed = parameter.get("AllowedValues")
        look(allowed is None or default in allowed, f"{name} does not allow its default {default!r}")
        if parameter["Type"] == "Number":
            low, high = parameter.get("MinValue", default), parameter.get("MaxValue", default)
            look(low <= default <= high, f"{name} does not allow its default {default!r}")


# What a parameter must allow and refuse, beyond its default.
VALUES = {
    "StateMachineArn": (
        ["arn:aws:states:eu-central-1:123456789012:stateMachine:work", "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:a_b-1"],
        ["work", "arn:aws:states:eu-central-1:123456789012:stateMachine:work:1", "arn:aws:states:eu-central-1:123456789012:express:work"],
    ),
    "TargetFunctionArn": (
        ["arn:aws:lambda:eu-central-1:123456789012:function:work", "arn:aws-cn:lambda:cn-north-1:123456789012:function:a_b-1:live"],
        ["work", "arn:aws:lambda:eu-central-1:123456789012:layer:work:1", "arn:aws:lambda:eu-central-1:123456789012:function:work:1:2"],
    ),
    "TargetQueueUrl": (
        ["https://sqs.eu-central-1.amazonaws.com/123456789012/work", "http://127.0.0.1:4566/000000000000/work.fifo"],
        ["work", "arn:aws:sqs:eu-central-1:123456789012:work", "https://sqs.eu-central-1.amazonaws.com/123456789012/"],
    ),
    "Every": (["1 minute", "5 minutes", "59 minutes", "1 hour", "24 hours"], ["", "1 minutes", "0 minutes", "60 minutes", "5m", "25 hours"]),
    "BatchWindow": (["0", "30s", "5m", "1d"], ["", "0s", "30", "1 m"]),
    "Lease": (["1s", "90s", "15m", "6h", "7d"], ["0", "0s", "15", "1h30m", "1 h", "-1s"]),
    "Backoff": (["30s"], ["0s", "30"]),
    "BackoffLimit": (["1h"], ["0s", "1"]),
    "ReceiptsKeep": (["0", "36h", "14d"], ["", "0d", "14"]),
    "Source": (["aws", "minio-home", "Ceph.2_b"], ["", "a b", "a/b", "x" * 65]),
    "IntakeAccounts": (["123456789012"], ["12345678901", "all"]),
    "EventBridgeBuckets": (["data", "a.b-c"], ["Data", "s3://data", "ab-"]),
    "EventBridgeEvents": (["Object Created", "Object ACL Updated"], ["", "AWS API Call via CloudTrail"]),
    "Audit": (
        ["", "s3://data", "s3://data/", "s3://data/a b/=1", "s3://data/a,s3://logs"],
        ["data", "s3://data, s3://logs", "s3://data,", "s3://Data", "https://data"],
    ),
    "AuditBucketArns": (["arn:aws:s3:::data", "arn:aws:s3:::data,arn:aws-cn:s3:::logs"], ["data", "arn:aws:s3:::data/*", "arn:aws:s3:::*"]),
    "AuditEvery": (["6h", "1d"], ["0", "0d"]),
    "AuditGrace": (["0s", "15m"], ["0", "15"]),
    "AlarmTopicArn": (["arn:aws:sns:us-east-1:123456789012:alarms"], ["alarms", "arn:aws:sns:us-east-1:123456789012:a.fifo"]),
    "ExistingLedgerArn": (
        ["arn:aws:dynamodb:us-east-1:123456789012:table/daybook-LedgerTable-1ABC"],
        ["ledger", "arn:aws:dynamodb:us-east-1:123456789012:table/x/index/by_status"],
    ),
    "ExistingReceiptsArn": (["arn:aws:dynamodb:us-east-1:123456789012:table/receipts"], ["receipts"]),
    "QueueKeyArn": (
        ["arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
        ["alias/aws/sqs", "arn:aws:kms:us-east-1:123456789012:alias/queues"],
    ),
}


def values(template):
    patterns = {name: parameter["AllowedPattern"] for name, parameter in template["Parameters"].items() if "AllowedPattern" in parameter}
    look(set(patterns) == set(VALUES), f"patterns and their examples differ: {set(patterns) ^ set(VALUES)}")
    for name, (good, bad) in VALUES.items():
        for value in good:
            look(re.fullmatch(patterns[name], value), f"{name} refuses {value!r}")
        for value in bad:
            look(not re.fullmatch(patterns[name], value), f"{name} allows {value!r}")


def shown(program):
    """The variables that a function's settings know, each with its default, by its own help."""
    text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    variables = {}
    for option in re.split(r"^ +(?:-\w, )?--", text, flags=re.MULTILINE)[1:]:
        option = " ".join(option.split())
        variable, default = re.search(r"\[env: (\w+)", option), re.search(r"\[default: (.*?)\]", option)
        if variable:
            variables[variable[1]] = default[1] if default else None
    return variables


def settings(template, programs):
    """Each function knows the variables that the template gives it, and no others, and has the template's defaults."""
    of_all = template["Globals"]["Function"]["Environment"]["Variables"]
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        given = {**of_all, **resource["Properties"]["Environment"]["Variables"]}
        known = shown(programs / f"daybook-{name.removesuffix('Function').lower()}")
        look(set(given) == set(known), f"{name} is given and knows: {sorted(set(given) ^ set(known))}")
        for variable, default in known.items():
            parameter = given.get(variable, {}).get("Ref")
            here = template["Parameters"].get(parameter, {}).get("Default")
            # A function of a template that is older than the variable does as it did.
            if default is None or here is None or variable == "DAYBOOK_DISPATCH":
                continue
            look(str(here).replace(" minute", "m") == default, f"{parameter} is {here!r}, and {variable} of {name} {default!r}")


def alarms(template):
    """Every alarm is in the runbook and tells the topic, and the reverse; the dashboard shows all that are always there."""
    resources = template["Resources"]
    names = {name for name, resource in resources.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    look(all(name.endswith("Alarm") for name in names), f"alarms are called …Alarm: {sorted(names)}")
    runbook = (DEPLOY / "runbook.md").read_text()
    entries = re.split(r"^## ", runbook, flags=re.MULTILINE)[1:]
    entries = {entry.split("\n", 1)[0].strip(): entry for entry in entries}
    look(set(entries) == names, f"runbook and alarms differ: {sorted(set(entries) ^ names)}")
    for name, entry in entries.items():
        for part in ("**Means.**", "**Look first.**", "**Do.**"):
            look(entry.count(part) == 1, f"the runbook's {name} has no {part}")
    for name in names:
        properties = resources[name]["Properties"]
        for actions in ("AlarmActions", "OKActions"):
            look("AlarmTopicArn" in json.dumps(properties.get(actions)), f"{name} has no {actions}")
        look(properties.get("AlarmDescription"), f"{name} has no description")
        look("TreatMissingData" in properties, f"{name} does not say what missing data is")
    body = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    shown = {alarm for widget in body["widgets"] for alarm in widget["properties"].get("alarms", [])}
    always = {f"${{{name}.Arn}}" for name in names if "Condition" not in resources[name]}
    look(shown == always, f"the dashboard's alarms differ: {sorted(shown ^ always)}")


def skips(results):
    """Every skip has a reason, in the configuration and to be read in README.md, and something needs it."""
    listed = re.findall(r"^  - (CKV\w+)(.*)$", (DEPLOY / ".checkov.yaml").read_text(), flags=re.MULTILINE)
    for check, reason in listed:
        look(re.fullmatch(r"\s+# .{40,}", reason), f"the skip of {check} has no reason")
    skipped = {check for check, _ in listed}
    failing = {check["check_id"] for check in json.loads(results.read_text())["results"]["failed_checks"]}
    look(failing == skipped, f"skips and what checkov finds differ: {sorted(failing ^ skipped)}")
    readme = (DEPLOY / "README.md").read_text()
    named = set(re.findall(r"CKV\w+", readme))
    look(named == skipped, f"README.md and skips differ: {sorted(named ^ skipped)}")


def main():
    template, problems = decode(str(DEPLOY / "template.yaml"))
    look(template is not None, f"the template cannot be read: {problems}")
    if template is not None:
        parameters(template)
        values(template)
        alarms(template)
        skips(pathlib.Path(sys.argv[1]))
        settings(template, pathlib.Path(sys.argv[2]))
    for what in found:
        print(what)
    sys.exit(1 if found else 0)


main()
