//! Reaching services and hosts, on real parts: real children, a real sshd with the real binary behind a forced command, a real
//! Docker Engine, and a real file system with hostile links.

mod cleaning;
pub mod docker;
mod grants;
mod hand;
mod process;
mod sandbox;
pub mod sshd;

use paramedic::clients::fleet::{Fleet, Limits};
use paramedic::domain::{HostName, Inventory, InventoryFile, Service, ServiceName};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Known {
    pub fleet: Fleet,
    pub inventory: Arc<Inventory>,
}

impl Known {
    /// A fleet of this inventory, with its state below `dir`.
    pub fn new(inventory: Value, dir: &Path, limits: Limits) -> Self {
        let file: InventoryFile = serde_json::from_value(inventory).unwrap();
        let inventory = Arc::new(Inventory::build(file).unwrap());
        let fleet = Fleet::new(Arc::clone(&inventory), dir.join("run"), dir.join("ssh"), limits);
        Self { fleet, inventory }
    }

    pub fn service(&self, name: &str) -> &Service {
        self.inventory.service(&ServiceName::parse(name).unwrap()).unwrap()
    }
}

pub fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// Panics naming the Debian package if a program is not there: a test is never skipped.
pub fn need(program: &str, package: &str) {
    assert!(Path::new(program).exists(), "{program} is missing: install the Debian package {package}");
}

/// Waits until the condition holds; `what` is said if it never does.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < end, "waited 20 s in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
