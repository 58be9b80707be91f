//! `sereno serve`: puts the parts together and listens.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sereno_base::{AccountId, Region};
use sereno_gateway::{Gateway, HyperClient, RootKeys};
use sereno_kernel::Cloud;
use sereno_sandbox::LocalSandbox;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clients::ClientOptions;
use crate::data_dir::DataDir;
use crate::place::{DurabilityOption, EngineOption, FolderOptions, PlaceOptions};
use crate::{Outcome, control, services};

const METER_FLUSH_EVERY: Duration = Duration::from_secs(10);

#[derive(Args)]
#[command(after_help = "Examples:
  sereno serve
  sereno serve --listen 127.0.0.1:4566 --data ./cloud
  sereno serve --listen 0.0.0.0:4566 --account 123456789012 --region eu-west-1
  sereno serve --store postgres://sereno:secret@db/sereno --objects http://s3:8333/sereno")]
pub struct Options {
    /// Address and port to listen on; may be given several times.
    #[arg(long, default_value = "127.0.0.1:4566")]
    listen: Vec<SocketAddr>,

    #[command(flatten)]
    place: PlaceOptions,

    #[command(flatten)]
    folder: FolderOptions,

    /// The account that requests belong to unless their key says otherwise.
    #[arg(long, default_value = "000000000000")]
    account: AccountId,

    /// The region of requests that name none.
    #[arg(long, default_value = "us-east-1", value_parser = parse_region)]
    region: Region,

    /// What an answered write has survived. A database decides this itself.
    #[arg(long, value_enum, default_value_t = DurabilityOption::Durable, conflicts_with = "store")]
    durability: DurabilityOption,

    /// Accept the keys that everybody knows (test/test) and the /_sereno controls.
    /// Default: yes if every --listen is on loopback; refused otherwise.
    #[arg(long, value_enum)]
    development: Option<Switch>,

    #[command(flatten)]
    clients: ClientOptions,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Options {
    /// A development server at one address, as `sereno up` starts it.
    pub fn development_at(address: SocketAddr, data: Option<PathBuf>) -> Options {
        Options {
            listen: vec![address],
            place: PlaceOptions { data, ..PlaceOptions::default() },
            folder: FolderOptions { engine: EngineOption::Fjall },
            account: AccountId::DEFAULT,
            region: Region::US_EAST_1,
            durability: DurabilityOption::Durable,
            development: None,
            clients: ClientOptions::default(),
        }
    }
}

fn parse_region(name: &str) -> Result<Region, String> {
    Region::parse(name).ok_or_else(|| format!("there is no region {name}"))
}

pub async fn serve(options: Options) -> Outcome {
    let development = development(&options)?;
    let listeners = listen(&options.listen).await?;
    let endpoint = endpoint(&options.listen, &listeners)?;
    let place = options.place.open(options.folder.engine, options.durability).await?;
    let data = DataDir::open(options.place.folder())?;
    let is_shared = options.place.store.is_some();
    let _lock = is_shared.then(|| data.lock()).transpose()?;
    let server_key = place.keys.server_key().await?;
    let (root, root_is_new) = place.keys.root_key(options.account).await?;

    let mut builder = Cloud::builder(Arc::clone(&place.store), Arc::clone(&place.blobs))
        .home(options.account, options.region)
        .server_key(server_key)
        .endpoint(endpoint.clone())
        .http(Arc::new(HyperClient))
        .sandbox(Arc::new(sandbox(data.path(), Some(&endpoint))?));
    if !is_shared {
        builder = builder.exclusive_store();
    }
    let cloud = services::register(builder, &place.store, server_key).build();
    cloud.start_tasks().await.map_err(|error| format!("cannot read the store: {error}"))?;
    tokio::spawn(flush_meter(Arc::clone(&cloud)));
    if !is_shared {
        control::listen(data.path(), &place, &cloud);
    }

    let roots = RootKeys { keys: vec![root.clone()], development };
    let gateway = Arc::new(Gateway::new(Arc::clone(&cloud), roots, options.clients.limits()));
    if root_is_new && !development {
        println!("Root key of account {} (shown once):", options.account);
        println!("  aws_access_key_id     = {}", root.access_key_id);
        println!("  aws_secret_access_key = {}", root.secret_access_key);
    }
    println!("Sereno is ready at {endpoint}");
    println!("  data   {}", place.name);
    if development {
        println!("  keys   test / test (development mode: this machine only)");
        println!("  try    aws --endpoint-url {endpoint} sts get-caller-identity");
    }
    run_until_stopped(gateway, listeners).await;
    cloud.flush_meter().await.map_err(|error| error.to_string())
}

/// What runs functions, with its files in the data folder and the interpreters of this user's PATH. `endpoint`: what their
/// own networks lead to.
pub fn sandbox(data: &Path, endpoint: Option<&str>) -> Result<LocalSandbox, String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let mut config = sereno_sandbox::Config::new(data.join("sandbox"), program);
    if let Ok(path) = std::env::var("PATH") {
        config.search_path = path;
    }
    config.home = std::env::var_os("HOME").map(PathBuf::from);
    let address = endpoint.and_then(|endpoint| endpoint.strip_prefix("http://"));
    config.endpoint = address.and_then(|address| address.parse().ok());
    config.sdk = crate::sdk::folder(data);
    Ok(LocalSandbox::new(config))
}

/// Development keys let everyone in who can reach the port: only this machine may.
fn development(options: &Options) -> Result<bool, String> {
    let open = options.listen.iter().find(|address| !address.ip().is_loopback());
    match (options.development, open) {
        (Some(Switch::On), Some(address)) => Err(format!(
            "--development on would let everyone in who can reach {address}.\n\
             Listen on 127.0.0.1 only, or leave the option out and use the root key."
        )),
        (Some(switch), _) => Ok(switch == Switch::On),
        (None, open) => Ok(open.is_none()),
    }
}

async fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            format!(
                "cannot listen on {address}: {error}\n\
                 Is another server running there? Choose another port: --listen 127.0.0.1:4567"
            )
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Where this server's own functions reach it: the first address, or loopback if that is every address.
fn endpoint(asked: &[SocketAddr], listeners: &[TcpListener]) -> Result<String, String> {
    let first = listeners.first().ok_or("nothing to listen on")?;
    let bound = first.local_addr().map_err(|error| error.to_string())?;
    let ip = asked.first().map_or(bound.ip(), SocketAddr::ip);
    let ip = match ip {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    Ok(format!("http://{}", SocketAddr::new(ip, bound.port())))
}

async fn run_until_stopped(gateway: Arc<Gateway>, listeners: Vec<TcpListener>) {
    let (stop, stopped) = watch::channel(false);
    let mut servers = tokio::task::JoinSet::new();
    for listener in listeners {
        servers.spawn(sereno_gateway::serve(Arc::clone(&gateway), listener, stopped.clone()));
    }
    wait_for_signal().await;
    stop.send_replace(true);
    while servers.join_next().await.is_some() {}
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

async fn flush_meter(cloud: Arc<Cloud>) {
    loop {
        tokio::time::sleep(METER_FLUSH_EVERY).await;
        if let Err(error) = cloud.flush_meter().await {
            eprintln!("the meter could not be written, it will be tried again: {error}");
        }
    }
}
