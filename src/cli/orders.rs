//! A human's orders from a terminal on the server's machine: halt, resume, hands off and on, close. Each leaves a durable order beside
//! the running server, which obeys before its next action. Who may open the store may order; the login name is recorded.

use super::{Files, decide::login_name, table};
use crate::config::{self, Config};
use crate::domain::{Clock as _, InForce, IncidentId, OrderKind, Proposer, Reason, ServiceName, SystemClock, Time, Via};
use crate::engine::{Wish, halt_file, order};
use crate::redaction::Redactor;
use crate::safety::Approvers;
use crate::store::{OrderError, Store};
use crate::view;
use anyhow::Context as _;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ReasonArgs {
    /// Why; whoever finds the order in force reads it.
    #[arg(long, value_parser = Reason::parse)]
    reason: Reason,
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, clap::Args)]
pub struct HandsOffArgs {
    #[arg(value_parser = ServiceName::parse)]
    service: ServiceName,
    /// How long: 90s, 30m, 2h, 1d. Without it, until `paramedic hands-on`.
    #[arg(long = "for", value_parser = duration)]
    span: Option<chrono::Duration>,
    #[command(flatten)]
    why: ReasonArgs,
}

#[derive(Debug, clap::Args)]
pub struct HandsOnArgs {
    #[arg(value_parser = ServiceName::parse)]
    service: ServiceName,
    #[command(flatten)]
    why: ReasonArgs,
}

#[derive(Debug, clap::Args)]
pub struct CloseArgs {
    /// INC-7, or 7.
    incident: IncidentId,
    #[command(flatten)]
    why: ReasonArgs,
}

