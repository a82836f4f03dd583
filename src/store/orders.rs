//! Orders of humans: appended by doors, to the ledger's log too, and read by whoever judges. Giving one checks that there is something to
//! order.

use super::sums::sum;
use super::{Point, Result, Store, StoreError, approvals, from_json, json, millis, ordered, outbox, pass, trust};
use crate::domain::{IncidentId, Order, OrderId, OrderKind, Principal, Proposer, Reason, ServiceName, Time};
use crate::safety::NotAllowed;
use sqlx::{AnyConnection, Row};

#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("there is no {0}")]
    NoIncident(IncidentId),
    #[error("{0} is over already")]
    Over(IncidentId),
    #[error("{0} has an action under way ({1}): try again when it has ended")]
    UnderWay(IncidentId, String),
    #[error("nothing is halted by an order")]
    NotHalted,
    #[error("nobody has {0} in hand")]
    NotInHand(ServiceName),
    #[error("the breaker of {0} is not open")]
    NotOpen(Proposer),
    #[error("expected a time to come, {0} is over")]
    Past(Time),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OrderError {
    fn from(e: sqlx::Error) -> Self {
        Self::Store(e.into())
    }
}

/// The latest order on each topic, and a number that grows with each order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latest {
    pub orders: Vec<Order>,
    pub count: i64,
}

impl Store {
    /// Durable when this returns, and seen by the next judgement, in whatever process.
    pub async fn order(&self, kind: OrderKind, by: Principal, reason: Reason, now: Time) -> std::result::Result<Order, OrderError> {
        if let OrderKind::CloseIncident { incident } = &kind {
            self.may_close(*incident).await?;
        }
        let mut transaction = self.begin().await?;
        check(&mut transaction, &kind, now).await?;
        let sql = "INSERT INTO orders (topic, kind, at, body) VALUES ($1, $2, $3, '') RETURNING id";
        let query = sqlx::query(sql).bind(kind.topic()).bind(kind.word()).bind(millis(now));
        let id = OrderId(query.fetch_one(&mut *transaction).await?.try_get("id")?);
        let order = self.order_without_secrets(Order { id, kind, by, reason, at: now });
        let body = json(&order, "order")?;
        let sum = sum(&[&id.0, &order.kind.topic(), &order.kind.word(), &millis(now), &body]);
        let query = sqlx::query("UPDATE orders SET body = $1, sum = $2 WHERE id = $3").bind(body.clone()).bind(sum).bind(id.0);
        query.execute(&mut *transaction).await?;
        ordered::append(&mut transaction, &order, &body).await?;
        match &order.kind {
            OrderKind::CloseBreaker { agent } => trust::close_breaker(&mut transaction, agent).await?,
            OrderKind::CloseIncident { incident } => drop(approvals::poke(&mut transaction, *incident, now).await?),
            OrderKind::HandsOff { service, .. } => outbox::acknowledge_of(&mut transaction, service, now).await?,
            OrderKind::Halt | OrderKind::Resume | OrderKind::HandsOn { .. } => {}
        }
        pass(Point::BeforeDecision, || "order".into());
        transaction.commit().await?;
        pass(Point::AfterDecision, || "order".into());
        Ok(order)
    }

    /// What is being done is not ended by an order; the incident's worker sees to that too.
    async fn may_close(&self, id: IncidentId) -> std::result::Result<(), OrderError> {
        let incident = self.incident(id).await?.ok_or(OrderError::NoIncident(id))?;
        if incident.state.is_final() {
            return Err(OrderError::Over(id));
        }
        match incident.in_flight.filter(|in_flight| in_flight.action.effect.changes_something()) {
            Some(in_flight) => Err(OrderError::UnderWay(id, in_flight.action.summary())),
            None => Ok(()),
        }
    }

    /// Orders on everything and on services: those that may stand in the way of an action.
    pub async fn latest_orders(&self) -> Result<Latest> {
        let sql = "SELECT id, body FROM orders WHERE id IN \
             (SELECT MAX(id) FROM orders WHERE topic = 'everything' OR topic LIKE 'service:%' GROUP BY topic) ORDER BY id";
        // First: an order given in between makes the number too small, never too large.
        let count = count(&mut *self.read.acquire().await?).await?;
        let rows = sqlx::query(sql).fetch_all(&self.read).await?;
        Ok(Latest { orders: rows.iter().map(|row| self.order_of(row)).collect::<Result<_>>()?, count })
    }

    /// Every order ever given, newest first.
    pub async fn orders(&self, limit: i64) -> Result<Vec<Order>> {
        let rows = sqlx::query("SELECT id, body FROM orders ORDER BY id DESC LIMIT $1").bind(limit).fetch_all(&self.read).await?;
        rows.iter().map(|row| self.order_of(row)).collect()
    }

    /// A human's order to close the incident, if there is one.
    pub async fn closing_order(&self, incident: IncidentId) -> Result<Option<Order>> {
        let sql = "SELECT id, body FROM orders WHERE topic = $1 ORDER BY id DESC LIMIT 1";
        let topic = OrderKind::CloseIncident { incident }.topic();
        sqlx::query(sql).bind(topic).fetch_optional(&self.read).await?.as_ref().map(|row| self.order_of(row)).transpose()
    }

    /// A command line that could not read the configuration's secrets may have written it.
    fn order_of(&self, row: &sqlx::any::AnyRow) -> Result<Order> {
        read(row).map(|order| self.order_without_secrets(order))
    }
}

/// An order to undo what does not stand is a mistake of whoever gives it.
async fn check(connection: &mut AnyConnection, kind: &OrderKind, now: Time) -> std::result::Result<(), OrderError> {
    let sql = "SELECT id, body FROM orders WHERE topic = $1 ORDER BY id DESC LIMIT 1";
    let before = sqlx::query(sql).bind(kind.topic()).fetch_optional(&mut *connection).await?;
    let stands = before.as_ref().map(read).transpose()?.is_some_and(|order| order.kind.in_force(now));
    match kind {
        OrderKind::Resume if !stands => Err(OrderError::NotHalted),
        OrderKind::HandsOn { service } if !stands => Err(OrderError::NotInHand(service.clone())),
        OrderKind::HandsOff { until: Some(until), .. } if *until <= now => Err(OrderError::Past(*until)),
        OrderKind::CloseBreaker { agent } if !trust::is_open(connection, agent).await? => Err(OrderError::NotOpen(agent.clone())),
        _ => Ok(()),
    }
}

/// Part of a commit that starts an action: was it judged with every order that there is?
pub(super) async fn count(connection: &mut AnyConnection) -> Result<i64> {
    let row = sqlx::query("SELECT COALESCE(MAX(id), 0) AS n FROM orders").fetch_one(connection).await?;
    Ok(row.try_get("n")?)
}

fn read(row: &sqlx::any::AnyRow) -> Result<Order> {
    let (id, body): (i64, String) = (row.try_get("id")?, row.try_get("body")?);
    from_json(&body, &format!("orders {id}"))
}
