//! A write transaction that is committed, or else gone together with its connection. SQLite ends a transaction by itself when
//! the disk is full; sqlx' own count of transactions does not notice, and what it calls a commit from then on may only release a
//! savepoint of a transaction that is never committed: acknowledged and lost. So a connection that did not commit is never used
//! again, and sqlx' transactions are not used at all. Where PostgreSQL's answer to a commit is lost, it may have happened: whoever wrote
//! reads before it writes again.

use super::{Base, Result, Store, postgres};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection};
use std::ops::{Deref, DerefMut};

#[derive(Debug)]
pub(super) struct Transaction {
    connection: PoolConnection<Any>,
    committed: bool,
}

impl Store {
    /// Takes the store's one write lock at once: what is read in the transaction is still true when it is written.
    pub(super) async fn begin(&self) -> Result<Transaction> {
        let mut transaction = Transaction { connection: self.write.acquire().await?, committed: false };
        match self.base {
            Base::Sqlite => sqlx::query("BEGIN IMMEDIATE").execute(&mut *transaction).await?,
            // Two statements on one way there and back.
            Base::Postgres { .. } => sqlx::raw_sql(postgres::BEGIN).execute(&mut *transaction).await?,
        };
        Ok(transaction)
    }
}

impl Transaction {
    pub async fn commit(mut self) -> Result<()> {
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Transaction {
    /// Closing the connection rolls back.
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Transaction {
    type Target = AnyConnection;
    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}
