//! Extensions and their telemetry, as programs of a layer.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod common;

use std::time::Duration;

use common::{Bench, Function, tail};
use sereno_kernel::sandbox::Sandbox;

/// Registers, subscribes to telemetry, and says what it hears.
const EXTENSION: &str = r#"#!/usr/bin/python3
import http.server, json, os, sys, threading, urllib.request
base = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API']
def call(path, method='GET', body=None, **headers):
    headers = {name.replace('_', '-'): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, method=method, headers=headers)
    return urllib.request.urlopen(request)
class Telemetry(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers['content-length']))):
            # What is printed comes back as an event.
            if 'HEARD' not in str(event['record']): print('HEARD', event['type'], json.dumps(event['record'])[:60], flush=True)
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(('sandbox.localdomain', 8080), Telemetry)
threading.Thread(target=server.serve_forever, daemon=True).start()
with call('/2020-01-01/extension/register', 'POST', {'events': ['INVOKE', 'SHUTDOWN']},
          Lambda_Extension_Name=os.path.basename(sys.argv[0])) as answer:
    me = answer.headers['Lambda-Extension-Identifier']
    print('REGISTERED', answer.read().decode(), '_HANDLER' in os.environ, flush=True)
call('/2022-07-01/telemetry', 'PUT', {'schemaVersion': '2022-07-01', 'types': ['platform', 'function'],
     'buffering': {'timeoutMs': 25}, 'destination': {'protocol': 'HTTP', 'URI': 'http://sandbox.localdomain:8080'}},
     Lambda_Extension_Identifier=me).read()
while True:
    event = json.load(call('/2020-01-01/extension/event/next', Lambda_Extension_Identifier=me))
    print('EVENT', event['eventType'], event.get('shutdownReason'), flush=True)
    if event['eventType'] == 'SHUTDOWN':
        sys.exit(0)
"#;

fn with_extension(mut function: Function, program: &str) -> Function {
    function.layers = vec![vec![("extensions/watch".into(), program.as_bytes().to_vec(), 0o755)]];
    function
}

async fn log_has(bench: &Bench, what: &str) {
    for _ in 0..200 {
        if bench.logs.0.lock().unwrap().iter().any(|(_, event)| event.message.contains(what)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} is not in {:#?}", bench.logs.0.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_hears_of_its_function_from_start_to_end() {
    let bench = Bench::new();
    for function in [
        Function::python("def handler(event, context):\n    print('working')\n    return event\n"),
        Function::node(
            "exports.handler = async (event) => { console.log('working'); return event; };",
        ),
    ] {
        bench.logs.0.lock().unwrap().clear();
        let function = with_extension(function, EXTENSION);
        for n in 0..3 {
            assert_eq!(bench.result(&function, &n.to_string()).await, n);
        }
        // What an extension prints after an invocation is read with the next one.
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.result(&function, "3").await;
        let name = &function.name;
        log_has(&bench, &format!(
            r#"REGISTERED {{"functionName":"{name}","functionVersion":"$LATEST","handler":"index.handler"}} False"#
        )).await;
        log_has(&bench, "EXTENSION\tName: watch\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n").await;
        log_has(&bench, "EVENT INVOKE").await;
        for kind in [
            "initStart",
            "initRuntimeDone",
            "initReport",
            "start",
            "runtimeDone",
            "report",
            "extension",
        ] {
            log_has(&bench, &format!("HEARD platform.{kind} ")).await;
        }
        log_has(&bench, "HEARD function ").await;
        bench.sandbox.retire_all();
        log_has(&bench, "EVENT SHUTDOWN spindown").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_extension_does_wrong_is_told() {
    let bench = Bench::new();
    let plain = "def handler(event, context):\n    return event\n";
    let crashes = "#!/bin/sh\nexit 5\n";
    let function = with_extension(Function::python(plain), crashes);
    let error = bench.failure(&function, "1").await;
    assert_eq!(error["errorType"], "Extension.Crash");
    assert!(error["errorMessage"].as_str().unwrap().ends_with("Error: exit code 5"), "{error}");
    let gives_up = EXTENSION.replace(
        "while True:",
        "call('/2020-01-01/extension/init/error', 'POST', {}, Lambda_Extension_Identifier=me, Lambda_Extension_Function_Error_Type='Extension.NoConfig').read()\nimport time; time.sleep(5)\nwhile True:",
    );
    let function = with_extension(Function::python(plain), &gives_up);
    let error = bench.failure(&function, "1").await;
    assert_eq!(error["errorType"], "Extension.InitError", "{error}");
    let late = Function::python(
        "import json, os, urllib.request, urllib.error\ndef handler(event, context):\n    request = urllib.request.Request('http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2020-01-01/extension/register', data=b'{\"events\":[]}', headers={'Lambda-Extension-Name': 'late'})\n    try:\n        urllib.request.urlopen(request)\n    except urllib.error.HTTPError as error:\n        return [error.code, json.load(error)['errorType']]\n",
    );
    let reply = bench.invoke(&late, "1").await;
    assert_eq!(&reply.payload[..], br#"[403, "Extension.RegistrationClosed"]"#, "{}", tail(&reply));
}
