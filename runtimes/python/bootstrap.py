"""Runs a Python function inside its sandbox.

Descriptor 3 brings frames from the server, descriptor 4 takes frames to it: length (4 bytes, little endian, of what
follows), kind (1 byte), body. One invocation at a time. Works with Python 2.7 and from 3.6 on.

To us:    I settings (JSON)          V invocation: header length (4), header (JSON), payload
From us:  R ready (JSON)             F start failed (JSON)
          O result (bytes)           E error (JSON)
          L log record: milliseconds (8), level (1), text       T what was printed

What the function sees is as AWS's runtime shows it: module search path, context, log lines, error payloads.
"""

import importlib
import io
import json
import logging
import os
import re
import struct
import sys
import time
import traceback

PY2 = sys.version_info[0] == 2
IN, OUT = 3, 4
HERE = os.path.dirname(os.path.abspath(__file__))
LEVELS = {10: 2, 20: 3, 30: 4, 40: 5, 50: 6}
# A response longer than this is refused by the server anyway; its beginning is enough to say so.
RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100


class Channel(object):
    def __init__(self):
        self.rest = b""

    def receive(self):
        """One frame: (kind, body). None when the server is gone."""
        data = self.rest
        while True:
            if len(data) >= 4:
                end = 4 + struct.unpack_from("<I", data)[0]
                if len(data) >= end:
                    break
                parts, missing = [data], end - len(data)
                while missing > 0:
                    part = os.read(IN, max(missing, 65536))
                    if not part:
                        return None
                    parts.append(part)
                    missing -= len(part)
                data = b"".join(parts)
                break
            part = os.read(IN, 65536)
            if not part:
                return None
            data += part
        self.rest = data[end:]
        return data[4:5], data[5:end]

    def send(self, kind, body):
        data = struct.pack("<I", 1 + len(body)) + kind + body
        written = os.write(OUT, data)
        while written < len(data):
            data = data[written:]
            written = os.write(OUT, data)


channel = Channel()


class Printed(io.RawIOBase):
    """Standard output and error: frames, so that their order among log records is kept."""

    def writable(self):
        return True

    def fileno(self):
        return 1

    def write(self, data):
        data = bytes(data)
        if data:
            channel.send(b"T", data)
        return len(data)


class PrintedText(object):
    """Python 2's print writes bytes and unicode alike."""

    encoding = "UTF-8"

    def write(self, text):
        if isinstance(text, type(u"")):
            text = text.encode("utf-8")
        if text:
            channel.send(b"T", text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def isatty(self):
        return False

    def fileno(self):
        return 1


def open_output():
    if PY2:
        return PrintedText()
    buffered = io.BufferedWriter(Printed(), 8192)
    return io.TextIOWrapper(buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True)


class Fault(Exception):
    """An error that AWS's runtime itself words."""

    def __init__(self, kind, message, trace=None):
        Exception.__init__(self, message)
        self.kind, self.message, self.trace = kind, message, trace


# ---------------------------------------------------------------- the context

class ClientContext(object):
    __slots__ = ["custom", "env", "client"]


class Client(object):
    __slots__ = ["installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"]


class CognitoIdentity(object):
    __slots__ = ["cognito_identity_id", "cognito_identity_pool_id"]


def filled(kind, values):
    result = kind()
    for name in kind.__slots__:
        setattr(result, name, values.get(name))
    return result


def show(value):
    fields = ",".join("%s=%s" % (name, getattr(value, name, None)) for name in value.__slots__)
    return "%s([%s])" % (type(value).__name__, fields)


for shown in (ClientContext, Client, CognitoIdentity):
    shown.__repr__ = show


class LambdaContext(object):
    def __init__(self, header):
        environment = os.environ
        self.aws_request_id = header["id"]
        self.log_group_name = environment.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environment.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = header["arn"]
        self.tenant_id = None
        self.client_context = None
        self._deadline_ms = header["deadline"]
        client = parse_header(header.get("client"), "Client Context")
        if client is not None:
            self.client_context = filled(ClientContext, client)
            if self.client_context.client is not None:
                self.client_context.client = filled(Client, self.client_context.client)
        identity = parse_header(header.get("identity"), "Cognito Identity") or {}
        self.identity = CognitoIdentity()
        self.identity.cognito_identity_id = identity.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = identity.get("cognitoIdentityPoolId")

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message):
        send_record(0, str(message))

    def __repr__(self):
        names = ["aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
                 "function_version", "invoked_function_arn", "client_context", "identity", "tenant_id"]
        return "LambdaContext([%s])" % ",".join("%s=%s" % (name, getattr(self, name)) for name in names)


