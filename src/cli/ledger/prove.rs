//! `paramedic ledger prove`: one file that shows an entry's place in the log to whoever has the log's public key (C2SP's tlog-proof).

use super::Files;
use crate::domain::{IncidentId, ORDERS, Seq};
use crate::ledger::{InclusionProof, Question, Signed, check_inclusion};
use crate::publish;
use anyhow::{anyhow, bail};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct ProveArgs {
    /// INC-7/3: the third entry of INC-7, as `paramedic incidents INC-7` numbers them. INC-0/3: the third order.
    entry: String,
    /// A file instead of standard output; `.tlog-proof` is the usual ending.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
}

pub async fn run(args: ProveArgs) -> anyhow::Result<ExitCode> {
    let Some((incident, seq)) = name(&args.entry) else {
        eprintln!("paramedic: `{}` is no entry: expected INC-NUMBER/NUMBER, such as INC-7/3", args.entry);
        return Ok(ExitCode::from(super::super::EX_USAGE));
    };
    let (store, keys) = match super::open(&args.files).await? {
        Ok(open) => open,
        Err(code) => return Ok(code),
    };
    let newest = super::newest(&store).await?;
    let signed = Signed::open(newest.note.as_bytes(), &super::own_key(&store, &keys)?, &[])?;
    let entry = store.entry_named(incident, seq).await?.ok_or_else(|| anyhow!("there is no {incident}/{seq}"))?;
    let (size, root, index) = (signed.checkpoint.size, signed.checkpoint.root, entry.index);
    if index >= size {
        bail!(
            "{incident}/{seq} is entry {index} of the log, and the newest checkpoint is of {size}: a running server signs within seconds"
        );
    }
    let hashes = publish::prove(&store, Question::Inclusion { index, size }).await?;
    check_inclusion(&hashes, size, root, index, entry.leaf().hash())
        .map_err(|_| anyhow!("{incident}/{seq} is not what was logged: run `paramedic ledger verify`"))?;
    let proof = InclusionProof { extra: entry.leaf().bytes(), index, hashes, note: signed.note };
    super::deliver(args.out.as_deref(), &proof.render())?;
    Ok(ExitCode::SUCCESS)
}

fn name(text: &str) -> Option<(IncidentId, Seq)> {
    let (incident, seq) = text.split_once('/')?;
    let orders = incident.eq_ignore_ascii_case(&ORDERS.to_string());
    let incident = if orders { ORDERS } else { incident.parse().ok()? };
    Some((incident, seq.parse().ok().filter(|seq| *seq > 0)?))
}
