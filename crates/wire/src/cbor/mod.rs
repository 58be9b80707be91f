//! CBOR as smithy-rpc-v2 speaks it. No service of ours is called this way by default, but clients
//! may choose it where the model offers it.

mod read;
mod write;

pub use read::CborReader;
pub use write::CborWriter;
