//! Databases and their clients. What is asked of one is read by `sql` and `redis`; what those do not know is somebody's to confirm.

use super::super::spec::{Need, Operands, Program, low, program};
use super::{redis, special, sql};
use crate::domain::DangerLevel::{Critical, High, Low, Medium};

const NET: &[Need] = &[Need::Unix, Need::Internet, Need::Netlink];

const MYSQLADMIN: &str = "-h=^ -P= -u= -S= -i= -c= -r -v --host=^ --port= --user= --socket= --sleep= --count= --relative --verbose";
const PASSWORDS: &[(&str, crate::domain::DangerLevel, &str)] =
    &[("-p? --password? --defaults-file= --defaults-extra-file=", Medium, "uses a password")];

pub const TABLE: &[Program] = &[
    program("redis-cli valkey-cli keydb-cli", Low, "asks Redis", "").judged(redis::judge).needing(NET),
    program("psql", Low, "asks PostgreSQL", "").judged(sql::psql).needing(NET),
    program("mysql mariadb", Low, "asks MySQL", "").judged(sql::mysql).needing(NET),
    low("pg_isready", "-q -d=% -h=! -p= -t= -U= --dbname=% --host=! --port= --quiet --timeout= --username=").needing(NET),
    low("pg_lsclusters pg_config pg_controldata", "-hjs -D="),
    low("mysqladmin mariadb-admin", MYSQLADMIN)
        .raised(PASSWORDS)
        .with(&[
            low("status ping processlist extended-status version variables", MYSQLADMIN).raised(PASSWORDS).judged(special::each),
            program("kill shutdown drop create password old-password flush-hosts flush-logs flush-privileges flush-status flush-tables reload refresh stop-slave start-slave", Critical, "stops the database, or changes who may use it", ""),
        ])
        .needing(NET),
    low("mysqlcheck", "-c --check").raised(&[("-r -o -a --repair --optimize --analyze --auto-repair", High, "changes tables")]).needing(NET),
    program("mongo mongosh mongod", High, "runs JavaScript against a database", ""),
    program("sqlite3 duckdb", High, "runs SQL and commands against a file", ""),
    program("clickhouse-client clickhouse cqlsh influx", High, "asks a database things that are not read here", ""),
    program("pg_dump pg_dumpall mysqldump mariadb-dump mongodump redis-dump", High, "shows everything that is stored", ""),
    program("dropdb dropuser mysql_secure_installation", Critical, "removes a database or its users", ""),
    program("createdb createuser pg_restore mongorestore vacuumdb reindexdb clusterdb", High, "changes a database", ""),
    program("pg_ctl pg_ctlcluster pg_promote patronictl repmgr stolonctl orchestrator-client pg_autoctl mysqlfailover mysqlrpladmin pg_resetwal pg_rewind", Critical, "moves or stops a database", "")
        .judged(special::list_only),
    low("kafka-topics kafka-topics.sh kafka-consumer-groups kafka-consumer-groups.sh", "--list --describe --bootstrap-server=^ --topic= --group= --all-groups --all-topics --members --offsets --state? --verbose --under-replicated-partitions --unavailable-partitions --timeout=")
        .only_with(&["--list", "--describe"], High, "changes topics or groups")
        .raised(&[("--delete --reset-offsets --execute --delete-offsets", Critical, "removes data, or what was read of it"), ("--create --alter --command-config= --zookeeper=", High, "changes topics")])
        .needing(&[Need::Internet, Need::Unix, Need::Netlink, Need::Forks]),
    low("memcstat memcping", "-s=^ --servers=^").on(Operands::Machines).needing(NET),
    program("memcflush memcrm", Critical, "empties a cache", ""),
];
