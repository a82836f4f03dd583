//! `paramedic store migrate`: moves a store that no server uses. Everything or nothing; the source stays as it is.

use super::table;
use crate::config;
use crate::store::{self, MoveError, Moved, StoreError};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy everything from a stopped server's store into an empty one, and compare: `--from sqlite:///var/lib/paramedic/paramedic.db
    /// --to 'postgres://paramedic:${DB_PASSWORD}@db/paramedic'`.
    Migrate(MigrateArgs),
}

#[derive(Debug, clap::Args)]
struct MigrateArgs {
    /// The store there is. `${VAR}` is taken from the environment, so that no password stands in a list of processes.
    #[arg(long, value_name = "URL")]
    from: String,
    /// The store to fill: expected to be empty. `${VAR}` as in --from.
    #[arg(long, value_name = "URL")]
    to: String,
}

pub async fn run(args: StoreArgs) -> anyhow::Result<ExitCode> {
    let Command::Migrate(MigrateArgs { from, to }) = args.command;
    let (from, to) = match (filled("--from", from), filled("--to", to)) {
        (Ok(from), Ok(to)) => (from, to),
        (from, to) => {
            [from, to].into_iter().filter_map(Result::err).for_each(|e| eprintln!("paramedic: {e}"));
            return Ok(ExitCode::from(super::EX_USAGE));
        }
    };
    match store::move_store(&from, &to).await {
        Ok(moved) => super::say(&said(&moved, &store::shown(&from), &store::shown(&to)))?,
        Err(e @ (MoveError::SameKind(_) | MoveError::Store(StoreError::Url { .. }))) => {
            eprintln!("paramedic: {e}");
            return Ok(ExitCode::from(super::EX_USAGE));
        }
        Err(e) => return Err(e.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn filled(flag: &str, url: String) -> Result<String, String> {
    let expanded = config::expand(&url, &mut |name| std::env::var(name).ok());
    expanded.map(|expanded| expanded.unwrap_or(url)).map_err(|e| format!("{flag}: {e}"))
}

fn said(moved: &Moved, from: &str, to: &str) -> String {
    let rows: Vec<Vec<String>> = moved.tables.iter().map(|(table, rows)| vec![table.clone(), rows.to_string()]).collect();
    let first = match moved.was_there {
        true => format!("{to} holds everything of {from} already; nothing was copied"),
        false => format!("moved {from} to {to}"),
    };
    let Moved { entries, root, checkpoints, .. } = moved;
    format!(
        "{first}\n\n{}\n\nthe same on both sides: every row, and the ledger with {entries} entries, root {root}, which continues \
         {checkpoints} {} kept with it.\n{from} was only read. Next: docs/postgres.md, \"Moving\".",
        table::render(&["TABLE", "ROWS"], &rows),
        if *checkpoints == 1 { "checkpoint" } else { "checkpoints" },
    )
}
