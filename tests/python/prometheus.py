"""Scrapes `daybook up` with a real Prometheus. See tests/prometheus."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

TOKEN = "a-token-that-nobody-guesses"
FAILS = "case $DAYBOOK_KEY in bad*) exit 1;; esac"


def ask(url, body=None, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def status(url, token=None):
    try:
        ask(url, token=token)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def wait(what, found, seconds=60):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return value


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def record(key, number):
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-11-20T10:15:00.000Z", "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "data"}, "object": {"key": key, "sequencer": f"{number:04X}"}}}


def start_daybook(folder):
    environment = {**os.environ, "DAYBOOK_LISTEN": "127.0.0.1:0", "DAYBOOK_CONSOLE": "127.0.0.1:0", "DAYBOOK_TOKEN": TOKEN}
    command = [os.environ["DAYBOOK_BINARY"], "up", "--data-dir", str(folder / "data"), "--max-attempts", "1", "--exec", "sh", "-c", FAILS]
    process = subprocess.Popen(command, env=environment, stderr=open(folder / "log", "w"), stdout=subprocess.DEVNULL)
    said = lambda pattern: re.search(pattern, (folder / "log").read_text())
    events = wait("listening", lambda: said(r"listening on (\S+)")).group(1)
    return process, events, wait("the console", lambda: said(r"console  (http\S+)")).group(1)


def start_prometheus(folder, events, console):
    target = lambda url: url.removeprefix("http://")
    (folder / "token").write_text(TOKEN)
    (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: up
    authorization: {{credentials_file: {folder / "token"}}}
    static_configs: [{{targets: ["{target(events)}"]}}]
  - job_name: console
    static_configs: [{{targets: ["{target(console)}"]}}]
""")
    subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], check=True, stdout=subprocess.DEVNULL)
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
               f"--web.listen-address={address}"]
    return subprocess.Popen(command, stderr=open(folder / "prometheus.log", "w")), f"http://{address}/api/v1"


def lint(text):
    """promtool finds nothing to say of the names, types and helps."""
    judged = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    assert judged.returncode == 0 and not judged.stdout.strip() and not judged.stderr.strip(), judged


def query(api, expression):
    return json.loads(ask(f"{api}/query?{urllib.parse.urlencode({'query': expression})}"))["data"]["result"]


def value(api, expression):
    found = query(api, expression)
    return float(found[0]["value"][1]) if found else None


def dashboard(api):
    """Every query of the dashboard is understood; those that have no value here are of AWS."""
    empty, asked = [], 0
    for panel in json.loads(pathlib.Path("deploy/grafana/daybook.json").read_text())["panels"]:
        for target in panel["targets"]:
            asked += 1
            expression = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "30s")
            if not query(api, expression):
                empty.append(target["expr"])
    of_aws = ("daybook_dispatch_queue_messages", "daybook_running_executions")
    wrong = [expression for expression in empty if not any(name in expression for name in of_aws)]
    assert not wrong, wrong
    return asked


def main():
    started = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            daybook, events, console = start_daybook(folder)
            started.append(daybook)
            assert status(events + "/metrics") == 401, "without the token"
            prometheus, api = start_prometheus(folder, events, console)
            started.append(prometheus)
            wait("both are scraped", lambda: ready(api) and value(api, "sum(up)") == 2.0)
            keys = [f"good/{n}" for n in range(20)] + [f"bad/{n}" for n in range(5)]
            body = json.dumps({"Records": [record(key, number) for number, key in enumerate(keys)]}).encode()
            ask(events + "/events", body, TOKEN)
            for job in ("up", "console"):
                for expression, expected in {
                    f'daybook_events_recorded_total{{job="{job}"}}': 25,
                    f'daybook_events_completed_total{{job="{job}"}}': 20,
                    f'daybook_attempts_failed_total{{job="{job}"}}': 5,
                    f'daybook_open_events{{job="{job}",status="parked"}}': 5,
                    f'daybook_open_events{{job="{job}",status="pending"}}': 0,
                }.items():
                    wait(f"{expression} is {expected}", lambda: value(api, expression) == expected)
            age = value(api, 'daybook_oldest_event_age_seconds{job="up",status="parked"}')
            assert 0 < age < 120, age
            lint(ask(events + "/metrics", token=TOKEN))
            lint(ask(console + "/metrics"))
            wait("there is a rate", lambda: query(api, "rate(daybook_events_completed_total[30s])"))
            asked = dashboard(api)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(30)
    print(f"Prometheus has scraped both, promtool has nothing to say, and {asked} queries of the dashboard were answered")


def ready(api):
    try:
        return query(api, "up")
    except (urllib.error.URLError, ConnectionError):
        return None


if __name__ == "__main__":
    main()
