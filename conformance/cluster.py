"""Several nodes on one PostgreSQL behind a TCP balancer, for tests: `SERENO_CLUSTER=3 ./test conformance` aims everything at it."""

import asyncio
import glob
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

from server import Server, free_port


class NoPostgres(Exception):
    """PostgreSQL is missing here, and why it could not be installed."""


def programs():
    """The folder of PostgreSQL's programs: the newest version that Debian's package has put there."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", "postgresql"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise NoPostgres(f"PostgreSQL is not installed, and apt-get says: {done.stderr.strip()[-300:]}")
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise NoPostgres("PostgreSQL is not installed (Debian's package: postgresql)")
    return pathlib.Path(found[-1]).parent


class Postgres:
    """A database server of its own in a temporary folder, as another user where we are root: it refuses to run as root."""

    def __init__(self):
        self.bin = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sereno-pg-"))
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")

    def run(self, *command):
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        return subprocess.run([*as_user, *map(str, command)], check=True, cwd="/tmp", stdout=subprocess.DEVNULL)

    def start(self):
        data = self.folder / "data"
        self.run(self.bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N")
        # Not synced: what is tested is what the nodes do, not PostgreSQL's durability.
        options = (
            f"-k {self.folder} -c listen_addresses=127.0.0.1 -p {self.port} -c fsync=off"
            " -c max_connections=200 -c max_pred_locks_per_transaction=256"
        )
        self.run(self.bin / "pg_ctl", "-D", data, "-w", "-l", self.folder / "log", "-o", options, "start")
        return self

    def remove(self):
        self.run(self.bin / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Balancer:
    """Gives each connection to the next node that takes it. Knows nothing of what goes through."""

    def __init__(self, ports):
        self.ports, self.turn, self.port = ports, 0, free_port()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def start(self):
        self.thread.start()
        serving = asyncio.start_server(self.connect, "127.0.0.1", self.port, backlog=512)
        asyncio.run_coroutine_threadsafe(serving, self.loop).result(10)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    async def connect(self, reader, writer):
        for _ in self.ports:
            self.turn += 1
            try:
                node = await asyncio.open_connection("127.0.0.1", self.ports[self.turn % len(self.ports)])
            except OSError:
                continue
            await asyncio.gather(self.pump(reader, node[1]), self.pump(node[0], writer))
            return
        writer.close()

    async def pump(self, reader, writer):
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class Cluster:
    """Stands where a `Server` does: same endpoint, same questions."""

    def __init__(self, count=3, *options):
        self.postgres = Postgres()
        self.objects = tempfile.mkdtemp(prefix="sereno-objects-")
        place = ["--store", self.postgres.url, "--objects", self.objects]
        self.nodes = [Server(*place, *options) for _ in range(count)]
        self.balancer = Balancer([node.port for node in self.nodes])
        self.port = self.balancer.port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.endpoints = [node.endpoint for node in self.nodes]

    def start(self):
        self.postgres.start()
        for node in self.nodes:
            node.start()
        self.balancer.start()
        return self

    def healthy(self):
        return any(node.healthy() for node in self.nodes)

    @property
    def process(self):
        """One that has ended, if any has."""
        ended = [node.process for node in self.nodes if node.process.poll() is not None]
        return (ended or [self.nodes[0].process])[0]

    def log(self):
        return "".join(node.log() for node in self.nodes)

    def remove(self):
        for node in self.nodes:
            node.remove()
        self.balancer.stop()
        self.postgres.remove()
        shutil.rmtree(self.objects, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()
