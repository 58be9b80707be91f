//! What is made ahead of need, so that a start costs less: zygotes of Python, waiting workers of Node.js, classes of Java.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::helper::Helper;
use crate::interpreters::{Interpreter, Language};
use crate::plan::prefixes;
use crate::pool::Generic;
use crate::process::spawn;
use crate::start::Starter;

/// About what Node.js needs to start.
const GENERIC_PAUSE: Duration = Duration::from_millis(20);
/// What `fork` needs of the interpreter's C library and socket module.
const ZYGOTE_PYTHON_MIN: (u32, u32, u32) = (3, 6, 0);

impl Starter {
    /// Does what makes the next start of this runtime cheap.
    pub async fn expect(self: &Arc<Self>, runtime: &str) {
        let Ok(choice) = self.interpreters().await.choose(runtime) else { return };
        let Ok(helper) = self.helper().await else { return };
        match choice.interpreter.language {
            Language::Python => self.want_zygote(&helper, &choice.interpreter, false).await,
            Language::NodeJs => self.fill_pool(&choice.interpreter).await,
            Language::Java => self.rehearse_java(&choice.interpreter).await,
            _ => {}
        }
    }

    async fn want_zygote(&self, helper: &Helper, interpreter: &Interpreter, heavy: bool) {
        if !has_zygote(interpreter) {
            return;
        }
        let key = zygote_key(interpreter, heavy);
        let modules: &[&str] =
            if heavy { &["boto3", "boto3.session", "botocore.client"] } else { &[] };
        let order = json!({
            "op": "zygote", "key": key, "root": prefixes(interpreter),
            "argv": [interpreter.executable, "-I", "-S", "/var/runtime/python/zygote.py"],
            "env": ["LANG=C.UTF-8"],
            "settings": {"modules": modules},
        });
        if let Err(error) = helper.start_zygote(&key, order).await {
            eprintln!("sereno: cannot start a zygote: {error}");
        }
    }

    /// After a start: what the next one of this kind will want.
    pub fn prepare_next(self: &Arc<Self>, interpreter: Interpreter, heavy: bool) {
        let starter = Arc::clone(self);
        tokio::spawn(async move {
            match interpreter.language {
                Language::Python => {
                    let Ok(helper) = starter.helper().await else { return };
                    starter.want_zygote(&helper, &interpreter, false).await;
                    if heavy {
                        starter.want_zygote(&helper, &interpreter, true).await;
                    }
                }
                Language::NodeJs => starter.fill_pool(&interpreter).await,
                Language::Java => starter.rehearse_java(&interpreter).await,
                _ => {}
            }
        });
    }

    /// Has an archive of our bootstrap's classes made, unless there is one.
    async fn rehearse_java(self: &Arc<Self>, interpreter: &Interpreter) {
        let made = async {
            let helper = self.helper().await?;
            let kit = self.java_kit(interpreter).await.map_err(io::Error::other)?;
            kit.archive(&helper, interpreter).await
        };
        if let Err(error) = made.await {
            eprintln!("sereno: Java starts slower than it could: {error}");
        }
    }

    async fn fill_pool(self: &Arc<Self>, interpreter: &Interpreter) {
        while self.pool.begin(&interpreter.executable, self.config.generic_workers) {
            match self.make_generic(interpreter).await {
                Ok(generic) => {
                    self.pool.done(&interpreter.executable, Some(generic));
                    // It starts by itself now; the next one shall not take the other processors too.
                    tokio::time::sleep(GENERIC_PAUSE).await;
                }
                Err(error) => {
                    self.pool.done(&interpreter.executable, None);
                    eprintln!("sereno: cannot start a waiting worker: {error}");
                    return;
                }
            }
        }
    }

    async fn make_generic(self: &Arc<Self>, interpreter: &Interpreter) -> io::Result<Generic> {
        let helper = self.helper().await?;
        let order = json!({
            "op": "spawn", "id": helper.next_number(), "root": prefixes(interpreter), "cwd": "/",
            "argv": [interpreter.executable, "/var/runtime/nodejs/bootstrap.js"],
            "env": ["PATH=/usr/bin:/bin", "LANG=en_US.UTF-8", "TZ=:UTC"],
        });
        spawn(&helper, order).await
    }
}

pub fn has_zygote(interpreter: &Interpreter) -> bool {
    interpreter.language == Language::Python && interpreter.version >= ZYGOTE_PYTHON_MIN
}

pub fn zygote_key(interpreter: &Interpreter, heavy: bool) -> String {
    format!("{}{}", interpreter.executable.display(), if heavy { "+boto3" } else { "" })
}
