//! A network between a replica and its database that the test can make bad: slow, deaf, cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What PostgreSQL answers to a commit that was made.
pub const COMMITTED: &str = "COMMIT\0";

/// Taking the writers' lock.
pub const LOCK: &str = "pg_advisory_xact_lock";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Every piece takes its time.
    Slow,
    /// From where a connection asks something with this in it, what is asked arrives and no answer comes back. Such a connection is of no
    /// use any more: cut it.
    DeafFrom(&'static str),
    /// The same from where an answer has this in it: what was asked was done.
    LosesFrom(&'static str),
    /// Connections end, and no new ones are made.
    Cut,
}

pub struct Proxy {
    pub port: u16,
    way: watch::Sender<Way>,
    deafened: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// One connection's hearing.
struct Ears {
    deaf: AtomicBool,
    deafened: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (way, seen) = watch::channel(Way::Open);
        let deafened = Arc::new(AtomicUsize::new(0));
        let here = listener.local_addr().unwrap().port();
        Self { port: here, way, deafened: deafened.clone(), task: tokio::spawn(accept(listener, port, seen, deafened)) }
    }

    pub fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// How many connections have gone deaf, each after what it asked had gone through.
    pub fn deafened(&self) -> usize {
        self.deafened.load(Ordering::SeqCst)
    }

    /// Ends every connection there is, and lets new ones be made.
    pub async fn cut(&self) {
        self.turn(Way::Cut);
        // Each connection has a receiver, and so has the one that accepts them.
        while self.way.receiver_count() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.turn(Way::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, way: watch::Receiver<Way>, deafened: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let ears = Ears { deaf: AtomicBool::new(false), deafened: deafened.clone() };
        connections.spawn(connection(client, port, way.clone(), ears));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, port: u16, mut way: watch::Receiver<Way>, ears: Ears) {
    let (asking, answering) = (way.clone(), way.clone());
    let server = tokio::select! {
        _ = way.wait_for(|way| *way == Way::Cut) => return,
        server = TcpStream::connect(("127.0.0.1", port)) => server,
    };
    let Ok(server) = server else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = way.wait_for(|way| *way == Way::Cut) => {}
        () = flow(from_client, to_server, asking, &ears, false) => {}
        () = flow(from_server, to_client, answering, &ears, true) => {}
    }
}

async fn flow(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: watch::Receiver<Way>, ears: &Ears, answers: bool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        let now = *way.borrow();
        if now == Way::Slow {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let last = match now {
            Way::DeafFrom(word) if !answers => has(&bytes[..n], word),
            Way::LosesFrom(word) if answers => has(&bytes[..n], word),
            _ => false,
        };
        let first = last && !ears.deaf.swap(true, Ordering::SeqCst);
        let lost = answers && ears.deaf.load(Ordering::SeqCst);
        if !lost && to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
        if first {
            ears.deafened.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}
