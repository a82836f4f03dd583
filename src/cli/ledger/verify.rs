//! `paramedic ledger verify`: goes through the store, an export or published tiles, and through every checkpoint that is known, and
//! names the first thing that is wrong. Exit code 0 means that nothing is.

use super::{Files, own_key, public_key};
use crate::clients::tiles::Tiles;
use crate::ledger::{
    Audit, Checkpoint, Fault, Hash, InclusionProof, NoteError, PublicLogKey, PublicWitnessKey, Published, Row, Signed, check_inclusion,
    find, leaf_hash, read_export_line,
};
use crate::store::Store;
use anyhow::{Context as _, anyhow, bail};
use futures::{StreamExt as _, stream};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Entries read and hashed in one go.
const AT_ONCE: u64 = 2_000;

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Checkpoints that were kept elsewhere: a file of anchors, a syslog, text copied out of Slack. Can be given several times.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The log's public key, or a file with it. Without it, the key that signs on this machine.
    #[arg(long, value_name = "KEY|FILE")]
    key: Option<String>,
    /// A witness's public key: the newest checkpoint must carry its cosignature. Can be given several times.
    #[arg(long, value_name = "KEY")]
    witness: Vec<String>,
    /// What `paramedic ledger export` printed, instead of the store.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "url", "proof"])]
    export: Option<PathBuf>,
    /// A folder of published tiles, instead of the store.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "proof"])]
    from: Option<PathBuf>,
    /// A served log, instead of the store: https://paramedic.example/ledger
    #[arg(long, conflicts_with = "proof")]
    url: Option<String>,
    /// The token that a served log asks for.
    #[arg(long, env = "PARAMEDIC_TOKEN", hide_env_values = true, requires = "url")]
    token: Option<String>,
    /// A folder of published tiles to compare with: names exactly which entry is another one.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "url", "proof"])]
    copy: Option<PathBuf>,
    /// One proof that `paramedic ledger prove` printed.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// The entry that the proof is about: its line of an export.
    #[arg(long, value_name = "FILE", requires = "proof")]
    entry: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
}

/// What is compared with.
struct Known {
    key: PublicLogKey,
    witnesses: Vec<PublicWitnessKey>,
    checkpoints: Vec<(Checkpoint, String)>,
    /// Leaves of a copy of the tiles.
    copy: Vec<Hash>,
}

pub async fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let elsewhere = args.export.is_some() || args.from.is_some() || args.url.is_some() || args.proof.is_some();
    let (store, key) = match (&args.key, elsewhere) {
        (Some(given), true) => (None, public_key(given)?),
        (None, true) => {
            eprintln!("paramedic: expected --key with the log's public key: a log that vouches for itself vouches for nothing");
            return Ok(ExitCode::from(super::super::EX_USAGE));
        }
        (given, false) => match super::open(&args.files).await? {
            Ok((store, keys)) => {
                let key = given.as_deref().map_or_else(|| own_key(&store, &keys), public_key)?;
                (Some(store), key)
            }
            Err(code) => return Ok(code),
        },
    };
    let witnesses = args.witness.iter().map(|key| PublicWitnessKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
    let mut known = Known { checkpoints: read_checkpoints(&args.checkpoint, &key)?, key, witnesses, copy: Vec::new() };
    if let Some(folder) = &args.copy {
        let (signed, leaves) = read_published(&Tiles::Folder(folder.clone()), &known.key).await?;
        known.copy = leaves;
        known.checkpoints.push((signed.checkpoint, "the copy's checkpoint".into()));
    }
    let said = match (&store, &args) {
        (Some(store), _) => of_store(store, known).await?,
        (None, VerifyArgs { proof: Some(proof), entry, .. }) => of_proof(proof, entry.as_deref(), &known)?,
        (None, VerifyArgs { export: Some(export), .. }) => of_export(export, known)?,
        (None, VerifyArgs { from: Some(folder), .. }) => of_tiles(&Tiles::Folder(folder.clone()), known).await?,
        (None, VerifyArgs { url, token, .. }) => {
            let url = url.as_deref().unwrap_or_default();
            of_tiles(&Tiles::served(url, token.clone().map(Into::into))?, known).await?
        }
    };
    super::super::say(&said)?;
    Ok(ExitCode::SUCCESS)
}

