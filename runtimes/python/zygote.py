"""An interpreter that has loaded what most functions need, and forks an instance whenever the helper asks.

Descriptor 3 is a packet socket to the helper. First packet: settings. Then "fork" with descriptors: the instance's first
process, standard output, frames in, frames out, files to join its control groups. We answer the child's number, later its end.

The zygote is trusted and privileged; a child gives up everything in `enter` before it looks at the function.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bootstrap

# Before any function is known: everything here is shared by all instances instead of loaded by each.
import base64, codecs, collections, copy, csv, datetime, decimal, email.message, email.parser, enum, functools, glob
import hashlib, hmac, heapq, http.client, http.cookies, inspect, io, itertools, math, mimetypes, operator, pathlib
import pprint, queue, random, shutil, ssl, statistics, string, subprocess, tempfile, textwrap, threading, types, typing
import urllib.error, urllib.parse, urllib.request, uuid, xml.etree.ElementTree, zipfile, zlib, gzip
import concurrent.futures, configparser

CONTROL = 3
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 22, 24, 38, 47
PR_SET_SECUREBITS, PR_CAPBSET_READ = 28, 23
SECURE_BITS = 0b11101111
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}[os.uname()[4]]
CAPABILITY_VERSION = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def call(function, *arguments):
    if function(*[ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def enter(settings, init, stdio, frames_in, frames_out, *groups):
    """In the child: joins the instance, takes its descriptors, gives up every privilege. Never returns halfway."""
    for group in groups:
        os.write(group, b"0")
    os.setsid()
    joined = settings["namespaces"] & ~CLONE_NEWPID
    if libc.setns(init, ctypes.c_int(joined)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "joining the instance: " + os.strerror(code))
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDONLY)
    # First out of the way of the numbers that are given next.
    moved = [move_up(fd) for fd in (null, stdio, stdio, frames_in, frames_out)]
    for number, fd in enumerate(moved):
        os.dup2(fd, number)
        os.set_inheritable(number, number < 3)
    os.closerange(5, 256)
    # Before the change of user, which takes away the right to do it.
    for capability in settings["capabilities"]:
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if settings["set_ids"]:
        os.setgroups([])
        os.setresgid(settings["gid"], settings["gid"], settings["gid"])
        os.setresuid(settings["uid"], settings["uid"], settings["uid"])
    libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(4), 0, 0, 0)
    libc.prctl(PR_SET_SECUREBITS, ctypes.c_ulong(SECURE_BITS), 0, 0, 0)
    header = struct.pack("<Ii", CAPABILITY_VERSION, 0)
    call(libc.syscall, SYS_CAPSET, ctypes.create_string_buffer(header, 8), ctypes.create_string_buffer(24))
    call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, ctypes.c_ulong(1), 0, 0, 0)
    call(libc.prctl, PR_SET_SECCOMP, 2, ctypes.byref(settings["program"]), 0, 0)


def move_up(fd):
    import fcntl
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64)


def fork(settings, own, control, fds):
    """Answers the child's number; does not return in the child."""
    init = fds[0]
    if libc.setns(init, ctypes.c_int(CLONE_NEWPID)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "joining the instance's processes: " + os.strerror(code))
    child = os.fork()
    if child:
        libc.setns(own, ctypes.c_int(CLONE_NEWPID))
        return child
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        enter(settings, *fds)
        settings.clear()
        # Not finally: only `run` says how the process ends.
        bootstrap.run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback
        try:
            os.write(2, traceback.format_exc().encode())
        except OSError:
            pass
    finally:
        leave(status)


def leave(status):
    """As an interpreter ends: exit handlers run, then the process."""
    try:
        import atexit
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        pass
    bootstrap.flush()
    os._exit(status)


def receive(control):
    room = socket.CMSG_SPACE(16 * 4)
    try:
        data, ancillary, _, _ = control.recvmsg(131072, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None, []  # the helper is gone
    fds = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            count = len(content) // 4
            fds += struct.unpack("%di" % count, content[: count * 4])
    return (json.loads(data.decode("utf-8")) if data else None), fds


def reap(control):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        report = {"exited": pid}
        if os.WIFSIGNALED(status):
            report["signal"] = os.WTERMSIG(status)
        else:
            report["code"] = os.WEXITSTATUS(status)
        control.send(json.dumps(report).encode("ascii"))


def preload(settings):
    for path in bootstrap.site_packages():
        sys.path.append(path)
    for name in settings.get("modules", []):
        try:
            __import__(name)
        except ImportError:
            pass


def main():
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, CONTROL)
    control.setblocking(True)
    settings, _ = receive(control)
    if settings is None:
        return
    code = bytes(bytearray.fromhex(settings["filter"]))
    settings["memory"] = ctypes.create_string_buffer(code, len(code))
    settings["program"] = Program(len(code) // 8, ctypes.cast(settings["memory"], ctypes.c_void_p))
    settings["capabilities"] = [ctypes.c_ulong(number) for number in range(64) if known_capability(number)]
    own = open_self()
    preload(settings["settings"])
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    watch = select.poll()
    watch.register(CONTROL, select.POLLIN)
    watch.register(wake_read, select.POLLIN)
    bootstrap.preloaded = frozenset(name.split(".")[0] for name in sys.modules)
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()
    control.send(b'{"ready": true}')
    while True:
        for fd, _ in watch.poll():
            if fd == wake_read:
                os.read(wake_read, 4096)
                reap(control)
                continue
            order, fds = receive(control)
            if order is None:
                return
            try:
                answer = {"pid": fork(settings, own, control, fds)}
            except Exception as error:
                answer = {"error": str(error)}
            for passed in fds:
                os.close(passed)
            control.send(json.dumps(answer).encode("utf-8"))


def known_capability(number):
    return libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) >= 0


def open_self():
    """A descriptor of our own process, to come back to our own PID namespace."""
    pidfd = libc.syscall(ctypes.c_ulong(434), ctypes.c_ulong(os.getpid()), ctypes.c_ulong(0))
    if pidfd < 0:
        code = ctypes.get_errno()
        raise OSError(code, "pidfd_open: " + os.strerror(code))
    return pidfd


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        pass  # the helper is gone, and so is the reason to be here
