//! psql and mysql: a few statements that show how the server is are read word by word; every other one may call a function that
//! changes something, and is somebody's to confirm.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Program, low};
use super::super::syntax::Word;
use crate::domain::DangerLevel::{self, Critical, High, Low, Medium};

const PSQL: Program = low(
    "psql",
    "-AHlnqSsStwxXaeEz01 -c= -d=% -F= -h=! -p= -P= -R= -U= -T= -L= -o= --command= --dbname=% --host=! --port= --username= --no-align --tuples-only --expanded --csv --html --list --no-psqlrc --no-password --pset= --quiet --field-separator= --record-separator= --echo-errors --single-transaction",
)
.raised(&[
    ("-f= --file= -v= --set= --variable=", High, "runs statements that are not on the command line"),
    ("-o= --output= -L= --log-file=", High, "writes a file"),
    ("-W --password", Medium, "asks for a password"),
]);
const MYSQL: Program = low(
    "mysql",
    "-ABEGHNnqsrtvVwXCbf -e= -h=^ -P= -u= -S= -D= -# --execute= --host=^ --port= --user= --socket= --database= --batch --silent --table --vertical --skip-column-names --column-names --raw --connect-timeout= --protocol= --no-auto-rehash --html --xml",
)
.raised(&[
    ("-p? --password? --defaults-file= --defaults-extra-file= --defaults-group-suffix= --login-path= --ssl-key=", Medium, "uses a password"),
    ("--init-command= --tee= --pager? --system-command? --plugin-dir= --delimiter= --local-infile? --load-data-local-dir=", High, "runs a program, or writes a file"),
]);

/// Tables that tell how the server is.
const SYSTEM: [&str; 10] = [
    "pg_stat_",
    "pg_statio_",
    "pg_locks",
    "pg_database",
    "pg_replication_slots",
    "pg_tables",
    "pg_indexes",
    "pg_class",
    "information_schema",
    "performance_schema",
];
/// Functions that only compute.
const FUNCTIONS: [&str; 30] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "now",
    "age",
    "round",
    "coalesce",
    "extract",
    "date_trunc",
    "length",
    "lower",
    "upper",
    "left",
    "right",
    "substr",
    "substring",
    "to_char",
    "pg_size_pretty",
    "pg_database_size",
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "version",
    "current_database",
    "pg_is_in_recovery",
    "pg_last_xact_replay_timestamp",
    "concat",
];
/// What may stand before a bracket that is no function's.
const WORDS: [&str; 14] = ["select", "where", "and", "or", "not", "in", "on", "by", "when", "then", "else", "having", "as", "using"];

/// How a statement that reads may begin.
const READING: [&str; 8] = ["select", "show", "explain", "with", "describe", "desc", "values", "table"];
/// Words that make it something else, wherever they stand.
const CHANGING: [&str; 23] = [
    ";", "insert", "update", "delete", "alter", "create", "copy", "call", "do", "into", "merge", "lock", "vacuum", "reindex", "cluster",
    "kill", "set", "load", "outfile", "dumpfile", "execute", "prepare", "analyze",
];
/// Functions and tables that reach files, passwords, other sessions or other servers.
const REACHING: [&str; 8] = ["pg_read", "pg_ls", "lo_", "pg_shadow", "authid", "pg_terminate", "load_file", "dblink"];

pub fn psql(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    client(judge, program, words, &PSQL, &["-c", "--command"], &["-l", "--list"])
}

pub fn mysql(judge: &mut Judge, program: &Program, words: &[Word]) -> Run {
    client(judge, program, words, &MYSQL, &["-e", "--execute"], &[])
}

fn client(judge: &mut Judge, program: &Program, words: &[Word], table: &Program, given_by: &[&str], lists: &[&str]) -> Run {
    let scan = judge.scan(&[table], &words[1..], false);
    scan.operands.iter().for_each(|word| judge.database(word));
    let statements: Vec<&Word> = scan.given(given_by).collect();
    if statements.is_empty()
        && !scan.options.iter().any(|option| lists.contains(&option.as_str()) || option == "-V" || option == "--version")
    {
        let (level, why) = if judge.piped { (High, "runs statements from a pipe or file") } else { (Medium, "waits at a terminal") };
        judge.note(&said(words), level, why);
    }
    for statement in &statements {
        let (level, why) = match table.is_called("psql") && described(&statement.text) {
            true => (Low, "shows what is there"),
            false => level(&statement.text),
        };
        judge.note(&statement.text, level, why);
    }
    judge.note(&said(words), program.level, program.why);
    Run::plain(words)
}

/// psql's own `\dt+ public.*`: lists and descriptions, without what functions and views are made of.
fn described(statement: &str) -> bool {
    let text = statement.trim();
    let (command, name) = text.split_once(' ').unwrap_or((text, ""));
    let lists = ["\\l", "\\d", "\\dt", "\\di", "\\ds", "\\dm", "\\dn", "\\du", "\\dg", "\\dx", "\\db", "\\dp", "\\dT", "\\conninfo"];
    lists.contains(&command.trim_end_matches('+'))
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '*' | '?' | ' '))
}

