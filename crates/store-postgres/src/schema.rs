//! The tables, and bringing them into being.

use crate::pool::error;
use sereno_store::{Result, StoreError};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const FORMAT: i32 = 2;

/// The key's columns are explained in `keys.rs`. Counters are values of 8 bytes, little endian;
/// PostgreSQL's own functions are big endian, hence the reversals.
const TABLES: &str = r"
CREATE TABLE IF NOT EXISTS kv (
    p bytea NOT NULL,
    s bytea NOT NULL,
    h bytea NOT NULL,
    t bytea NOT NULL,
    q bytea,
    ver bigint NOT NULL,
    v bytea NOT NULL,
    PRIMARY KEY (p, s, h)
);
CREATE SEQUENCE IF NOT EXISTS kv_version;
CREATE TABLE IF NOT EXISTS kv_secret (name text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE IF NOT EXISTS kv_format (format int PRIMARY KEY);
CREATE OR REPLACE FUNCTION kv_counter(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT substring(b from 8 for 1) || substring(b from 7 for 1) || substring(b from 6 for 1)
        || substring(b from 5 for 1) || substring(b from 4 for 1) || substring(b from 3 for 1)
        || substring(b from 2 for 1) || substring(b from 1 for 1)
    FROM (SELECT int8send(n) AS b) AS big_endian
$$;
-- A value that is no counter fails as an index out of range.
CREATE OR REPLACE FUNCTION kv_number(c bytea) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT get_byte(c, CASE octet_length(c) WHEN 8 THEN 0 ELSE -1 END)::bigint
        | (get_byte(c, 1)::bigint << 8) | (get_byte(c, 2)::bigint << 16)
        | (get_byte(c, 3)::bigint << 24) | (get_byte(c, 4)::bigint << 32)
        | (get_byte(c, 5)::bigint << 40) | (get_byte(c, 6)::bigint << 48)
        | (get_byte(c, 7)::bigint << 56)
$$;
-- Wraps around at 64 bits.
CREATE OR REPLACE FUNCTION kv_sum(a bytea, b bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT kv_counter((mod(kv_number(a)::numeric + kv_number(b)::numeric + 27670116110564327424,
        18446744073709551616) - 9223372036854775808)::bigint)
$$;
";

/// Creates what is missing; refuses another format. Several servers may do so at once.
pub async fn prepare(client: &Client) -> Result<()> {
    for attempt in 0.. {
        match create(client).await {
            Ok(()) => break,
            Err(failed) if attempt < 20 && is_race(&failed) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(failed) => return Err(error(&failed)),
        }
    }
    let found = client.query("SELECT format FROM kv_format", &[]).await;
    let formats: Vec<i32> =
        found.map_err(|failed| error(&failed))?.iter().map(|row| row.get(0)).collect();
    if formats != [FORMAT] {
        return Err(StoreError::Unavailable(format!(
            "the database has the formats {formats:?}, this version reads {FORMAT}"
        )));
    }
    Ok(())
}

async fn create(client: &Client) -> std::result::Result<(), tokio_postgres::Error> {
    // Nothing is changed, and no lock taken, where all is there.
    if client.query_opt("SELECT FROM kv_format LIMIT 1", &[]).await.is_ok_and(|row| row.is_some()) {
        return Ok(());
    }
    client.batch_execute(TABLES).await?;
    let format = "INSERT INTO kv_format SELECT $1 WHERE NOT EXISTS (SELECT FROM kv_format)";
    client.execute(format, &[&FORMAT]).await?;
    Ok(())
}

/// IF NOT EXISTS is no protection against another server that is creating the same.
fn is_race(failed: &tokio_postgres::Error) -> bool {
    let races = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::DUPLICATE_FUNCTION,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::INTERNAL_ERROR, // "tuple concurrently updated"
    ];
    failed.code().is_some_and(|code| races.contains(code))
}
