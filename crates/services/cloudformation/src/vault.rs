//! What a template may hold in secret (parameter values, resolved properties) is not kept readable.

use bytes::Bytes;
use sereno_kernel::{Ctx, Error, Result};

const PURPOSE: &str = "cloudformation";

/// Makes `text` unreadable without the installation's key.
pub fn seal(ctx: &Ctx, text: &str) -> Bytes {
    ctx.seal(PURPOSE, text.as_bytes())
}

/// Reads what [`seal`] made; nothing sealed is nothing.
pub fn unseal(ctx: &Ctx, sealed: &[u8]) -> Result<String> {
    if sealed.is_empty() {
        return Ok(String::new());
    }
    let text = ctx.unseal(PURPOSE, sealed).and_then(|text| String::from_utf8(text).ok());
    text.ok_or_else(|| {
        Error::internal(
            "cloudformation: a sealed value cannot be read; was the server's key changed?",
        )
    })
}
