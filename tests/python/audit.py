"""Plants objects of every class in moto's S3 and audits them with the real binary, by listings and by inventories that pyarrow
and gzip write. Started by tests/audit.

moto runs inside of this process, because a server cannot be told to date its objects: their times are set behind its back,
hours apart, so that nothing here depends on how fast the machine is.
"""

import collections
import csv
import datetime
import gzip
import hashlib
import io
import json
import logging
import os
import pathlib
import re
import subprocess
import tempfile
import urllib.parse

import boto3
import pyarrow
import pyarrow.parquet
from botocore.config import Config
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from up import PATIENCE, Up, check, daybook, equal, until

ACCOUNT, REGION = "123456789012", "us-east-1"

# Objects of each fate.
EACH = 200

# Characters that are encoded in one way or another on their way. moto writes no control characters into XML.
DECORATION = " +ü%20&\"'<é>🚀.bin"

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
INSTALLED = NOW - datetime.timedelta(hours=24)

# By fate: the uploads of a key, each with its age in hours and whether S3 tells of it.
FATES = {
    "before": [(30, False)],
    "never": [(10, False)],
    "open": [(10, True)],
    "parked": [(10, True)],
    "done": [(10, True)],
    "overwritten": [(10, True), (9, True)],
    "aba": [(10, True), (9, True), (8, False)],
    "deleted": [(10, True)],
    "too-new": [(0, False)],
    "late": [(10, False)],
}

# What an audit is to call the newest upload, and those before it (a bucket with versions shows them, too).
NEWEST = {
    "before": "before_watermark",
    "never": "missing",
    "open": "open",
    "parked": "open",
    "done": "done",
    "overwritten": "done",
    "aba": "missing",
    "deleted": "done",
    "too-new": "too_new",
    "late": "missing",
}

TARGET = 'echo "$DAYBOOK_KEY" >> "$1"; case "$DAYBOOK_KEY" in parked/*) echo "no such column" >&2; exit 7 ;; esac'


class Upload(collections.namedtuple("Upload", "bucket key fate at etag size version_id told is_newest sequencer")):
    """One upload, as moto keeps it."""

    def record(self):
        found = {"key": urllib.parse.quote_plus(self.key), "size": self.size, "eTag": self.etag, "sequencer": self.sequencer}
        if self.version_id:
            found["versionId"] = self.version_id
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": self.at.strftime("%Y-%m-%dT%H:%M:%S.123Z"),
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket}, "object": found},
        }


class Bucket:
    """A bucket with objects of every fate."""

    def __init__(self, s3, name, versioned):
        self.s3, self.name, self.versioned = s3, name, versioned
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.backend = s3_backends[ACCOUNT]["aws"]
        self.uploads = []
        for fate, uploads in FATES.items():
            for number in range(EACH):
                key = f"{fate}/{number:04}{DECORATION}"
                # A, B and A again: the content, and so the etag, of every second upload is the same.
                for turn, (hours, told) in enumerate(uploads):
                    content = f"{key} {'AB'[turn % 2]}".encode()
                    is_newest = turn == len(uploads) - 1
                    self.uploads.append(self._put(key, fate, content, hours, told, is_newest))
        for upload in self.of("deleted"):
            self.s3.delete_object(Bucket=name, Key=upload.key)

    def _put(self, key, fate, content, hours, told, is_newest):
        at = NOW - datetime.timedelta(hours=hours)
        put = self.backend.put_object(self.name, key, content)
        put.last_modified = at.replace(tzinfo=None)
        version_id = put.version_id if self.versioned else None
        sequencer = f"{len(self.uploads):016X}"
        etag = put.etag.strip('"')
        return Upload(self.name, key, fate, at, etag, len(content), version_id, told, is_newest, sequencer)

    def of(self, *fates):
        return [upload for upload in self.uploads if upload.fate in fates]

    def expected(self, newest=NEWEST):
        """The class of everything that the bucket shows, by key and version."""
        shown = {}
        for upload in self.uploads:
            if self.versioned:
                shown[upload.key, upload.version_id] = newest[upload.fate] if upload.is_newest else "done"
            elif upload.is_newest and upload.fate != "deleted":
                shown[upload.key, None] = newest[upload.fate]
        return shown


