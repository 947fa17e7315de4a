//! One PostgreSQL for the whole test program, and a database of its own for each test.

use std::sync::OnceLock;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use stepmark_engine::database;
use stepmark_servers::{Postgres, PostgresBinaries, PostgresOptions};

use super::unique;

/// The engine's role: it owns its databases and is no superuser.
pub const ROLE: &str = "stepmark";

/// The database that all others are copies of.
const MIGRATED: &str = "migrated";

/// The server that the tests of this program share; its databases are migrated.
pub fn postgres() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = own_postgres();
        let options = database::options(&server.url(MIGRATED, ROLE), "tests").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let prepared = database::prepare(&options, Duration::ZERO);
                runtime.block_on(prepared).unwrap();
            });
        });
        // What must hold of every row is checked at every write.
        let enforce = "SELECT stepmark.enforce_checks();\n";
        server.psql(MIGRATED, enforce, &[]).unwrap();
        server
    })
}

/// A server for a test that stops it; its one database is empty.
pub fn own_postgres() -> Postgres {
    let binaries = PostgresBinaries::find(None).unwrap();
    let server = Postgres::start(&binaries, PostgresOptions::default()).unwrap();
    server.create_role_and_database(ROLE, MIGRATED).unwrap();
    server
}

/// A test's database.
#[derive(Debug, Clone)]
pub struct Database {
    /// For the engine.
    pub url: String,
    superuser_url: String,
}

impl Database {
    /// A new one, with the schema.
    pub fn migrated() -> Self {
        Self::create(&format!("TEMPLATE {MIGRATED}"))
    }

    /// A new one, with nothing.
    pub fn empty() -> Self {
        Self::create("")
    }

    /// The one of a server of its own.
    pub fn of(server: &Postgres) -> Self {
        Self { url: server.url(MIGRATED, ROLE), superuser_url: server.superuser_url(MIGRATED) }
    }

    fn create(how: &str) -> Self {
        let (server, name) = (postgres(), unique("test"));
        let script = format!("CREATE DATABASE {name} OWNER {ROLE} {how};\n");
        server.psql("postgres", &script, &[]).unwrap();
        Self { url: server.url(&name, ROLE), superuser_url: server.superuser_url(&name) }
    }

    /// Connections as the engine makes them.
    pub fn options(&self) -> PgConnectOptions {
        database::options(&self.url, "tests").unwrap()
    }

    /// A connection as the engine makes it.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }

    /// A superuser's connection, to look at statistics.
    pub async fn superuser(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.superuser_url).await.unwrap();
        execute(&mut connection, "SET search_path = stepmark, public").await;
        connection
    }

    /// Deadlocks in this database so far; all other connections must have been closed.
    pub async fn deadlocks(&self) -> i64 {
        let mut connection = self.superuser().await;
        super::eventually("the others' statistics are in", async || {
            let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
            (number(&mut connection, others).await == 0).then_some(())
        })
        .await;
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        number(&mut connection, deadlocks).await
    }
}

/// Runs statements without results.
pub async fn execute(connection: &mut PgConnection, sql: &str) {
    let ran = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    if let Err(error) = ran.execute(connection).await {
        panic!("{error}: {sql}");
    }
}

/// The one number that a statement without parameters gives.
pub async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    let found = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    match found.fetch_one(connection).await {
        Ok(number) => number,
        Err(error) => panic!("{error}: {sql}"),
    }
}
