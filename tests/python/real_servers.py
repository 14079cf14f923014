"""Real S3 servers as processes: Ceph's RGW and LocalStack. Each keeps all that it writes in a folder, listens on 127.0.0.1 only, and
never outlives its context. Standard library only."""

import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import uuid

# Ceph's first start makes its pools; LocalStack loads its services.
START = 120.0

ACCESS_KEY, SECRET_KEY = "test", "test"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """Processes, each in a group of its own, that end in the reverse of the order in which they were started."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def spawn(self, name, *command, env, **how):
        with open(self.folder / f"{name}.out", "wb") as out:
            process = subprocess.Popen(
                command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **how
            )
        self.processes.append((name, process))

    def stop(self):
        for _, process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for _, process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def wait_until_it_answers(self):
        end = time.monotonic() + START
        while time.monotonic() < end:
            for name, process in self.processes:
                if process.poll() is not None:
                    out = (self.folder / f"{name}.out").read_text(errors="replace")
                    sys.exit(f"FAILED: {name} ended at its start with {process.returncode}: {out[-2000:]}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.2)
            finally:
                connection.close()
        sys.exit(f"FAILED: {type(self).__name__} did not answer within {START:.0f} s; see {self.folder}")


# One monitor, one storage daemon in memory, one gateway, and nobody is asked who they are but by the gateway.
CEPH_CONF = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}/0
ms bind msgr1 = false
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc secure
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon cluster log file = {folder}/cluster.log
log file = {folder}/$name.log
admin socket =
pid file =
run dir = {folder}
plugin dir = {libraries}
erasure code dir = {libraries}/ceph/erasure-code
osd class dir = {libraries}/rados-classes
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw}
rgw enable apis = s3, notifications, admin
"""


class Ceph(Server):
    """A Ceph cluster with a gateway, from the packages that are unpacked in `root`."""

    def __init__(self, folder, root):
        super().__init__(folder)
        self.root = pathlib.Path(root)
        libraries = next((self.root / "usr/lib").glob("*-linux-gnu"))
        paths = [libraries, libraries / "ceph", self.root / "lib" / libraries.name, self.root / "usr/lib/ceph"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CEPH_", "PYTHON"))}
        self.env = inherited | {
            "PATH": f"{self.root}/usr/bin:{self.root}/usr/sbin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(map(str, paths)),
            "PYTHONPATH": str(self.root / "usr/lib/python3/dist-packages"),
            "CEPH_CONF": str(self.folder / "ceph.conf"),
        }
        self.libraries = libraries

    def run(self, *command):
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=START)
        if done.returncode != 0:
            sys.exit(f"FAILED: {' '.join(map(str, command))} of Ceph: {done.stderr or done.stdout}")
        return done.stdout

    def start(self):
        fsid, osd, mon = uuid.uuid4(), uuid.uuid4(), free_port()
        for name in ("mon", "osd", "rgw"):
            (self.folder / name).mkdir()
        conf = CEPH_CONF.format(fsid=fsid, mon=mon, rgw=self.port, folder=self.folder, libraries=self.libraries)
        (self.folder / "ceph.conf").write_text(conf)
        self.run("monmaptool", "--create", "--addv", "a", f"v2:127.0.0.1:{mon}", "--fsid", str(fsid), "monmap")
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap")
        self.spawn("ceph-mon", "ceph-mon", "-f", "-i", "a", env=self.env)
        # Its own Python modules are built for Debian's Python.
        self.run("/usr/bin/python3", self.root / "usr/bin/ceph", "osd", "new", str(osd))
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(osd))
        self.spawn("ceph-osd", "ceph-osd", "-f", "-i", "0", env=self.env)
        user = ("--uid", "tester", "--display-name", "Tester", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self.run("radosgw-admin", "-n", "client.rgw", "user", "create", *user)
        self.spawn("radosgw", "radosgw", "-f", "-n", "client.rgw", env=self.env)
        self.wait_until_it_answers()

    def version(self):
        return " ".join(self.run("radosgw", "--version").split()[:3])


class LocalStack(Server):
    """LocalStack in the virtual environment of that Python."""

    def __init__(self, folder, python):
        super().__init__(folder)
        self.python = python

    def start(self):
        settings = {
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "LOCALSTACK_HOST": f"127.0.0.1:{self.port}",
            "SERVICES": "s3,sqs,sns,events",
            # Nothing is fetched, nothing is sent to anybody, and no name server is started.
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DNS_ADDRESS": "0",
            # It would write to /var/lib/localstack and the like.
            "OVERRIDE_IN_DOCKER": "0",
            "FILESYSTEM_ROOT": str(self.folder / "root"),
            "TMPDIR": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        self.spawn("localstack", self.python, "-m", "localstack.runtime.main", env=os.environ | settings)
        self.wait_until_it_answers()

    def version(self):
        code = "import importlib.metadata as m; print(m.version('localstack-core'))"
        found = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True, timeout=START)
        return f"LocalStack {found.stdout.strip()}"
