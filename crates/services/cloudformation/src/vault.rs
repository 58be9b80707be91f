//! Sealing: what a template may hold in secret (parameter values, resolved properties) is not kept readable.
//!
//! Form: 16 random bytes, the text xored with HMAC-SHA256(key, nonce, counter) blocks, 32 bytes of
//! HMAC-SHA256 over nonce and text. Two keys are derived from the installation's key for this purpose alone.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sereno_kernel::{Ctx, Error, Result};
use sha2::Sha256;

const NONCE: usize = 16;
const TAG: usize = 32;

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn keys(ctx: &Ctx) -> ([u8; 32], [u8; 32]) {
    (ctx.derive_key("cloudformation/seal"), ctx.derive_key("cloudformation/check"))
}

fn mask(key: &[u8; 32], nonce: &[u8], text: &mut [u8]) {
    for (counter, block) in text.chunks_mut(32).enumerate() {
        let stream = mac(key, &[nonce, &(counter as u64).to_le_bytes()]);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
}

/// Makes `text` unreadable without the installation's key.
pub fn seal(ctx: &Ctx, text: &str) -> Bytes {
    let (seal, check) = keys(ctx);
    let mut sealed = vec![0; NONCE];
    ctx.fill_random(&mut sealed);
    sealed.extend_from_slice(text.as_bytes());
    let (nonce, body) = sealed.split_at_mut(NONCE);
    mask(&seal, nonce, body);
    let tag = mac(&check, &[&sealed]);
    sealed.extend_from_slice(&tag);
    sealed.into()
}

/// Reads what [`seal`] made; nothing sealed is nothing.
pub fn unseal(ctx: &Ctx, sealed: &[u8]) -> Result<String> {
    if sealed.is_empty() {
        return Ok(String::new());
    }
    let broken = || {
        Error::internal(
            "cloudformation: a sealed value cannot be read; was the server's key changed?",
        )
    };
    let (seal, check) = keys(ctx);
    let body_end = sealed.len().checked_sub(TAG).filter(|end| *end >= NONCE).ok_or_else(broken)?;
    let (masked, tag) = sealed.split_at(body_end);
    if mac(&check, &[masked]) != tag {
        return Err(broken());
    }
    let mut body = masked[NONCE..].to_vec();
    mask(&seal, &masked[..NONCE], &mut body);
    String::from_utf8(body).map_err(|_| broken())
}