fn level(statement: &str) -> (DangerLevel, &'static str) {
    // How mysql is asked for one field a line.
    let statement = statement.trim_end().trim_end_matches("\\G").trim_end_matches("\\g");
    let Some(tokens) = tokens(statement) else { return (High, "SQL that is not read here") };
    let has = |words: &[&str]| tokens.iter().any(|token| words.contains(&token.as_str()));
    let reaches = |parts: &[&str]| tokens.iter().any(|token| parts.iter().any(|part| token.contains(part)));
    match () {
        () if has(&["drop", "truncate", "pg_promote"]) || (has(&["delete"]) && !has(&["where"])) => {
            (Critical, "removes data, or moves the database")
        }
        () if has(&["grant", "revoke"]) || (has(&["password", "role", "user"]) && has(&["alter", "create", "set"])) => {
            (Critical, "changes who may do what")
        }
        () if shows(&tokens) => (Low, "shows how the server is"),
        () if has(&READING) && READING.contains(&tokens[0].as_str()) && !has(&CHANGING) && !reaches(&REACHING) => {
            (Medium, "may call a function that changes something, or show what is private")
        }
        () => (High, "may change what is stored"),
    }
}

/// One statement over the server's own tables, with functions that only compute.
fn shows(tokens: &[String]) -> bool {
    let (first, rest) = match tokens.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => return false,
    };
    let forbidden = ["into", "update", "insert", "delete", "for", "lock", ";", "call", "union", "with"];
    if rest.iter().any(|token| forbidden.contains(&token.as_str())) {
        return false;
    }
    match first {
        "show" => {
            rest.iter().all(|token| token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '\'' | '"' | '%' | '.')))
                && !rest.iter().any(|token| token.contains("grant") || token == "create")
        }
        "select" => functions_compute(rest) && tables_tell(rest),
        _ => false,
    }
}

fn functions_compute(tokens: &[String]) -> bool {
    tokens.windows(2).filter(|pair| pair[1] == "(").all(|pair| {
        let name = pair[0].as_str();
        FUNCTIONS.contains(&name)
            || WORDS.contains(&name)
            || !name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '"' || c == '.')
    })
}

/// Every table after FROM or JOIN is the server's own; no FROM at all is fine.
fn tables_tell(tokens: &[String]) -> bool {
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        if !matches!(token.as_str(), "from" | "join") {
            continue;
        }
        loop {
            let Some(table) = rest.next() else { return false };
            let name = table.strip_prefix("pg_catalog.").unwrap_or(table);
            if !SYSTEM.iter().any(|known| name.starts_with(known)) {
                return false;
            }
            // An alias, and perhaps another table.
            while rest.peek().is_some_and(|next| {
                *next == "as"
                    || (next.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                        && !WORDS.contains(&next.as_str())
                        && !matches!(next.as_str(), "join" | "left" | "inner" | "group" | "order" | "limit" | "using"))
            }) {
                rest.next();
            }
            if rest.peek().is_none_or(|next| *next != ",") {
                break;
            }
            rest.next();
        }
    }
    true
}

/// Words, texts and signs, in small letters; `None` for what is not plain SQL (comments, escapes, dollar quotes, psql's own commands).
fn tokens(text: &str) -> Option<Vec<String>> {
    let text = text.trim().trim_end_matches(';').trim_end().to_lowercase();
    if text.contains("--") || text.contains("/*") || text.contains('\\') || text.contains('$') || text.contains('`') || text.contains('#') {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut token = c.to_string();
        match c {
            ' ' => continue,
            '\'' | '"' => loop {
                let next = rest.next()?;
                token.push(next);
                if next == c {
                    break;
                }
            },
            c if c.is_alphanumeric() || c == '_' => {
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || matches!(next, '_' | '.')) {
                    token.push(next);
                }
            }
            _ => {}
        }
        tokens.push(token);
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_over_the_servers_own_tables_read() {
        for good in [
            "select count(*) from pg_stat_activity",
            "SELECT pid, state, now() - query_start AS age FROM pg_stat_activity WHERE state <> 'idle' ORDER BY age DESC LIMIT 10;",
            "select datname, pg_size_pretty(pg_database_size(datname)) from pg_database",
            "select l.pid, a.query from pg_locks l join pg_stat_activity a on l.pid = a.pid where not l.granted",
            "select 1",
            "show max_connections",
            "show processlist",
            "show engine innodb status\\G",
            "show global status like 'Threads%'",
            "show variables like \"max_connections\"",
        ] {
            assert_eq!(level(good).0, Low, "{good}");
        }
    }

    #[test]
    fn whatever_else_may_happen_is_somebodys_to_confirm() {
        for (statement, expected) in [
            ("select * from users", Medium),
            ("select my_cleanup()", Medium),
            ("select pg_terminate_backend(12)", High),
            ("select pg_read_file('/etc/passwd')", High),
            ("show tables; system id", High),
            ("select count(*) from pg_stat_activity; delete from users where id = 1", High),
            ("select * into x from pg_stat_activity", High),
            ("select count (*) from pg_class, users", Medium),
            ("update users set x = 1", High),
            ("copy users to program 'sh'", High),
            ("\\! rm -rf /", High),
            ("select 1 -- x", High),
            ("delete from users", Critical),
            ("drop table users", Critical),
            ("DROP/**/TABLE users", High),
            ("alter role x password 'y'", Critical),
        ] {
            assert_eq!(level(statement).0, expected, "{statement}");
        }
    }
}
