//! A function's process comes to be in its jail, and is connected: its network, the APIs of the platform, its log.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde_json::{Value, json};
use sereno_kernel::sandbox::InvokeFailure;
use tokio::time::Instant;

use crate::environment;
use crate::extensions::Extensions;
use crate::frames;
use crate::helper::Helper;
use crate::instance::{Channel, Instance};
use crate::interpreters::Language;
use crate::jail::RUNTIME_API_PORT;
use crate::journal::stream_name;
use crate::network::{Network, Reach};
use crate::plan::Plan;
use crate::pool::Generic;
use crate::process::{hold, spawn};
use crate::runtime_api::RuntimeApi;
use crate::start::Starter;
use crate::telemetry::Inside;

/// A runtime that waits until extensions have registered.
pub struct Held {
    pub order: Value,
    pub fds: Vec<OwnedFd>,
}

impl Held {
    pub async fn run(self, helper: &Helper, id: u64) -> io::Result<()> {
        let fds: Vec<BorrowedFd<'_>> = self.fds.iter().map(AsFd::as_fd).collect();
        helper.run(id, self.order, &fds).await
    }
}

impl Starter {
    pub async fn launch(self: &Arc<Self>, plan: &Plan<'_>) -> Result<Instance, InvokeFailure> {
        let cannot = |error: io::Error| {
            InvokeFailure::CannotRun(format!("An instance cannot be started: {error}"))
        };
        let helper = self.helper().await.map_err(cannot)?;
        let stream = stream_name(&plan.function.version);
        let extensions = plan.extensions();
        if environment::needs_own_start(&plan.spec.environment) || !extensions.is_empty() {
            return self.exec(plan, &helper, &stream, extensions).await.map_err(cannot);
        }
        if let Some(generic) = self.generic_for(plan) {
            match self.assign(plan, generic, &stream).await {
                Ok(instance) => return Ok(instance),
                // It may have died while it waited.
                Err(error) => eprintln!("sereno: a waiting worker could not be used: {error}"),
            }
        }
        if let Some(key) = self.zygote_for(plan, &helper).await {
            match self.fork(plan, &helper, &key, &stream).await {
                Ok(instance) => return Ok(instance),
                Err(error) => eprintln!("sereno: a zygote could not fork: {error}"),
            }
        }
        self.exec(plan, &helper, &stream, extensions).await.map_err(cannot)
    }

    async fn fork(
        &self,
        plan: &Plan<'_>,
        helper: &Arc<Helper>,
        key: &str,
        stream: &str,
    ) -> io::Result<Instance> {
        let mut order = plan.order(helper.next_number());
        order["fork"] = json!(key);
        let process = spawn(helper, order).await?;
        self.settle(plan, process, stream, api_of(plan, Vec::new())).await
    }

    async fn exec(
        &self,
        plan: &Plan<'_>,
        helper: &Arc<Helper>,
        stream: &str,
        extensions: Vec<String>,
    ) -> io::Result<Instance> {
        let mut order = plan.order(helper.next_number());
        let mut api = api_of(plan, extensions.clone());
        let speaks = plan.language == Language::Provided || !extensions.is_empty();
        let address = if speaks && !helper.own_network() {
            Some(api.listen().await?.to_string())
        } else {
            runtime_api_address(helper)
        };
        let variables = environment::variables(&plan.place(stream, address.as_deref()));
        let text = |(name, value): (&String, &String)| format!("{name}={value}");
        order["argv"] = json!(plan.arguments());
        order["env"] = variables.iter().map(text).collect();
        order["cwd"] = json!("/var/task");
        if extensions.is_empty() {
            let process = spawn(helper, order).await?;
            return self.settle(plan, process, stream, api).await;
        }
        let env: Vec<String> = variables
            .iter()
            .filter(|(name, _)| environment::is_for_extensions(name))
            .map(text)
            .collect();
        let (process, fds) = hold(helper, order.clone()).await?;
        let mut instance = self.settle(plan, process, stream, api).await?;
        for name in extensions {
            let program = format!("/opt/extensions/{name}");
            let order = json!({"extension": true, "argv": [program], "env": env, "cwd": "/"});
            helper.run(instance.id, order, &[fds[0].as_fd()]).await?;
        }
        instance.held = Some(Held { order, fds });
        Ok(instance)
    }

    async fn assign(
        &self,
        plan: &Plan<'_>,
        generic: Generic,
        stream: &str,
    ) -> io::Result<Instance> {
        let mut order = plan.order(generic.id);
        order["op"] = json!("assign");
        generic.helper.assign(generic.id, order).await?;
        self.settle(plan, generic, stream, api_of(plan, Vec::new())).await
    }

    /// A process in its jail becomes this function's instance: network, settings, log.
    async fn settle(
        &self,
        plan: &Plan<'_>,
        mut process: Generic,
        stream: &str,
        server: RuntimeApi,
    ) -> io::Result<Instance> {
        let api = server.conversation();
        api.telemetry.connect(Inside { helper: Arc::clone(&process.helper), id: process.id });
        let reach = Reach {
            endpoint: self.config.endpoint,
            internet: plan.spec.internet,
            runtime_api: Some(Arc::clone(&api)),
        };
        let gate = process.handles.gate.take();
        let network = gate.map(|gate| Network::serve(gate, reach)).transpose()?;
        let (channel, aside) = if plan.language == Language::Provided {
            (Channel::Http(server), None)
        } else {
            let settings = plan.settings(stream, runtime_api_address(&process.helper).as_deref());
            frames::send_settings(&mut process.to, settings.to_string().as_bytes()).await?;
            (Channel::Frames { to: process.to, from: process.from }, Some(server))
        };
        Ok(Instance {
            id: process.id,
            helper: process.helper,
            handles: process.handles,
            ended: process.ended,
            channel,
            _aside: aside,
            _network: network,
            output: process.output,
            terms: plan.terms(stream),
            recorder: plan.recorder(stream, Arc::clone(&api)),
            api,
            held: None,
            init_us: None,
            frozen: false,
            born: Instant::now(),
            heavy_modules: false,
        })
    }
}

fn api_of(plan: &Plan<'_>, extensions: Vec<String>) -> RuntimeApi {
    let custom = plan.language == Language::Provided;
    RuntimeApi::new(custom, Extensions::new(plan.about(), extensions))
}

/// As AWS tells it, also to runtimes that do not need it. Where the machine's network is shared there is none.
fn runtime_api_address(helper: &Helper) -> Option<String> {
    helper.own_network().then(|| format!("127.0.0.1:{RUNTIME_API_PORT}"))
}
