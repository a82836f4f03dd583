//! Orders in the ledger's log: each is an entry of its own, written with its row, so that none vanishes, changes or comes from nowhere
//! without a trace. The row is what is obeyed; the entry shows that it is the one that was given.

use super::{Result, Store, from_json, json, log, millis};
use crate::domain::{Digest, Entry, ORDERS, Order, OrderId, Recorded, Seq};
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, Row as _};
use std::collections::BTreeMap;

/// Set once the orders from before there were such entries have theirs.
const MARK: &str = "orders_logged";

impl Store {
    /// The first thing in which the orders and their entries differ.
    pub async fn doctored_order(&self) -> Result<Option<String>> {
        // One statement: an order that is given meanwhile is in both, or in neither.
        let sql = "SELECT CAST(0 AS BIGINT) AS logged, id AS n, topic, kind, at, body FROM orders UNION ALL \
             SELECT CAST(1 AS BIGINT), seq, '', '', at, body FROM entries WHERE incident_id = $1 ORDER BY logged, n";
        let before = self.has_unlogged_orders().await?;
        let rows = sqlx::query(sql).bind(ORDERS.0).fetch_all(&self.read).await?;
        let mut given = BTreeMap::new();
        for row in &rows {
            let (n, at, body): (i64, i64, String) = (row.try_get("n")?, row.try_get("at")?, row.try_get("body")?);
            let wrong = match row.try_get::<i64, _>("logged")? {
                0 => match read(OrderId(n), &body, row.try_get("topic")?, row.try_get("kind")?, at) {
                    Ok(entry) => {
                        given.insert(n, (entry, at));
                        None
                    }
                    Err(wrong) => Some(wrong),
                },
                _ => differs(&mut given, n, &body, at),
            };
            if wrong.is_some() {
                return Ok(wrong);
            }
        }
        let never = given.keys().next().filter(|_| !before);
        Ok(never.map(|n| format!("{} was never logged: it was put there by hand, or by an older version's command", OrderId(*n))))
    }

    async fn has_unlogged_orders(&self) -> Result<bool> {
        Ok(sqlx::query("SELECT value FROM identity WHERE name = $1").bind(MARK).fetch_optional(&self.read).await?.is_none())
    }

    /// Orders from before get their entries, once. What cannot be read is left for whoever compares.
    pub(super) async fn log_the_orders_from_before(&self) -> Result<()> {
        if !self.has_unlogged_orders().await? {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        let mark = "INSERT INTO identity (name, value) VALUES ($1, 'yes') ON CONFLICT (name) DO NOTHING";
        let first = sqlx::query(mark).bind(MARK).execute(&mut *transaction).await?.rows_affected() == 1;
        let logged = sqlx::query("SELECT body FROM entries WHERE incident_id = $1").bind(ORDERS.0).fetch_all(&mut *transaction).await?;
        let logged: Vec<Entry> = logged.iter().map(|row| from_json(row.try_get("body")?, "entries of orders")).collect::<Result<_>>()?;
        let rows = sqlx::query("SELECT id, body FROM orders ORDER BY id").fetch_all(&mut *transaction).await?;
        for row in rows.iter().filter(|_| first) {
            let (id, body): (i64, String) = (row.try_get("id")?, row.try_get("body")?);
            let there = logged.iter().any(|entry| matches!(entry, Entry::Ordered { order, .. } if order.0 == id));
            if let (Ok(order), false) = (from_json(&body, "orders"), there) {
                append(&mut transaction, &order, &body).await?;
            }
        }
        transaction.commit().await
    }
}

/// Part of the transaction that writes the order's row with this text.
pub(super) async fn append(connection: &mut AnyConnection, order: &Order, text: &str) -> Result<()> {
    let sql = "SELECT COALESCE(MAX(seq), 0) + 1 AS seq FROM entries WHERE incident_id = $1";
    let seq: Seq = sqlx::query(sql).bind(ORDERS.0).fetch_one(&mut *connection).await?.try_get("seq")?;
    log::append(connection, ORDERS, &[Recorded { seq, at: order.at, entry: entry(order, text) }]).await
}

fn entry(order: &Order, text: &str) -> Entry {
    let text = Digest(hex::encode(Sha256::digest(text)));
    Entry::Ordered { order: order.id, given: order.kind.clone(), by: order.by.clone(), text }
}

/// The entry of an order's row, whose columns must say what its text says.
fn read(id: OrderId, body: &str, topic: String, kind: String, at: i64) -> std::result::Result<String, String> {
    let order: Order = from_json(body, "its row").map_err(|e| format!("{id} is not what was given: {e}"))?;
    if (order.id, order.kind.topic(), order.kind.word(), millis(order.at)) != (id, topic, kind.as_str(), at) {
        return Err(format!("{id} is not what was given: its row and its text speak of different orders"));
    }
    json(&entry(&order, body), "its entry").map_err(|e| format!("{id}: {e}"))
}

/// What is wrong with the row of an order that has this entry.
fn differs(given: &mut BTreeMap<i64, (String, i64)>, seq: Seq, body: &str, at: i64) -> Option<String> {
    let name = format!("{ORDERS}/{seq}");
    let Ok(logged @ Entry::Ordered { order, .. }) = &from_json::<Entry>(body, &name) else {
        return Some(format!("{name} is no order: expected one"));
    };
    match given.remove(&order.0) {
        None => Some(format!("an order is gone from the store, and {name} has it: {logged}")),
        Some((expected, then)) if expected != body || then != at => {
            Some(format!("{order} is not what was given: {name} has another one: {logged}"))
        }
        Some(_) => None,
    }
}