def parse_header(text, name):
    if not text:
        return None
    try:
        return json.loads(text)
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, error))


# ---------------------------------------------------------------- logging

request_id = ""


def send_record(level, text):
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    channel.send(b"L", struct.pack("<qB", int(time.time() * 1000), level) + data)


class Handler(logging.Handler):
    def emit(self, record):
        send_record(LEVELS.get(record.levelno // 10 * 10, 0), self.format(record))


class WithRequest(logging.Filter):
    def filter(self, record):
        record.aws_request_id = request_id or ""
        record.tenant_id = None
        return True


class JsonFormatter(logging.Formatter):
    """https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html#python-logging-advanced"""

    OWN = set(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"aws_request_id", "tenant_id", "taskName"}

    def __init__(self):
        logging.Formatter.__init__(self, datefmt="%Y-%m-%dT%H:%M:%SZ")

    def format(self, record):
        failure = record.exc_info if record.exc_info and record.exc_info[0] else None
        result = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
            "message": record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(failure[2]) if failure else None,
            "errorType": failure[0].__name__ if failure else None,
            "errorMessage": str(failure[1]) if failure else None,
            "requestId": record.aws_request_id,
            "location": "%s:%s:%s" % (record.pathname, record.funcName, record.lineno) if failure else None,
        }
        for key, value in record.__dict__.items():
            if key not in self.OWN and key not in result:
                result[key] = value
        return json.dumps({k: v for k, v in result.items() if v is not None}, ensure_ascii=False)


def set_up_logging():
    logging.Formatter.converter = time.gmtime
    handler = Handler()
    if json_logs():
        handler.setFormatter(JsonFormatter())
    else:
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(WithRequest())
    logger = logging.getLogger()
    logger.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL", "WARN": "WARNING"}.get(level, level)
    if level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        logger.setLevel(getattr(logging, level))


def json_logs():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def log_error(error):
    if json_logs():
        record = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "log_level": "ERROR"}
        record.update(error)
        send_record(5, encode(record))
        return
    title = "[ERROR]"
    if error["errorType"]:
        title += " " + error["errorType"] + (":" if error["errorMessage"] else "")
    if error["errorMessage"]:
        title += " " + error["errorMessage"]
    lines = [title, "Traceback (most recent call last):"]
    for element in error["stackTrace"]:
        for line in element.splitlines() or [""]:
            text = line.lstrip(" ")
            # No-break spaces, as AWS prints them: log viewers strip plain ones.
            lines.append(u"\u00a0" * (len(line) - len(text)) + text)
    send_record(5, u"\n".join(lines))


# ---------------------------------------------------------------- JSON

DECIMAL = re.compile(r'"\\u0000D([^"\\]*)D\\u0000"')


def encode(value):
    """As AWS encodes results: decimals become numbers; newer runtimes do not escape other scripts."""
    found = []

    def other(item):
        if type(item).__name__ == "Decimal" and type(item).__module__ == "decimal":
            found.append(item)
            return float("nan") if item.is_nan() else u"\x00D%sD\x00" % item
        raise TypeError("Object of type %s is not JSON serializable" % type(item).__name__)

    text = json.dumps(value, default=other, ensure_ascii=not settings.get("unicode", False))
    return DECIMAL.sub(r"\1", text) if found else text


# ---------------------------------------------------------------- the function

settings = {}


def make_error(message, kind, trace, invocation=None):
    return {"errorMessage": message or "", "errorType": kind or "",
            "requestId": invocation or "", "stackTrace": trace or []}


def describe(failure, invocation=None):
    kind, value, trace = failure
    frames = list(traceback.extract_tb(trace))
    for position, frame in enumerate(frames):
        if not frame[0].startswith(HERE) and "importlib" not in frame[0]:
            frames = frames[position:]
            break
    lines = traceback.format_list([tuple(frame) for frame in frames])
    return make_error(str(value), kind.__name__, lines, invocation)


def find_handler(name):
    module_name, _, function = name.rpartition(".")
    if not module_name:
        reason = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, reason))
    if module_name.split(".")[0] in sys.builtin_module_names:
        text = "Cannot use built-in module %s as a handler module" % module_name
        raise Fault("Runtime.BuiltInModuleConflict", text)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error))
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        text = "Syntax error in module '%s': %s" % (module_name, error)
        raise Fault("Runtime.UserCodeSyntaxError", text, trace)
    try:
        return getattr(module, function)
    except AttributeError:
        text = "Handler '%s' missing on module '%s'" % (function, module_name)
        raise Fault("Runtime.HandlerNotFound", text)


