//! Options of `sereno serve` that bound what clients may cost.

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sereno_gateway::Limits;

/// What clients may cost before they are cut off.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Limits of clients")]
pub struct ClientOptions {
    /// Connections at a time; further ones are answered 503. Default: half of what the system lets this process open,
    /// 10000 at most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    connections_max: Option<u32>,

    /// Seconds that a connection may take to send the head of its next request.
    #[arg(long, default_value_t = Limits::DEFAULT.head_s_max, value_parser = clap::value_parser!(u32).range(1..))]
    head_s_max: u32,

    /// Seconds that a body may stand still, on its way in or out.
    #[arg(long, default_value_t = Limits::DEFAULT.pause_s_max, value_parser = clap::value_parser!(u32).range(1..))]
    pause_s_max: u32,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        let Limits { head_s_max, pause_s_max, .. } = Limits::DEFAULT;
        ClientOptions { connections_max: None, head_s_max, pause_s_max }
    }
}

impl ClientOptions {
    pub fn limits(self) -> Limits {
        let files = files_max();
        let connections_max = self.connections_max.map_or_else(
            || {
                usize::try_from(files / 2)
                    .unwrap_or(usize::MAX)
                    .min(Limits::DEFAULT.connections_max)
            },
            |asked| usize::try_from(asked).unwrap_or(usize::MAX),
        );
        let (head_s_max, pause_s_max) = (self.head_s_max, self.pause_s_max);
        Limits { connections_max, head_s_max, pause_s_max, ..Limits::DEFAULT }
    }
}

/// Asks for as many open files as the system grants, and tells how many that are.
fn files_max() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let asked = Rlimit { current: now.maximum, maximum: now.maximum };
    let granted =
        if setrlimit(Resource::Nofile, asked).is_ok() { now.maximum } else { now.current };
    granted.unwrap_or(u64::MAX)
}
