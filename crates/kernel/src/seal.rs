//! Sealing: what shall not lie readable in the store (function environments, template secrets).
//!
//! Form: 16 random bytes, the text xored with HMAC-SHA256(key, nonce, counter) blocks, 32 bytes of
//! HMAC-SHA256 over nonce and text. Two keys per purpose are derived from the installation's key.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Ctx;

const NONCE: usize = 16;
const TAG: usize = 32;

impl Ctx {
    /// Makes `text` unreadable without the installation's key.
    pub fn seal(&self, purpose: &str, text: &[u8]) -> Bytes {
        let (seal, check) = self.sealing_keys(purpose);
        let mut sealed = vec![0; NONCE];
        self.fill_random(&mut sealed);
        sealed.extend_from_slice(text);
        let (nonce, body) = sealed.split_at_mut(NONCE);
        mask(&seal, nonce, body);
        let tag = mac(&check, &[&sealed]);
        sealed.extend_from_slice(&tag);
        sealed.into()
    }

    /// Reads what [`Ctx::seal`] made for the same purpose; `None`: it was changed, or the key was.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (seal, check) = self.sealing_keys(purpose);
        let body_end = sealed.len().checked_sub(TAG).filter(|end| *end >= NONCE)?;
        let (masked, tag) = sealed.split_at(body_end);
        if mac(&check, &[masked]) != tag {
            return None;
        }
        let mut body = masked[NONCE..].to_vec();
        mask(&seal, &masked[..NONCE], &mut body);
        Some(body)
    }

    fn sealing_keys(&self, purpose: &str) -> ([u8; 32], [u8; 32]) {
        (self.derive_key(&format!("{purpose}/seal")), self.derive_key(&format!("{purpose}/check")))
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn mask(key: &[u8; 32], nonce: &[u8], text: &mut [u8]) {
    for (counter, block) in text.chunks_mut(32).enumerate() {
        let stream = mac(key, &[nonce, &(counter as u64).to_le_bytes()]);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
}
