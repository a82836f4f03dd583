//! Where a store is: what its URL says, and what of it may be shown. Never shows a password.

use super::{Result, StoreError};
use std::path::{Path, PathBuf};

const EXPECTED: &str = "expected sqlite:///absolute/file.db, sqlite://relative/file.db or postgres://user:password@host/database";

/// A store's place, as its URL names it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Address {
    Sqlite(PathBuf),
    /// The whole URL, with its password.
    Postgres(String),
}

impl Address {
    pub fn parse(url: &str) -> Result<Self> {
        let sqlite = url.strip_prefix("sqlite://").filter(|path| !path.is_empty() && !path.contains('?') && !path.contains(":memory:"));
        if let Some(path) = sqlite {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        match is_shared(url) && url.parse::<sqlx::any::AnyConnectOptions>().is_ok() {
            true => Ok(Self::Postgres(url.to_owned())),
            false => Err(StoreError::Url { shown: shown(url), expected: EXPECTED }),
        }
    }
}

/// None if it can be a store's URL; else what was expected.
pub fn problem(url: &str) -> Option<String> {
    Address::parse(url).err().map(|_| EXPECTED.to_owned())
}

/// May several servers use it at once?
pub fn is_shared(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// The folder of what is not in the store itself: the server's run folder, its halt file, the ledger's key. Beside a file; for a
/// server of its own it is `named` (`store.dir`).
pub fn folder(url: &str, named: Option<&Path>) -> PathBuf {
    match (named, is_shared(url)) {
        (Some(named), true) => named.to_owned(),
        (None, true) => PathBuf::from("data"),
        (_, false) => Path::new(url.trim_start_matches("sqlite://")).parent().unwrap_or(Path::new("")).to_owned(),
    }
}

/// The URL without who logs in and without options.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.rsplit('@').next().unwrap_or(rest);
    let rest = rest.split('?').next().unwrap_or(rest);
    let shown = if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") };
    shown.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(shown("postgres://ana:s3cret@db:5432/paramedic?sslmode=require"), "postgres://db:5432/paramedic");
        assert_eq!(shown("postgres://ana:s3cr@t@db/paramedic?password=s3cret"), "postgres://db/paramedic");
        assert_eq!(shown("sqlite://data/paramedic.db"), "sqlite://data/paramedic.db");
        let told = Address::parse("mysql://ana:s3cret@db/x").err().unwrap().to_string();
        assert!(!told.contains("s3cret") && told.contains("mysql://db/x") && told.contains("postgres://user:password@host"), "{told}");
        let told = Address::parse("postgres://ana:s3cret@db:port/x").err().unwrap().to_string();
        assert!(!told.contains("s3cret"), "{told}");
    }

    #[test]
    fn what_lies_beside_a_file_lies_in_a_folder_of_its_own_for_a_database() {
        assert_eq!(folder("sqlite:///var/lib/paramedic/p.db", Some(Path::new("/x"))), Path::new("/var/lib/paramedic"));
        assert_eq!(folder("postgres://db/paramedic", None), Path::new("data"));
        assert_eq!(folder("postgresql://db/paramedic", Some(Path::new("/x"))), Path::new("/x"));
    }
}
