//! The front door: sockets, signatures and names. Bytes come in, a call goes to the kernel, bytes go out.
//!
//! [`life`] shows the life of a request as a list, in order. Knows nothing of what any service does.

mod answer;
mod arrival;
mod body;
mod chunked;
mod development;
mod http_client;
mod identify;
mod life;
mod naming;
mod patience;
mod presigned_v2;
mod refusal;
mod server;
pub mod sigv4;
mod tls_client;

pub use http_client::HyperClient;
pub use identify::{RootKey, RootKeys};
pub use life::Gateway;
pub use patience::Limits;
pub use server::serve;