/// Checkpoints of this log in files; a file without any, or with one that the key did not sign, is an error.
fn read_checkpoints(files: &[PathBuf], key: &PublicLogKey) -> anyhow::Result<Vec<(Checkpoint, String)>> {
    let mut checkpoints = Vec::new();
    for path in files {
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let notes = find(&String::from_utf8_lossy(&text), key.name());
        if notes.is_empty() {
            bail!("{}: no checkpoint of the log {} is in it", path.display(), key.name());
        }
        for note in notes {
            let signed = Signed::open(note.as_bytes(), key, &[]).with_context(|| path.display().to_string())?;
            let size = signed.checkpoint.size;
            checkpoints.push((signed.checkpoint, format!("the checkpoint of {size} in {}", path.display())));
        }
    }
    Ok(checkpoints)
}

impl Known {
    /// The newest checkpoint must carry every witness's cosignature that was asked for.
    fn open(&self, note: &str, from: &str) -> anyhow::Result<Signed> {
        let signed = Signed::open(note.as_bytes(), &self.key, &self.witnesses).with_context(|| from.to_owned())?;
        if signed.witnesses.len() < self.witnesses.len() {
            let by = if signed.witnesses.is_empty() { "none of them".to_owned() } else { format!("only {}", signed.witnesses.join(", ")) };
            bail!("{from}: expected cosignatures of {} witnesses, found {by}", self.witnesses.len());
        }
        Ok(signed)
    }

    fn audit(&mut self) -> Audit {
        Audit::against(std::mem::take(&mut self.checkpoints))
    }

    /// The leaf as the copy has it, or as it was kept beside the entry.
    fn logged(&self, row: Row) -> Row {
        let copied = usize::try_from(row.index).ok().and_then(|index| self.copy.get(index));
        Row { logged: copied.copied().or(row.logged), ..row }
    }
}

fn all_well(what: &str, checkpoints: usize, size: u64, root: Hash) -> anyhow::Result<String> {
    if checkpoints == 0 {
        bail!("{what} has {size} entries and no checkpoint to compare with: expected --checkpoint with one that was kept elsewhere");
    }
    let word = if checkpoints == 1 { "checkpoint" } else { "checkpoints" };
    Ok(format!("ok: {what} has {size} entries, root {root}; it continues {checkpoints} {word}"))
}

fn wrong(fault: &Fault) -> anyhow::Error {
    anyhow!("the ledger is not what was logged: {fault}")
}

async fn of_store(store: &Store, mut known: Known) -> anyhow::Result<String> {
    let kept = store.checkpoints().await?;
    if let Some(newest) = kept.last() {
        known.open(&newest.note, "the newest checkpoint in the store")?;
    }
    let mut of_other_keys = 0;
    for kept in &kept {
        let from = format!("the checkpoint of {} in the store", kept.size);
        match Signed::open(kept.note.as_bytes(), &known.key, &[]) {
            Ok(signed) => known.checkpoints.push((signed.checkpoint, from)),
            // Signed before a new key was made; the newest one is not.
            Err(NoteError::Unsigned(_)) => of_other_keys += 1,
            Err(e) => return Err(e).context(from),
        }
    }
    let (head, mut audit) = (store.log_size().await?, known.audit());
    let ranges = stream::iter((0..head).step_by(usize::try_from(AT_ONCE)?));
    let read = |from: u64| {
        let store = store.clone();
        tokio::spawn(async move { store.audited(from, AT_ONCE.min(head - from)).await })
    };
    // Two hash while others read.
    let mut batches = ranges.map(read).buffered(4);
    while let Some(batch) = batches.next().await {
        for row in batch?? {
            if let Err(fault) = audit.take(&known.logged(row), &mut |_| {}) {
                return Err(named(store, fault).await);
            }
        }
    }
    audit.pause().map_err(|fault| wrong(&fault))?;
    let (checkpoints, newer) = (audit.checkpoints(), head.saturating_sub(audit.agreed()));
    match audit.finish(Some(head)) {
        Ok(tree) => match store.next_logged(head).await? {
            Some(beyond) => bail!("the ledger is not what was logged: {}/{} stands behind the log's end", beyond.incident, beyond.seq),
            None => {
                if let Some(wrong) = store.doctored_order().await? {
                    bail!("the ledger is not what was logged: {wrong}");
                }
                let said = all_well("the ledger", checkpoints, tree.size(), tree.root())?;
                let said = if newer == 0 { said } else { format!("{said}; the newest {newer} are in none yet") };
                Ok(if of_other_keys == 0 { said } else { format!("{said}; {of_other_keys} of another key were not compared") })
            }
        },
        Err(fault) => Err(named(store, fault).await),
    }
}

/// Adds which entries are gone, where their incidents' numbers tell.
async fn named(store: &Store, fault: Fault) -> anyhow::Error {
    let gone = matches!(fault, Fault::Missing { .. } | Fault::CutOff { .. });
    match store.skipped().await {
        Ok(names) if gone && !names.is_empty() => {
            let names: Vec<String> = names.iter().map(|(incident, seq)| format!("{incident}/{seq}")).collect();
            anyhow!("{} (gone: {})", wrong(&fault), names.join(", "))
        }
        _ => wrong(&fault),
    }
}