# The fields of an inventory: the name in a CSV manifest, the name in Parquet, its type there as a manifest has it, and pyarrow's.
FIELDS = [
    ("Bucket", "bucket", "required binary bucket (UTF8)", pyarrow.string()),
    ("Key", "key", "required binary key (UTF8)", pyarrow.string()),
    ("VersionId", "version_id", "optional binary version_id (UTF8)", pyarrow.string()),
    ("IsLatest", "is_latest", "optional boolean is_latest", pyarrow.bool_()),
    ("IsDeleteMarker", "is_delete_marker", "optional boolean is_delete_marker", pyarrow.bool_()),
    ("Size", "size", "optional int64 size", pyarrow.int64()),
    ("LastModifiedDate", "last_modified_date", "optional int64 last_modified_date (TIMESTAMP_MILLIS)", pyarrow.timestamp("ms", "UTC")),
    ("ETag", "e_tag", "optional binary e_tag (UTF8)", pyarrow.string()),
]


class Inventory:
    """An inventory of a bucket as it is now, in a bucket of its own: three files, in no order of keys."""

    def __init__(self, bucket, form, compression="snappy"):
        self.bucket, self.form, self.compression = bucket, form, compression
        self.fields = [field for field in FIELDS if bucket.versioned or field[0] not in ("VersionId", "IsLatest", "IsDeleteMarker")]
        self.destination, self.folder = "inventories", f"{bucket.name}/daily-{form.lower()}-{compression}"
        bucket.s3.create_bucket(Bucket=self.destination)
        rows = self._rows()
        files = [self._put_file(number, rows[::-1][number::3]) for number in range(3)]
        if form == "CSV":
            schema = ", ".join(field[0] for field in self.fields)
        else:
            schema = "message s3.inventory { " + " ".join(f"{field[2]};" for field in self.fields) + " }"
        manifest = {
            "sourceBucket": bucket.name,
            "destinationBucket": f"arn:aws:s3:::{self.destination}",
            "version": "2016-11-30",
            "creationTimestamp": str(int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000) + 1000),
            "fileFormat": form,
            "fileSchema": schema,
            "files": files,
        }
        text = json.dumps(manifest, indent=2).encode()
        self._put(f"{self.folder}/2026-11-20T01-00Z/manifest.checksum", hashlib.md5(text).hexdigest().encode() + b"\n")
        self.uri = "s3://" + self._put(f"{self.folder}/2026-11-20T01-00Z/manifest.json", text)

    def _put(self, key, content):
        self.bucket.s3.put_object(Bucket=self.destination, Key=key, Body=content)
        return f"{self.destination}/{key}"

    def _put_file(self, number, rows):
        end = "csv.gz" if self.form == "CSV" else "parquet"
        key = f"{self.folder}/data/{number}.{end}"
        content = self._csv(rows) if self.form == "CSV" else self._parquet(rows)
        self._put(key, content)
        return {"key": key, "size": len(content), "MD5checksum": hashlib.md5(content).hexdigest()}

    def _rows(self):
        """What moto shows, page by page, version by version."""
        list_as, names = ("list_object_versions", ("Versions", "DeleteMarkers")) if self.bucket.versioned else ("list_objects_v2", ("Contents",))
        rows = []
        for page in self.bucket.s3.get_paginator(list_as).paginate(Bucket=self.bucket.name):
            for name in names:
                for found in page.get(name, []):
                    rows.append({
                        "bucket": self.bucket.name,
                        "key": found["Key"],
                        "version_id": found.get("VersionId"),
                        "is_latest": found.get("IsLatest"),
                        "is_delete_marker": name == "DeleteMarkers",
                        "size": found.get("Size"),
                        "last_modified_date": found["LastModified"],
                        "e_tag": found.get("ETag", "").strip('"') or None,
                    })
        return rows

    def _csv(self, rows):
        def text(value):
            if isinstance(value, bool):
                return str(value).lower()
            if isinstance(value, datetime.datetime):
                return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            return "" if value is None else str(value)

        lines = io.StringIO(newline="")
        writer = csv.writer(lines, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for row in rows:
            row = row | {"key": urllib.parse.quote_plus(row["key"], safe="/")}
            writer.writerow([text(row[field[1]]) for field in self.fields])
        return gzip.compress(lines.getvalue().encode())

    def _parquet(self, rows):
        schema = pyarrow.schema([pyarrow.field(field[1], field[3], nullable=field[1] not in ("bucket", "key")) for field in self.fields])
        table = pyarrow.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)
        content = io.BytesIO()
        pyarrow.parquet.write_table(table, content, compression=self.compression, row_group_size=97)
        return content.getvalue()

    def words(self):
        return ("--inventory", self.uri)


