//! The inbox: alerts become durable here before the webhook answers. Concurrent deliveries share a commit.

use super::sums::sum;
use super::{Point, Store, StoreError, json, millis, pass, plain};
use crate::domain::{Alert, Time};
use sqlx::AssertSqlSafe;
use tokio::sync::{mpsc, oneshot};

/// Alerts in one commit at the most; the rest of a larger body goes into the same transaction in further statements.
const ROWS_A_STATEMENT: usize = 200;
/// Deliveries waiting for a commit; more is overload.
const QUEUE: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    #[error("too many deliveries are waiting for the store")]
    Overloaded,
    #[error("the store cannot take the alerts: {0}")]
    Store(String),
    #[error("the server is stopping")]
    Stopping,
}

struct Delivery {
    alerts: Vec<Alert>,
    received_at: Time,
    done: oneshot::Sender<Result<(), InboxError>>,
}

/// Where doors leave alerts. An `Ok` means that every one of them is on the disk.
#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<Delivery>);

/// A delivery that can never become alerts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unreadable {
    pub id: i64,
    pub received_at: Time,
    pub reason: String,
    pub size: i64,
    /// The first bytes as text.
    pub body: String,
}

impl Inbox {
    /// The inbox, and the loop that the caller must run: it ends when the last inbox is dropped. `stored` is called after
    /// each commit.
    pub fn open(store: Store, stored: impl Fn() + Send + 'static) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), run(store, receiver, stored))
    }

    pub async fn accept(&self, alerts: Vec<Alert>, received_at: Time) -> Result<(), InboxError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let (done, result) = oneshot::channel();
        self.0.try_send(Delivery { alerts, received_at, done }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => InboxError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => InboxError::Stopping,
        })?;
        result.await.map_err(|_| InboxError::Stopping)?
    }
}

async fn run(store: Store, mut receiver: mpsc::Receiver<Delivery>, stored: impl Fn() + Send) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, 64).await > 0 {
        let result = store.accept(&batch).await.map_err(|e| {
            tracing::error!(error = %e, "alerts could not be stored; their sender is told to try again");
            InboxError::Store(e.to_string())
        });
        for delivery in batch.drain(..) {
            // A caller that hung up does not mind; what is stored is stored.
            let _ = delivery.done.send(result.clone());
        }
        stored();
    }
}

impl Store {
    async fn accept(&self, batch: &[Delivery]) -> Result<(), StoreError> {
        let rows: Vec<(&Alert, Time)> = batch.iter().flat_map(|d| d.alerts.iter().map(|alert| (alert, d.received_at))).collect();
        pass(Point::BeforeAccept, String::new);
        let mut transaction = self.begin().await?;
        for chunk in rows.chunks(ROWS_A_STATEMENT) {
            let places: Vec<String> = (0..chunk.len()).map(|i| place(i * 6)).collect();
            let sql = format!(
                "INSERT INTO alerts (fingerprint, starts_at, status, received_at, body, sum, state) VALUES {} ON CONFLICT DO NOTHING",
                places.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (alert, received_at) in chunk {
                let body = json(alert, "alert to store")?;
                let (print, starts_at, received_at) = (plain(&alert.fingerprint.0), millis(alert.starts_at), millis(*received_at));
                let sum = sum(&[&print, &starts_at, &alert.status.as_str(), &received_at, &body]);
                query = query.bind(print).bind(starts_at).bind(alert.status.as_str()).bind(received_at).bind(body).bind(sum);
            }
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        pass(Point::AfterAccept, String::new);
        Ok(())
    }
}

fn place(offset: usize) -> String {
    format!("(${}, ${}, ${}, ${}, ${}, ${}, 'accepted')", offset + 1, offset + 2, offset + 3, offset + 4, offset + 5, offset + 6)
}
