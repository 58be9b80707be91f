"""Starts a Sereno of its own for tests, benchmarks and scripts: free port, temporary data, stopped at the end."""

import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("SERENO_BIN", ROOT / "target" / "release" / "sereno"))
READY_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process. `kill()` is kill -9; `start()` again opens the same data."""

    def __init__(self, *options, data=None, port=None):
        self.options = options
        self.owns_data = data is None
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="sereno-"))
        self.port = port or free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.endpoints = [self.endpoint]
        self.process = None

    def start(self):
        log = open(self.data.with_suffix(".log"), "ab")
        command = [str(BINARY), "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data)]
        self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log()[-2000:]}")
            if self.healthy():
                return self
            time.sleep(0.005)
        raise RuntimeError(f"the server did not answer in {READY_S} s: {self.log()[-2000:]}")

    def healthy(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/_localstack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def log(self):
        return self.data.with_suffix(".log").read_text(errors="replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def remove(self):
        self.stop()
        if self.owns_data:
            shutil.rmtree(self.data, ignore_errors=True)
            self.data.with_suffix(".log").unlink(missing_ok=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()