#[derive(Debug, clap::Args)]
pub struct OrdersArgs {
    /// Every order ever given, newest first.
    #[arg(long)]
    all: bool,
    /// As the API gives it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

pub async fn halt(args: ReasonArgs) -> anyhow::Result<ExitCode> {
    let file = args.files.halt_file()?;
    let meaning = "nothing that changes anything starts; what is running finishes, looking and paging go on";
    give(OrderKind::Halt, args, meaning).await.with_context(|| match file {
        Some(file) => format!("nothing is halted; creating the file {} halts too, without the store", file.display()),
        None => "nothing is halted".to_owned(),
    })
}

pub async fn resume(args: ReasonArgs) -> anyhow::Result<ExitCode> {
    let (file, redactor) = (args.files.halt_file()?, args.files.redactor());
    let done = give(OrderKind::Resume, args, "").await?;
    if let Some(why) = file.as_deref().and_then(halt_file) {
        eprintln!("paramedic: still halted {}: remove the file", table::whole(&redactor.text(&why)));
        return Ok(ExitCode::from(super::EX_FAILED));
    }
    Ok(done)
}

pub async fn hands_off(args: HandsOffArgs) -> anyhow::Result<ExitCode> {
    if let Err(code) = args.why.files.knows(&args.service) {
        return Ok(code);
    }
    let until = args.span.map(|span| SystemClock.now() + span);
    give(OrderKind::HandsOff { service: args.service, until }, args.why, "what is running finishes").await
}

pub async fn hands_on(args: HandsOnArgs) -> anyhow::Result<ExitCode> {
    give(OrderKind::HandsOn { service: args.service }, args.why, "").await
}

pub async fn close(args: CloseArgs) -> anyhow::Result<ExitCode> {
    give(OrderKind::CloseIncident { incident: args.incident }, args.why, "the server closes it within a moment").await
}

pub async fn close_breaker(agent: Proposer, why: ReasonArgs) -> anyhow::Result<ExitCode> {
    give(OrderKind::CloseBreaker { agent }, why, "its score stays as it is").await
}

async fn give(kind: OrderKind, args: ReasonArgs, meaning: &str) -> anyhow::Result<ExitCode> {
    let store = match args.files.store().await? {
        Ok(store) => store,
        Err(code) => return Ok(code),
    };
    // A configuration that cannot be read keeps nobody from stopping something; who may give it back is not known then.
    let approvers = match args.files.approvers() {
        Err(code) if kind.gives_back() => return Ok(code),
        read => read.ok(),
    };
    let wish = Wish { kind, who: login_name(), via: Via::Cli, reason: args.reason };
    match order(&store, &approvers.unwrap_or_else(Approvers::default), wish, SystemClock.now()).await {
        Ok(order) => {
            let meaning = if meaning.is_empty() { String::new() } else { format!(" ({meaning})") };
            super::say(&format!("{}{meaning}", table::whole(&order.to_string())))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(OrderError::Store(e)) => Err(e.into()),
        Err(e) => {
            eprintln!("paramedic: {e}");
            Ok(ExitCode::from(super::EX_FAILED))
        }
    }
}

pub async fn list(args: OrdersArgs) -> anyhow::Result<ExitCode> {
    let store = match args.files.store().await? {
        Ok(store) => store,
        Err(code) => return Ok(code),
    };
    if args.all {
        let orders = store.orders(1000).await?;
        let lines: Vec<String> = orders.iter().map(|order| table::whole(&order.to_string())).collect();
        let text = if args.json { serde_json::to_string_pretty(&orders)? } else { or(lines, "no order was ever given") };
        super::say(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemClock.now();
    let in_force = args.files.in_force(&store, now).await?;
    let freezes = match Config::load(&args.files.config, &args.files.overrides, &|name| std::env::var(name).ok()) {
        Ok(config) => config.freezes.iter().filter(|window| window.holds(now)).map(ToString::to_string).collect(),
        Err(_) => {
            eprintln!("paramedic: the configuration cannot be read (paramedic check says why): its freezes are not shown");
            Vec::new()
        }
    };
    let view = view::orders(in_force, freezes, &store.trusted().await?);
    let text = if args.json { serde_json::to_string_pretty(&view)? } else { or(lines(&view), "nothing stands in the way") };
    super::say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(view: &view::OrdersView) -> Vec<String> {
    let halts = view.halts.iter().map(|halt| format!("HALTED  {halt}"));
    let in_hand = view.hands_off.iter().map(|hands| format!("HANDS OFF  {}", hands.order));
    let freezes = view.freezes.iter().map(|freeze| format!("FREEZE  {freeze}"));
    let breakers = view.breakers.iter().map(|open| format!("BREAKER OPEN  {}: {}", open.agent, open.why));
    halts.chain(in_hand).chain(freezes).chain(breakers).map(|line| table::whole(&line)).collect()
}

fn or(lines: Vec<String>, none: &str) -> String {
    if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
}

/// `90s`, `30m`, `2h`, `1d`.
fn duration(text: &str) -> Result<chrono::Duration, String> {
    let expected = || format!("`{text}` is not a span: expected a number and s, m, h or d, such as 2h");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    let number: i64 = digits.parse().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(expected)?;
    Ok(chrono::Duration::seconds(number * seconds))
}

impl Files {
    /// The store beside the running server; what is wrong with its address is told already.
    pub(super) async fn store(&self) -> anyhow::Result<Result<Store, ExitCode>> {
        match self.store_url() {
            Ok(url) => Ok(Ok(Store::open_beside(&url).await?.redacting(self.redactor()))),
            Err(code) => Ok(Err(code)),
        }
    }

    /// As much of the configuration's secrets as this user may read.
    fn redactor(&self) -> Redactor {
        config::redactor(&self.config, &self.overrides, &|name| std::env::var(name).ok())
    }

    /// The orders in force, and the halt file, as far as this user may read them.
    pub(super) async fn in_force(&self, store: &Store, now: Time) -> anyhow::Result<InForce> {
        let latest = store.latest_orders().await?;
        let mut in_force = InForce::of(&latest.orders, latest.count, now);
        let by_file = self.halt_file()?.as_deref().and_then(halt_file);
        in_force.halts.extend(by_file.map(|why| self.redactor().text(&why).into_owned()));
        Ok(in_force)
    }

    /// Where the halt file would be; none where the configuration cannot say.
    fn halt_file(&self) -> anyhow::Result<Option<std::path::PathBuf>> {
        Ok(config::halt_file(&self.config, &self.overrides, &|name| std::env::var(name).ok()).ok())
    }

    /// A misspelled name would protect nothing. An inventory that cannot be read keeps nobody from ordering.
    fn knows(&self, service: &ServiceName) -> Result<(), ExitCode> {
        let folder = self.config.parent().filter(|folder| !folder.as_os_str().is_empty());
        let inventory = config::load_inventory(folder.unwrap_or(std::path::Path::new(".")), &|name| std::env::var(name).ok());
        match inventory.ok().flatten().map(|(inventory, _)| inventory) {
            Some(inventory) if inventory.service(service).is_none() => {
                let names: Vec<String> = inventory.services().map(|service| service.name.to_string()).collect();
                eprintln!("paramedic: there is no service {service} in the inventory: expected one of {}", names.join(", "));
                Err(ExitCode::from(super::EX_USAGE))
            }
            Some(_) => Ok(()),
            None => {
                eprintln!("paramedic: the inventory cannot be read: whether there is a service {service} was not checked");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("1d", 86_400)] {
            assert_eq!(duration(text).unwrap().num_seconds(), seconds);
        }
        for bad in ["", "h", "2", "2 h", "-2h", "0m", "2w", "1.5h", "99999999999999999999s", "2ä"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
