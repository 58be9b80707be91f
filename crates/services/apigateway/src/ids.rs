//! Ids as API Gateway makes them: lower-case letters and digits.

use sereno_kernel::Ctx;

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const KEY_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Of an API, a root resource, an API key.
pub fn long(ctx: &Ctx) -> String {
    ctx.random_id(ALPHABET, 10)
}

/// Of everything else.
pub fn short(ctx: &Ctx) -> String {
    ctx.random_id(ALPHABET, 6)
}

/// The value of an API key.
pub fn key_value(ctx: &Ctx) -> String {
    ctx.random_id(KEY_ALPHABET, 40)
}
