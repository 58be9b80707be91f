//! What functions see and what their callers get, for our own bootstraps.

mod common;

use common::{Bench, Function, tail};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_function_gets_its_event_and_context() {
    let bench = Bench::new();
    let function = Function::python(
        "import os\n\
         def handler(event, context):\n\
         \x20   print('hello', event['x'])\n\
         \x20   return {'x': event['x'] + 1, 'id': context.aws_request_id, 'memory': context.memory_limit_in_mb,\n\
         \x20           'left': context.get_remaining_time_in_millis() > 5000, 'env': os.environ['STAGE'],\n\
         \x20           'region': os.environ['AWS_REGION'], 'arn': context.invoked_function_arn}\n",
    )
    .env("STAGE", "test");
    let reply = bench.invoke(&function, r#"{"x": 41}"#).await;
    let result: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!((&result["x"], &result["env"]), (&json!(42), &json!("test")));
    assert_eq!((&result["memory"], &result["left"]), (&json!("256"), &json!(true)));
    let log = tail(&reply);
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("START RequestId: ") && lines[0].ends_with("Version: $LATEST"));
    assert_eq!(lines[1], "hello 41");
    assert!(lines[2].starts_with("END RequestId: "), "{log}");
    assert!(
        lines[3].starts_with("REPORT RequestId: ") && lines[3].contains("Init Duration"),
        "{log}"
    );
    let again = bench.invoke(&function, r#"{"x": 1}"#).await;
    assert!(again.init_us.is_none(), "the instance is used again");
    assert!(!tail(&again).contains("Init Duration"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_function_gets_its_event_and_context() {
    let bench = Bench::new();
    let function = Function::node(
        "exports.handler = async (event, context) => {\n\
         console.log('hello', event.x);\n\
         return { x: event.x + 1, id: context.awsRequestId, memory: context.memoryLimitInMB, env: process.env.STAGE };\n\
         };",
    )
    .env("STAGE", "test");
    let reply = bench.invoke(&function, r#"{"x": 41}"#).await;
    let result: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!((&result["x"], &result["env"]), (&json!(42), &json!("test")));
    let log = tail(&reply);
    let line = log.lines().nth(1).unwrap();
    assert!(
        line.ends_with(&format!("\t{}\tINFO\thello 41", result["id"].as_str().unwrap())),
        "{log}"
    );
    // The second start takes a waiting worker.
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    let other = Function { name: "other".into(), ..function };
    assert_eq!(bench.result(&other, r#"{"x": 1}"#).await["x"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_handlers_of_all_ages_work() {
    let bench = Bench::new();
    let sources = [
        "exports.handler = (e, c, callback) => callback(null, 'done');",
        "exports.handler = (e, c) => c.done(null, 'done');",
        "exports.handler = (e, c) => c.succeed('done');",
        "exports.handler = async () => 'done';",
        "exports.handler = () => new Promise((ok) => setTimeout(() => ok('done'), 5));",
        "exports.handler = (e, c, cb) => { setTimeout(() => 0, 20); cb(null, 'done'); };",
        "exports.handler = (e, c, cb) => { c.callbackWaitsForEmptyEventLoop = false; setInterval(() => 0, 1e6); cb(null, 'done'); };",
    ];
    for source in sources {
        let mut function = Function::node(source);
        function.runtime = "nodejs4.3".into();
        assert_eq!(bench.result(&function, "{}").await, "done", "{source}");
        assert_eq!(bench.result(&function, "{}").await, "done", "again: {source}");
    }
    let module = Function::new(
        "nodejs20.x",
        "index.handler",
        &[("index.mjs", "export const handler = async () => 'done';")],
    );
    assert_eq!(bench.result(&module, "{}").await, "done");
    let files = [
        ("a/b.js", "export const f = async () => import.meta.url;"),
        ("package.json", r#"{"type":"module"}"#),
    ];
    let nested = Function::new("nodejs22.x", "a/b.f", &files);
    assert_eq!(bench.result(&nested, "{}").await, "file:///var/task/a/b.js");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_told_as_aws_tells_them() {
    let bench = Bench::new();
    let python = Function::python("def handler(event, context):\n    raise ValueError('bad')\n");
    let error = bench.failure(&python, "{}").await;
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (&json!("ValueError"), &json!("bad"))
    );
    assert_eq!(
        error["stackTrace"][0],
        "  File \"/var/task/index.py\", line 2, in handler\n    raise ValueError('bad')\n"
    );
    let missing = Function::python("import nothing_like_this\n");
    let error = bench.failure(&missing, "{}").await;
    assert_eq!(error["errorType"], "Runtime.ImportModuleError");
    assert_eq!(
        error["errorMessage"],
        "Unable to import module 'index': No module named 'nothing_like_this'"
    );
    let nameless = Function::python("x = 1\n");
    let error = bench.failure(&nameless, "{}").await;
    assert_eq!(error["errorMessage"], "Handler 'handler' missing on module 'index'");
    let unjson = Function::python("def handler(event, context):\n    return {1, 2}\n");
    let error = bench.failure(&unjson, "{}").await;
    assert_eq!(error["errorType"], "Runtime.MarshalError");
    assert_eq!(
        error["errorMessage"],
        "Unable to marshal response: Object of type set is not JSON serializable"
    );

    let node = Function::node("exports.handler = async () => { throw new TypeError('bad'); };");
    let error = bench.failure(&node, "{}").await;
    assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("TypeError"), &json!("bad")));
    assert_eq!(error["trace"][0], "TypeError: bad");
    let text = Function::node("exports.handler = (e, c, cb) => cb('text');");
    let error = bench.failure(&text, "{}").await;
    assert_eq!(error, json!({"errorType": "string", "errorMessage": "text", "trace": []}));
    let missing = Function::node("require('nothing-like-this');");
    let error = bench.failure(&missing, "{}").await;
    assert_eq!(error["errorType"], "Runtime.ImportModuleError");
    let broken = Function::node("exports.handler = {");
    assert_eq!(bench.failure(&broken, "{}").await["errorType"], "Runtime.UserCodeSyntaxError");
    let rejected =
        Function::node("exports.handler = (e, c, cb) => { Promise.reject(new Error('lost')); };");
    let error = bench.failure(&rejected, "{}").await;
    assert_eq!(error["errorType"], "Runtime.UnhandledPromiseRejection");
    let thrown = Function::node(
        "exports.handler = (e, c, cb) => { setTimeout(() => { throw new Error('late'); }); };",
    );
    assert_eq!(bench.failure(&thrown, "{}").await["errorMessage"], "late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_and_timeouts_are_of_that_invocation_only() {
    let bench = Bench::new();
    let source = "import os, sys, time\n\
        def handler(event, context):\n\
        \x20   if event == 'exit': os._exit(3)\n\
        \x20   if event == 'sysexit': sys.exit(0)\n\
        \x20   if event == 'kill': os.kill(os.getpid(), 9)\n\
        \x20   if event == 'sleep': time.sleep(60)\n\
        \x20   return 'fine'\n";
    let function = Function::python(source).timeout(1000);
    assert_eq!(bench.result(&function, "1").await, "fine");
    let cases = [
        ("\"exit\"", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("\"sysexit\"", "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("\"kill\"", "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("\"sleep\"", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ];
    for (event, kind, message) in cases {
        let error = bench.failure(&function, event).await;
        assert_eq!(error["errorType"], kind, "{event}");
        let text = error["errorMessage"].as_str().unwrap();
        assert!(
            text.starts_with("RequestId: ") && text.ends_with(&format!(" Error: {message}")),
            "{text}"
        );
        assert_eq!(bench.result(&function, "1").await, "fine", "after {event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_runtime_speaks_the_runtime_api() {
    let bench = Bench::new();
    let script = "#!/usr/bin/python3\n\
        import json, os, urllib.request\n\
        base = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/'\n\
        while True:\n\
        \x20   with urllib.request.urlopen(base + 'invocation/next') as r:\n\
        \x20       id, event = r.headers['Lambda-Runtime-Aws-Request-Id'], json.load(r)\n\
        \x20   print('got', event, flush=True)\n\
        \x20   what = 'error' if event == 'fail' else 'response'\n\
        \x20   body = {'errorType': 'Custom', 'errorMessage': 'no'} if event == 'fail' else {'event': event}\n\
        \x20   urllib.request.urlopen(base + 'invocation/%s/%s' % (id, what), json.dumps(body).encode()).read()\n";
    let mut function = Function::new("provided.al2023", "any", &[]);
    function.files = vec![("bootstrap".into(), script.as_bytes().to_vec(), 0o755)];
    let reply = bench.invoke(&function, "5").await;
    assert_eq!(reply.error, None, "{}", tail(&reply));
    assert_eq!(&reply.payload[..], b"{\"event\": 5}");
    assert!(tail(&reply).contains("got 5\n"), "{}", tail(&reply));
    assert_eq!(bench.failure(&function, "\"fail\"").await["errorType"], "Custom");
    let nothing = Function::new("provided.al2023", "any", &[("readme", "")]);
    let error = bench.failure(&nothing, "5").await;
    assert_eq!(error["errorType"], "Runtime.InvalidEntrypoint");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_over_six_megabytes_are_refused() {
    let bench = Bench::new();
    let function = Function::python("def handler(event, context):\n    return 'x' * event\n");
    assert_eq!(bench.result(&function, "6000000").await.as_str().unwrap().len(), 6_000_000);
    let error = bench.failure(&function, "7000000").await;
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");
    let error = bench.failure(&function, "40000000").await;
    assert_eq!(
        error["errorMessage"],
        "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    );
    assert_eq!(bench.result(&function, "1").await, "x");
    let echo = Function::node("exports.handler = async (e) => e.length;");
    let big = format!("\"{}\"", "y".repeat(6_000_000));
    assert_eq!(bench.result(&echo, &big).await, 6_000_000);
}
