//! What a table looks like on either side, and its rows as both sides can hold them. The file's schema says which columns there are:
//! migrations of one number make the same tables on both.

use super::side::Kind;
use super::{MoveError, Result};
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{Any, Row as _};

type Bound<'q> = Query<'q, Any, <Any as sqlx::Database>::Arguments>;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Integer,
    Text,
    Bytes,
}

impl Holds {
    /// By SQLite's name of the type, as the migrations write it.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "INTEGER" | "BIGINT" | "SMALLINT" => Some(Self::Integer),
            "TEXT" => Some(Self::Text),
            "BLOB" => Some(Self::Bytes),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub holds: Holds,
    /// Its place in the primary key, from 1; 0 where it has none.
    pub key: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

impl Table {
    pub fn kinds(&self) -> impl Iterator<Item = Holds> + Clone {
        self.columns.iter().map(|column| column.holds)
    }

    /// Every row, in the order of the key; without one, of everything. Texts go byte by byte, on both sides.
    pub fn select(&self, kind: Kind) -> String {
        let shown = |column: &Column| match (column.holds, column.name.as_str()) {
            // A lease is a server's, and none runs.
            (Holds::Integer, "lease_until") => "CAST(NULL AS BIGINT) AS lease_until".to_owned(),
            (Holds::Integer, name) => format!("CAST({name} AS BIGINT) AS {name}"),
            (_, name) => name.to_owned(),
        };
        let columns: Vec<String> = self.columns.iter().map(shown).collect();
        let mut keys: Vec<&Column> = self.columns.iter().filter(|column| column.key > 0).collect();
        keys.sort_by_key(|column| column.key);
        if keys.is_empty() {
            keys = self.columns.iter().collect();
        }
        let by = |column: &&Column| match (kind, column.holds) {
            (Kind::Postgres, Holds::Text) => format!("{0}.{1} COLLATE \"C\" NULLS FIRST", self.name, column.name),
            _ => format!("{}.{} NULLS FIRST", self.name, column.name),
        };
        let order: Vec<String> = keys.iter().map(by).collect();
        format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), self.name, order.join(", "))
    }

    pub fn insert(&self, rows: usize) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let row = |row: usize| {
            let places: Vec<String> = (1..=names.len()).map(|place| format!("${}", row * names.len() + place)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!("INSERT INTO {} ({}) VALUES {}", self.name, names.join(", "), rows.join(", "))
    }

    pub fn cells(&self, row: &AnyRow) -> std::result::Result<Vec<Cell>, sqlx::Error> {
        let cell = |(place, column): (usize, &Column)| {
            Ok(match column.holds {
                Holds::Integer => row.try_get::<Option<i64>, _>(place)?.map_or(Cell::Null, Cell::Integer),
                Holds::Text => row.try_get::<Option<String>, _>(place)?.map_or(Cell::Null, Cell::Text),
                Holds::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map_or(Cell::Null, Cell::Bytes),
            })
        };
        self.columns.iter().enumerate().map(cell).collect()
    }

    pub fn stopped(&self, path: &str, row: u64, source: sqlx::Error) -> MoveError {
        MoveError::Row { path: path.to_owned(), table: self.name.clone(), row, source }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    pub fn size(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// A null is one of its column's kind: PostgreSQL asks.
    pub fn bind(self, query: Bound<'_>, holds: Holds) -> Bound<'_> {
        match (self, holds) {
            (Self::Integer(number), _) => query.bind(number),
            (Self::Text(text), _) => query.bind(text),
            (Self::Bytes(bytes), _) => query.bind(bytes),
            (Self::Null, Holds::Integer) => query.bind(None::<i64>),
            (Self::Null, Holds::Text) => query.bind(None::<String>),
            (Self::Null, Holds::Bytes) => query.bind(None::<Vec<u8>>),
        }
    }
}

/// SHA-256 over rows, each cell with its kind and length before it.
#[derive(Debug, Default)]
pub struct Digest {
    pub rows: u64,
    hash: Sha256,
}

impl Digest {
    pub fn take(&mut self, cells: &[Cell]) {
        for cell in cells {
            let number;
            let (kind, bytes): (u8, &[u8]) = match cell {
                Cell::Null => (0, &[]),
                Cell::Integer(integer) => {
                    number = integer.to_be_bytes();
                    (1, &number)
                }
                Cell::Text(text) => (2, text.as_bytes()),
                Cell::Bytes(bytes) => (3, bytes),
            };
            self.hash.update([kind]);
            self.hash.update((bytes.len() as u64).to_be_bytes());
            self.hash.update(bytes);
        }
        self.rows += 1;
    }

    pub fn finish(self) -> (u64, String) {
        (self.rows, hex::encode(self.hash.finalize()))
    }
}

/// A type that no migration has used yet.
pub fn unknown(path: &str, table: &str, column: &str, holds: &str) -> Result<Holds> {
    let why = format!("column {column} of table {table} is of the type {holds}: expected one of INTEGER, TEXT, BLOB");
    Holds::named(holds).ok_or(MoveError::Unfit { path: path.to_owned(), why })
}