class World:
    """moto, `daybook up`, and the two buckets."""

    def __init__(self, folder, endpoint, up):
        self.folder, self.endpoint, self.up = folder, endpoint, up
        options = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        path_style = Config(s3={"addressing_style": "path"})
        s3 = boto3.client("s3", endpoint_url=endpoint, config=path_style, **options)
        self.dynamodb = boto3.client("dynamodb", endpoint_url=up.url, **options)
        self.buckets = [Bucket(s3, "plain", False), Bucket(s3, "versioned", True)]

    def daybook(self, *words, expect=0):
        """The binary beside `daybook up`; its JSON."""
        inherited = {name: value for name, value in os.environ.items() if not re.match("DAYBOOK_|AWS_|RUST_LOG", name)}
        settings = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        command = [daybook(), *words, "--local", self.folder / "data", "--output", "json"]
        done = subprocess.run(command, env=inherited | settings, capture_output=True, text=True, timeout=PATIENCE)
        equal(done.returncode, expect, f"the exit code of daybook {' '.join(words)}, which said {done.stderr!r}")
        return json.loads(done.stdout)

    def install(self):
        """The ledger was installed a day ago."""
        self.dynamodb.update_item(
            TableName="daybook-ledger",
            Key={"id": {"S": "control"}},
            UpdateExpression="SET installed_at = :at",
            ExpressionAttributeValues={":at": {"S": INSTALLED.strftime("%Y-%m-%dT%H:%M:%S.000Z")}},
        )

    def tell(self, uploads):
        """Notifications, a hundred records in each; the sums of what was answered."""
        sums = collections.Counter()
        for start in range(0, len(uploads), 100):
            records = [upload.record() for upload in uploads[start : start + 100]]
            sums.update(self.up.post({"Records": records}))
        return sums

    def drain(self):
        def is_drained():
            status = self.daybook("status")
            return status["pending"]["rows"] + status["claimed"]["rows"] == 0

        until("the ledger to drain", is_drained)

    def runs(self):
        return collections.Counter((self.folder / "runs").read_text().splitlines())

    def audit(self, bucket, *words, expect):
        """An audit, and the lines of its report."""
        report = self.folder / "report.csv"
        endpoint = ("--s3-endpoint", self.endpoint)
        result = self.daybook("audit", f"s3://{bucket.name}", *endpoint, "--all", "--report", str(report), *words, expect=expect)
        with open(report, newline="") as lines:
            return result, list(csv.DictReader(lines))

    def check(self, bucket, newest, expect, *words):
        """Audits, and compares every key and every count with what was planted."""
        result, lines = self.audit(bucket, *words, expect=expect)
        lines = [line for line in lines if line["class"] != "repaired"]
        found = {(line["key"], line["version_id"] or None): line["class"] for line in lines}
        expected = bucket.expected(newest)
        equal(len(found), len(lines), f"no object of {bucket.name} is reported twice")
        differing = {what: (found.get(what), expected.get(what)) for what in found | expected if found.get(what) != expected.get(what)}
        equal(dict(list(differing.items())[:5]), {}, f"objects of {bucket.name} whose class is not the planted one")
        counts = collections.Counter(expected.values())
        for name in ("done", "open", "missing", "before_watermark", "too_new", "removed", "changed", "unknown", "unreadable", "gone"):
            equal(result[name], counts[name], f"the count of {name} in {bucket.name}")
        equal(result["objects"], len(expected), f"the objects of {bucket.name}")
        equal(sum(line["objects"] for line in result["statement"]), len(expected), "the statement has every object")
        return result


def main():
    home = tempfile.TemporaryDirectory(prefix="daybook-audit.")
    folder = pathlib.Path(home.name)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    target = ("--exec", "sh", "-c", TARGET, "sh", str(folder / "runs"))
    flags = ("--every", "100ms", "--per-window", "5000", "--max-attempts", "1", "--workers", "8")
    try:
        with home, Up(folder, *flags, target=target) as up:
            host, port = server.get_host_and_port()
            audits(World(folder, f"http://{host}:{port}", up))
    finally:
        server.stop()