fn of_export(path: &Path, mut known: Known) -> anyhow::Result<String> {
    let file = std::fs::File::open(path).with_context(|| format!("read {}", path.display()))?;
    let (mut reader, mut line, mut number) = (std::io::BufReader::with_capacity(1 << 20, file), Vec::new(), 0_u64);
    let mut audit = known.audit();
    while {
        line.clear();
        reader.read_until(b'\n', &mut line).with_context(|| format!("read {}", path.display()))?
    } > 0
    {
        number += 1;
        let text = std::str::from_utf8(&line).ok().and_then(|text| text.strip_suffix('\n'));
        let leaf = text
            .and_then(read_export_line)
            .ok_or_else(|| anyhow!("{}:{number}: expected a line of `paramedic ledger export`", path.display()))?;
        let row = Row { index: leaf.index, incident: leaf.incident, seq: leaf.seq, hash: leaf.hash(), logged: None };
        audit.take(&known.logged(row), &mut |_| {}).map_err(|fault| wrong(&fault))?;
    }
    audit.pause().map_err(|fault| wrong(&fault))?;
    let (checkpoints, agreed) = (audit.checkpoints(), audit.agreed());
    let tree = audit.finish(None).map_err(|fault| wrong(&fault))?;
    if checkpoints > 0 && agreed < tree.size() {
        let last = tree.size() - 1;
        bail!(
            "entries {agreed} to {last} of the export are in no checkpoint that was given: give a newer one, or export with --size {agreed}"
        );
    }
    all_well("the export", checkpoints, tree.size(), tree.root())
}

/// The checkpoint and the leaves of a published log, all of it verified.
async fn read_published(tiles: &Tiles, key: &PublicLogKey) -> anyhow::Result<(Signed, Vec<Hash>)> {
    let signed = Signed::open(&tiles.read("checkpoint").await?, key, &[]).context("the published checkpoint")?;
    let mut published = Published::new(signed.checkpoint.clone());
    loop {
        let mut files = Vec::new();
        for path in published.wants() {
            files.push(tiles.read(&path).await?);
        }
        if files.is_empty() {
            return Ok((signed, published.finish()?));
        }
        published.give(&files)?;
    }
}

/// What was published must continue every checkpoint that is known, and agree with itself.
async fn of_tiles(tiles: &Tiles, mut known: Known) -> anyhow::Result<String> {
    let (signed, leaves) = read_published(tiles, &known.key).await?;
    known.open(&signed.note, "the published checkpoint")?;
    known.checkpoints.push((signed.checkpoint, "the published checkpoint".into()));
    let mut audit = known.audit();
    for (index, hash) in (0..).zip(leaves) {
        let row = Row { index, incident: crate::domain::IncidentId(0), seq: 0, hash, logged: None };
        audit.take(&row, &mut |_| {}).map_err(|fault| wrong(&fault))?;
    }
    audit.pause().map_err(|fault| wrong(&fault))?;
    let checkpoints = audit.checkpoints();
    let tree = audit.finish(None).map_err(|fault| wrong(&fault))?;
    all_well("the published log", checkpoints, tree.size(), tree.root())
}

/// One entry: its text gives the leaf, the leaf and the proof give the signed root.
fn of_proof(path: &Path, entry: Option<&Path>, known: &Known) -> anyhow::Result<String> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let proof = InclusionProof::parse(&read(path)?).with_context(|| path.display().to_string())?;
    let signed = known.open(&proof.note, "the proof's checkpoint")?;
    let leaf = match entry {
        Some(path) => {
            let text = read(path)?;
            let leaf = read_export_line(text.trim_end_matches('\n'))
                .ok_or_else(|| anyhow!("{}: expected one line of an export", path.display()))?;
            leaf.bytes()
        }
        None => proof.extra.clone(),
    };
    if !proof.extra.is_empty() && proof.extra != leaf {
        bail!("the proof is about {}, not about {}", String::from_utf8_lossy(&proof.extra), String::from_utf8_lossy(&leaf));
    }
    let (size, root) = (signed.checkpoint.size, signed.checkpoint.root);
    check_inclusion(&proof.hashes, size, root, proof.index, leaf_hash(&leaf))
        .map_err(|_| anyhow!("the proof does not hold: {} is not entry {} of this log", String::from_utf8_lossy(&leaf), proof.index))?;
    Ok(format!("ok: entry {} of {size} in the log {} is {}", proof.index, signed.checkpoint.origin, String::from_utf8_lossy(&leaf)))
}