def handle(handler, body):
    global request_id
    start = 4 + struct.unpack_from("<I", body)[0]
    header = json.loads(body[4:start].decode("utf-8"))
    request_id = header["id"]
    if header.get("trace"):
        os.environ["_X_AMZN_TRACE_ID"] = header["trace"]
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        context = LambdaContext(header)
        try:
            event = json.loads(body[start:].decode("utf-8"))
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = handler(event, context)
        if not isinstance(result, bytes) or PY2:
            try:
                result = encode(result)
            except Exception as error:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
            if not isinstance(result, bytes):
                result = result.encode("utf-8", "surrogatepass")
    except Fault as fault:
        error = make_error(fault.message, fault.kind, fault.trace, request_id)
    except Exception:
        error = describe(sys.exc_info(), request_id)
    else:
        flush()
        channel.send(b"O", result)
        return
    flush()
    log_error(error)
    channel.send(b"E", encode(error).encode("utf-8"))


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def start_up():
    """Everything that depends on the function, before its first invocation."""
    frame = channel.receive()
    if frame is None:
        os._exit(0)
    settings.update(json.loads(frame[1].decode("utf-8")))
    os.environ.clear()
    for name, value in settings["env"].items():
        os.environ[str(name) if PY2 else name] = value.encode("utf-8") if PY2 else value
    if hasattr(time, "tzset"):
        time.tzset()
    sys.stdout, sys.stderr = open_output(), open_output()
    if not PY2:
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    os.chdir(os.environ["LAMBDA_TASK_ROOT"])
    forget_shadowed(set_path())
    add_builtins()
    set_up_logging()


def add_builtins():
    """`exit`, `quit`, `help`: made by `site`, whose other work our start skips."""
    if sys.flags.no_site:
        import site
        site.setquit()
        site.setcopyright()
        site.sethelper()


def set_path():
    root = os.environ["LAMBDA_TASK_ROOT"]
    version = "python%d.%d" % sys.version_info[:2]
    own = [path for path in sys.path if path and not path.startswith(HERE)]
    given = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path and path != root]
    layers = ["/opt/python/lib/%s/site-packages" % version, "/opt/python"]
    front = [root] + layers + given + ["/var/runtime"]
    installed = [path for path in site_packages() if path not in own]
    sys.path[:] = front + [path for path in own if path not in front] + installed
    importlib.invalidate_caches() if not PY2 else None
    return [root] + layers


def site_packages():
    """Where the interpreter's own packages (boto3 among them) are; our start skips `site`, which is slow."""
    version = "python%d.%d" % sys.version_info[:2]
    candidates = [
        settings.get("sdk") or "",
        os.path.join(sys.prefix, "lib", version, "site-packages"),
        "/usr/local/lib/%s/dist-packages" % version,
        "/usr/lib/python%d/dist-packages" % sys.version_info[0],
    ]
    return [path for path in candidates if path and os.path.isdir(path)]


preloaded = frozenset()


def forget_shadowed(folders):
    """A module of the function must win over one that a zygote has loaded early, where it would win on AWS."""
    for folder in folders if preloaded else ():
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            module = name.split(".")[0]
            if module in preloaded and module not in BOOTSTRAP_MODULES:
                for loaded in [m for m in sys.modules if m == module or m.startswith(module + ".")]:
                    del sys.modules[loaded]


# What AWS's bootstrap has loaded too, before it looks at the function: a function cannot replace these there either.
BOOTSTRAP_MODULES = {
    "importlib", "json", "logging", "os", "sys", "time", "traceback", "re", "io", "struct", "decimal", "math",
    "collections", "functools", "weakref", "threading", "string", "codecs", "warnings", "abc", "enum", "types",
    "concurrent", "datetime", "copyreg", "keyword", "operator", "linecache", "tokenize", "token", "contextlib",
}


def run():
    try:
        start_up()
        handler = find_handler(os.environ["_HANDLER"])
    except Fault as fault:
        error = make_error(fault.message, fault.kind, fault.trace)
    except Exception:
        error = describe(sys.exc_info())
    else:
        flush()
        heavy = [name for name in ("boto3",) if name in sys.modules]
        channel.send(b"R", json.dumps({"modules": heavy}).encode("ascii"))
        while True:
            frame = channel.receive()
            if frame is None:
                os._exit(0)
            handle(handler, frame[1])
    flush()
    log_error(error)
    channel.send(b"F", encode(error).encode("utf-8"))
    sys.exit(1)


if __name__ == "__main__":
    run()