def audits(world):
    uploads = [upload for bucket in world.buckets for upload in bucket.uploads]
    processed = [upload for upload in uploads if upload.told and upload.fate != "open"]
    waiting = [upload for upload in uploads if upload.told and upload.fate == "open"]
    # Uploads of a key one after the other, as they happened: an older one that comes later is done before.
    for hours in (10, 9):
        at = NOW - datetime.timedelta(hours=hours)
        of_hour = [upload for upload in processed if upload.at == at]
        equal(world.tell(of_hour)["recorded"], len(of_hour), "events recorded")
        world.drain()
    world.daybook("pause")
    equal(world.tell(waiting)["recorded"], len(waiting), "events that wait")
    world.install()
    runs = world.runs()
    equal(sum(runs.values()), len(processed), "runs of the target")

    for bucket in world.buckets:
        result = world.check(bucket, NEWEST, 3)
        check(not result["complete"], "a bucket with missing objects is not complete")
        requests = result["requests"]["per_thousand_objects"]
        print(f"{bucket.name}: {result['objects']} objects, every one of the planted class; {requests:.1f} requests per thousand")
        for form, compression in (("CSV", "gzip"), ("Parquet", "snappy"), ("Parquet", "gzip")):
            inventory = Inventory(bucket, form, compression)
            result = world.check(bucket, NEWEST, 3, *inventory.words())
            equal(result["inventory"], inventory.uri, "the inventory that was read")
            check(result["inventory_at"] is not None, "an audit by an inventory says until when it speaks")
            equal(result["requests"]["list"], 6, "requests for versioning, manifest, checksum and three files")
            requests = result["requests"]["per_thousand_objects"]
            print(f"{bucket.name}: the same by an inventory in {form} ({compression}); {requests:.1f} requests per thousand")

    # A second look, and what is missing is in the ledger; once, however often it is repaired.
    recorded = NEWEST | {"never": "open", "aba": "open", "late": "open"}
    for bucket in world.buckets:
        # One by an inventory of a moment ago, the other by a listing.
        source = () if bucket.versioned else Inventory(bucket, "Parquet").words()
        result, lines = world.audit(bucket, "--repair", *source, expect=0)
        missing = sum(found == "missing" for found in bucket.expected().values())
        equal(result["repair"]["recorded"], missing, f"objects of {bucket.name} that were recorded")
        repaired = {line["key"] for line in lines if line["class"] == "repaired" and line["cause"] == "recorded"}
        equal(repaired, {upload.key for upload in bucket.of("never", "aba", "late")}, "the keys that were recorded")
        again = world.check(bucket, recorded, 0, "--repair")
        equal(again["repair"]["recorded"], 0, "a second repair records nothing")
    world.daybook("resume")
    world.drain()
    repaired = recorded | {"never": "done", "aba": "done", "late": "done", "open": "done"}
    for bucket in world.buckets:
        world.check(bucket, repaired, 0)
    runs = world.runs()
    check(all(runs[upload.key] == 2 for upload in uploads if upload.fate == "late"), "what was missing ran, once in each bucket")

    # Late notifications of what was repaired.
    late = [upload for upload in uploads if upload.fate in ("never", "aba", "late") and not upload.told]
    answered = world.tell(late)
    equal((answered["recorded"], answered["done_before"]), (0, len(late)), "late notifications: recorded, done before")
    world.drain()
    equal(world.runs(), runs, "runs of the target after late notifications")
    print(f"repaired and drained: nothing is missing, and {len(late)} late notifications ran nothing")

    # What nobody promised, by a backfill.
    everything = repaired | {"before": "done"}
    for bucket in world.buckets:
        world.audit(bucket, "--backfill", expect=1)
        source = Inventory(bucket, "CSV", "gzip").words() if bucket.versioned else ()
        result, _ = world.audit(bucket, "--backfill", "--yes", *source, expect=0)
        equal(result["backfill"]["recorded"], EACH, f"objects of {bucket.name} that were backfilled")
    world.drain()
    for bucket in world.buckets:
        world.check(bucket, everything, 0)
    print(f"backfilled: {EACH} objects from before the installation in each bucket, done like all others")


main()
