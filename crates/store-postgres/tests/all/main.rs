//! The distributed store on a PostgreSQL server of the tests' own.

#![allow(clippy::unwrap_used)] // tests, and what they call

mod objects;
mod server;
mod several;

mod postgres {
    use crate::server::schema;
    use sereno_store::suite::Opened;
    use sereno_store_postgres::{Options, PostgresStore};

    async fn open() -> Option<Opened> {
        let url = schema()?;
        Some(Opened::new(PostgresStore::open(&url, &Options::default()).await.expect("opens")))
    }

    sereno_store::suite!(open);
}
