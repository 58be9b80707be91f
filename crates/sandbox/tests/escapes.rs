//! What a hostile function tries, and must not get.
//!
//! Each attempt runs as a function and says what it could do; the test says what it must not have done.

mod common;

use common::{Bench, Function};
use serde_json::{Value, json};

/// `attempt()` of the source is run; what it returns, or its error's class and number, is the result.
fn hostile(attempt: &str) -> Function {
    let source = format!(
        "import ctypes, errno, json, os, signal, socket, subprocess, sys, threading, time\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         def call(name, *arguments):\n\
         \x20   ctypes.set_errno(0)\n\
         \x20   result = getattr(libc, name)(*arguments)\n\
         \x20   return 'done' if result >= 0 else errno.errorcode[ctypes.get_errno()]\n\
         {attempt}\n\
         def handler(event, context):\n\
         \x20   global given\n\
         \x20   given = event\n\
         \x20   try:\n\
         \x20       return attempt()\n\
         \x20   except OSError as error:\n\
         \x20       return errno.errorcode.get(error.errno, str(error))\n"
    );
    Function::python(&source)
}

async fn outcome(bench: &Bench, attempt: &str, event: &Value) -> Value {
    bench.result(&hostile(attempt), &event.to_string()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_s_files_are_out_of_sight() {
    let bench = Bench::new();
    let secret = bench.work.join("secret");
    std::fs::write(&secret, "server data").unwrap();
    let read = "def attempt():\n    return open(given).read()[:20]";
    for path in [
        secret.to_str().unwrap(),
        "/etc/shadow",
        "/root/.bashrc",
        "/proc/1/environ",
        "/proc/kcore",
        "/proc/1/mem",
    ] {
        let got = outcome(&bench, read, &json!(path)).await;
        assert!(["ENOENT", "EACCES", "EPERM"].contains(&got.as_str().unwrap()), "{path}: {got}");
    }
    let list =
        outcome(&bench, "def attempt():\n    return sorted(os.listdir('/'))", &json!(0)).await;
    let allowed = [
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "sbin",
        "tmp", "usr", "var",
    ];
    for name in list.as_array().unwrap() {
        assert!(allowed.contains(&name.as_str().unwrap()), "/{name}");
    }
    // Up and out of the root.
    let up = "def attempt():\n    os.chdir('/')\n    for _ in range(20): os.chdir('..')\n    return os.path.exists('usr') and not os.path.exists('home')";
    assert_eq!(outcome(&bench, up, &json!(0)).await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_tmp_can_be_written() {
    let bench = Bench::new();
    let write = "def attempt():\n    open(given, 'w').write('x')\n    return 'written'";
    for path in [
        "/var/task/x",
        "/opt/x",
        "/usr/x",
        "/x",
        "/etc/passwd",
        "/var/runtime/python/bootstrap.py",
        "/dev/x",
        "/proc/sys/kernel/hostname",
    ] {
        let got = outcome(&bench, write, &json!(path)).await;
        assert!(["EROFS", "EACCES", "EPERM"].contains(&got.as_str().unwrap()), "{path}: {got}");
    }
    assert_eq!(outcome(&bench, write, &json!("/tmp/x")).await, "written");
    // The size of /tmp holds.
    let fill = "def attempt():\n    with open('/tmp/big', 'wb') as f:\n        for _ in range(100): f.write(b'x' * 1048576)\n    return 'written'";
    assert_eq!(outcome(&bench, fill, &json!(0)).await, "ENOSPC");
    let many = "def attempt():\n    for n in range(1000000): open('/tmp/%d' % n, 'w').close()\n    return 'written'";
    assert_eq!(outcome(&bench, many, &json!(0)).await, "ENOSPC");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_cannot_be_seen_or_touched() {
    let bench = Bench::new();
    let other = Function::python(
        "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'alive'\n",
    )
    .env("SECRET", "of the other");
    bench.invoke(&other, "0").await;
    let see =
        "def attempt():\n    return sorted(int(p) for p in os.listdir('/proc') if p.isdigit())";
    let seen = outcome(&bench, see, &json!(0)).await;
    assert_eq!(seen, json!([1, 2]), "its own first process and itself");
    let environments = "def attempt():\n    found = []\n    for p in os.listdir('/proc'):\n        if p.isdigit():\n            try: found.append(open('/proc/%s/environ' % p).read())\n            except OSError: pass\n    return 'of the other' in ''.join(found)";
    assert_eq!(outcome(&bench, environments, &json!(0)).await, false);
    let server = std::process::id();
    for (attempt, event) in [
        ("def attempt():\n    os.kill(given, 9)\n    return 'killed'", json!(server)),
        ("def attempt():\n    return call('ptrace', 16, given, 0, 0)", json!(server)),
        ("def attempt():\n    return call('ptrace', 16, 1, 0, 0)", json!(0)),
        ("def attempt():\n    return call('process_vm_readv', 1, None, 0, None, 0, 0)", json!(0)),
    ] {
        let got = outcome(&bench, attempt, &event).await;
        assert!(["ESRCH", "EPERM"].contains(&got.as_str().unwrap()), "{attempt}: {got}");
    }
    // Signals to its own first process change nothing.
    let init = "def attempt():\n    for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):\n        try: os.kill(1, s)\n        except OSError: pass\n    time.sleep(0.1)\n    return 'alive'";
    assert_eq!(outcome(&bench, init, &json!(0)).await, "alive");
    assert_eq!(bench.result(&other, "0").await, "alive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileges_cannot_be_had() {
    let bench = Bench::new();
    for attempt in [
        "return call('mount', b'tmp', b'/tmp', b'tmpfs', 0, None)",
        "return call('umount2', b'/proc', 2)",
        "return call('unshare', 0x10000000)",
        "return call('setns', 0, 0)",
        "return call('pivot_root', b'.', b'.')",
        "return call('chroot', b'/tmp')",
        "return call('sethostname', b'x', 1)",
        "return call('setuid', 0)",
        "return call('syscall', 272, 0x10000000)",
        "return call('syscall', 321, 0, 0, 0)",       // bpf
        "return call('syscall', 298, 0, 0, 0, 0, 0)", // perf_event_open
        "return call('syscall', 250, 0, 0, 0, 0, 0)", // keyctl
        "return call('syscall', 323, 0)",             // userfaultfd
        "return call('syscall', 425, 1, 0)",          // io_uring_setup
        "return call('syscall', 304, 0, 0, 0)",       // open_by_handle_at
        "return call('syscall', 56, 0x10000000 | 17, 0, 0, 0, 0)", // clone into a user namespace
        "return call('mknod', b'/tmp/sda', 0o60666, 0x800)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\n    return 'done'",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)\n    return 'done'",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)\n    return 'done'",
        "socket.socket(40, socket.SOCK_STREAM, 0)\n    return 'done'",
    ] {
        let got = outcome(&bench, &format!("def attempt():\n    {attempt}"), &json!(0)).await;
        assert!(["EPERM", "EACCES", "EINVAL"].contains(&got.as_str().unwrap()), "{attempt}: {got}");
        assert_ne!(got, "done", "{attempt}");
    }
    let state = "def attempt():\n    return [l.split() for l in open('/proc/self/status') if l.split(':')[0] in ('CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Groups')]";
    let state = outcome(&bench, state, &json!(0)).await;
    for line in state.as_array().unwrap() {
        let (name, value) = (line[0].as_str().unwrap(), line[1].as_str().unwrap_or(""));
        match name {
            "NoNewPrivs:" => assert_eq!(value, "1"),
            "Seccomp:" => assert_eq!(value, "2"),
            "Groups:" => assert!(value.is_empty() || value == "65534", "{value}"),
            _ => assert_eq!(value, "0000000000000000", "{name}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_processes_have_an_end() {
    let bench = Bench::new();
    let eat =
        hostile("def attempt():\n    kept = []\n    while True: kept.append(bytearray(8 << 20))")
            .memory(128)
            .timeout(20_000);
    let error = bench.failure(&eat, "0").await;
    assert_eq!(error["errorType"], "Runtime.OutOfMemory", "{error}");
    let bomb = "def attempt():\n    children = 0\n    try:\n        while children < 5000:\n            if os.fork() == 0:\n                time.sleep(60); os._exit(0)\n            children += 1\n    except OSError as error:\n        return [children, errno.errorcode[error.errno]]\n    return [children, 'no end']";
    let function = hostile(bomb).memory(1024).timeout(30_000);
    let got = bench.result(&function, "0").await;
    assert_eq!(got[1], "EAGAIN", "{got}");
    assert!(got[0].as_u64().unwrap() <= 1024, "{got}");
    // A thousand children are gone with their instance, and the machine is as before.
    let quick = hostile("def attempt():\n    return 'fine'");
    assert_eq!(bench.result(&quick, "0").await, "fine");
}

/// A server on the machine's loopback that answers everything with its name.
async fn service(name: &'static str) -> u16 {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(name.as_bytes()).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_s_loopback_is_another_one() {
    let endpoint = service("endpoint").await;
    let other = service("database").await;
    let bench = Bench::at(endpoint);
    let say = "def attempt():\n    s = socket.create_connection((given[0], given[1]), timeout=3)\n    return s.recv(100).decode()";
    assert_eq!(outcome(&bench, say, &json!(["127.0.0.1", endpoint])).await, "endpoint");
    assert_eq!(outcome(&bench, say, &json!(["127.0.0.1", other])).await, "ECONNREFUSED");
    for address in ["169.254.169.254", "0.0.0.1"] {
        let got = outcome(&bench, say, &json!([address, 80])).await;
        assert!(
            ["", "ECONNRESET", "EINVAL", "ENETUNREACH", "ECONNREFUSED"]
                .contains(&got.as_str().unwrap()),
            "{got}"
        );
    }
    // What a function serves on its own loopback, no other function sees.
    let listen = "def attempt():\n    s = socket.socket(); s.bind(('127.0.0.1', 8080)); s.listen(); globals()['kept'] = s\n    c = socket.create_connection(('127.0.0.1', 8080)); s.accept()[0].send(b'own'); return c.recv(10).decode()";
    assert_eq!(outcome(&bench, listen, &json!(0)).await, "own");
    assert_eq!(
        outcome(&bench, listen, &json!(0)).await,
        "own",
        "the port is free in every instance"
    );
    assert_eq!(outcome(&bench, say, &json!(["127.0.0.1", 8080])).await, "ECONNREFUSED");
    let gate = "def attempt():\n    s = socket.create_connection(('127.0.0.1', 61), timeout=3); s.send(b'x'); return s.recv(100).decode()";
    let got = outcome(&bench, gate, &json!(0)).await;
    assert!(["", "ECONNRESET"].contains(&got.as_str().unwrap()), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_leaves_running_ends_with_its_instance() {
    let bench = Bench::new();
    let function = hostile(
        "def attempt():\n    if given: os._exit(1)\n    return subprocess.Popen(['sleep', '4321'], start_new_session=True).pid > 0",
    );
    assert_eq!(bench.result(&function, "0").await, true);
    assert!(sleeps() >= 1);
    bench.failure(&function, "1").await;
    for _ in 0..50 {
        if sleeps() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the child outlived its instance");
}

/// How many processes of ours run `sleep 4321`.
fn sleeps() -> usize {
    let all = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with(b"sleep\x004321\0")).count()
}
