//! Keys derived from a secret, and a small memory of them: a client signs with one key for a whole day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Scope;

/// A secret narrowed to one day, region and service.
#[derive(Clone, Copy)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    pub fn derive(secret: &str, scope: &Scope) -> SigningKey {
        let day = hmac_sha256(format!("AWS4{secret}").as_bytes(), scope.date.as_bytes());
        let region = hmac_sha256(&day, scope.region.as_bytes());
        let service = hmac_sha256(&region, scope.service.as_bytes());
        SigningKey(hmac_sha256(&service, b"aws4_request"))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Equality in a time that does not depend on where the texts differ.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

const CACHED_KEYS_MAX: usize = 1024;

/// Derived keys by scope and secret. Emptied when full: deriving anew costs a microsecond.
#[derive(Default)]
pub struct KeyCache {
    keys: Mutex<HashMap<String, SigningKey>>,
}

impl KeyCache {
    pub fn get(&self, secret: &str, scope: &Scope) -> SigningKey {
        // A scope has three slashes whose parts hold none, so two entries never read the same.
        let mut entry = String::with_capacity(96 + secret.len());
        scope.push_to(&mut entry);
        entry.push('/');
        entry.push_str(secret);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&entry) {
            return *key;
        }
        if keys.len() >= CACHED_KEYS_MAX {
            keys.clear();
        }
        let key = SigningKey::derive(secret, scope);
        keys.insert(entry, key);
        key
    }
}
