//! Java functions, compiled by the test with the machine's own JDK; passed over, and said so, where there is none.

#![allow(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Bench, Function, tail};
use serde_json::json;

const SOURCE: &str = r#"
package app;

import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.util.*;

public class Handlers implements RequestHandler<Handlers.Order, Handlers.Receipt> {
    public static class Item { private String name; private int count; private double price;
        public void setName(String n) { name = n; } public String getName() { return name; }
        public void setCount(int n) { count = n; } public int getCount() { return count; }
        public void setPrice(double p) { price = p; } public double getPrice() { return price; } }
    public static class Order { private List<Item> items; private Map<String, Long> tags; private String note; private boolean urgent;
        public void setItems(List<Item> i) { items = i; } public void setTags(Map<String, Long> t) { tags = t; }
        public void setNote(String n) { note = n; } public void setUrgent(boolean u) { urgent = u; } }
    public static class Receipt { public double total; private String nothing; private final List<Item> items;
        Receipt(double t, List<Item> i) { total = t; items = i; }
        public String getNothing() { return nothing; } public List<Item> getItems() { return items; } public boolean isPaid() { return false; } }

    public Receipt handleRequest(Order order, Context context) {
        double total = 0;
        for (Item item : order.items) total += item.count * item.price;
        context.getLogger().log("tags " + order.tags.get("x") + " urgent " + order.urgent + " left " + (context.getRemainingTimeInMillis() > 0));
        System.out.println("printed " + context.getAwsRequestId());
        return new Receipt(total, order.items);
    }

    public static class Streams implements RequestStreamHandler {
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            int b; while ((b = in.read()) >= 0) out.write(Character.toUpperCase(b));
        }
    }

    public String greet(Map<String, Object> event, Context context) { return "hello " + event.get("name") + " " + new File("marker").exists(); }
    public int count(List<Integer> all) { return all.size(); }
    public Object fail(Object event) { throw new IllegalStateException("no", new RuntimeException("why")); }
    public Object exit(Object event) { System.exit(3); return null; }
    public String where(Object event) { return System.getenv("MINE") + " " + System.getenv("_HANDLER"); }
}
"#;

fn compiler() -> Option<PathBuf> {
    let found = ["/usr/bin/javac", "/usr/local/bin/javac"].map(PathBuf::from);
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("skipped: there is no javac on this machine");
    }
    found
}

/// The class files of `source`, compiled against the interfaces of the runtime itself.
fn classes(bench: &Bench, javac: &Path) -> Vec<(String, Vec<u8>, u32)> {
    let folder = bench.work.join("classes");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Handlers.java"), SOURCE).unwrap();
    let runtimes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/java");
    let status = Command::new(javac)
        .args(["-nowarn", "-implicit:none", "-d"])
        .arg(&folder)
        .arg("-sourcepath")
        .arg(runtimes)
        .arg(folder.join("Handlers.java"))
        .status();
    assert!(status.unwrap().success());
    let mut files = vec![("marker".to_owned(), Vec::new(), 0o644)];
    for entry in std::fs::read_dir(folder.join("app")).unwrap().flatten() {
        let name = format!("app/{}", entry.file_name().to_string_lossy());
        files.push((name, std::fs::read(entry.path()).unwrap(), 0o644));
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_java_handler_runs() {
    let Some(javac) = compiler() else { return };
    let bench = Bench::new();
    let files = classes(&bench, &javac);
    let function = |handler: &str| {
        let mut function = Function::new("java17", handler, &[]);
        function.files.clone_from(&files);
        function.memory(512).env("MINE", "my value")
    };
    let order = json!({"items": [{"name": "a", "count": 2, "price": 1.5}, {"name": "b", "count": 1, "unknown": {}}],
                       "tags": {"x": 5}, "note": null, "urgent": true});
    let reply = bench.invoke(&function("app.Handlers"), &order.to_string()).await;
    let got: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(reply.error, None, "{got} {}", tail(&reply));
    assert_eq!(
        got,
        json!({"total": 3.0, "items": [{"name": "a", "count": 2, "price": 1.5}, {"name": "b", "count": 1, "price": 0.0}], "paid": false})
    );
    let log = tail(&reply);
    assert!(log.contains("tags 5 urgent true left true\n") && log.contains("printed "), "{log}");
    let streams = function("app.Handlers$Streams::handleRequest");
    assert_eq!(bench.result(&streams, "\"abc\"").await, "ABC");
    let greet = function("app.Handlers::greet");
    assert_eq!(bench.result(&greet, r#"{"name": "Ann"}"#).await, "hello Ann true");
    assert_eq!(bench.result(&function("app.Handlers::count"), "[1, 2, 3]").await, 3);
    let place = bench.result(&function("app.Handlers::where"), "null").await;
    assert_eq!(place, "my value app.Handlers::where");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_java_are_told_as_aws_tells_them() {
    let Some(javac) = compiler() else { return };
    let bench = Bench::new();
    let files = classes(&bench, &javac);
    let function = |handler: &str| {
        let mut function = Function::new("java17", handler, &[]);
        function.files.clone_from(&files);
        function.memory(512)
    };
    let error = bench.failure(&function("app.Handlers::fail"), "{}").await;
    assert_eq!(error["errorType"], "java.lang.IllegalStateException");
    assert_eq!(error["errorMessage"], "no");
    assert_eq!(error["cause"]["errorMessage"], "why");
    assert!(
        error["stackTrace"][0].as_str().unwrap().starts_with("app.Handlers.fail(Handlers.java:")
    );
    assert_eq!(error["stackTrace"].as_array().unwrap().len(), 1);
    let error = bench.failure(&function("app.Missing"), "{}").await;
    assert_eq!(error["errorMessage"], "Class not found: app.Missing");
    assert_eq!(error["errorType"], "java.lang.ClassNotFoundException");
    let error = bench.failure(&function("app.Handlers::exit"), "{}").await;
    assert_eq!(error["errorType"], "Runtime.ExitError");
    assert!(error["errorMessage"].as_str().unwrap().ends_with("exit status 3"));
}
