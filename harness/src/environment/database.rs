//! The databases of one run: the engine's, with its own role, and the harness's own beside it.

use amqprs::channel::QueueDeleteArguments;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use uuid::Uuid;

use super::{EnvironmentError, amqp};

/// The names that one run uses in PostgreSQL.
#[derive(Debug, Clone)]
pub struct Names {
    /// The engine's database, owned by its role.
    pub engine_database: String,
    /// The engine's role, which is no superuser.
    pub role: String,
    /// The harness's database: what it does there is not counted as the engine's.
    pub harness_database: String,
}

/// The databases of one run, and its queues. [`RunDatabase::remove`] drops them.
#[derive(Debug, Clone)]
pub struct RunDatabase {
    /// Their names.
    pub names: Names,
    /// The engine's URL.
    pub engine_url: String,
    /// Where RabbitMQ is, when it is the broker.
    amqp_url: Option<String>,
    admin: PgConnectOptions,
}

impl RunDatabase {
    /// Has `pg_stat_statements` count what functions run too, in sessions of the engine that begin
    /// from now on. It takes time, so that latencies are not those of other runs.
    ///
    /// # Errors
    /// The server is unreachable, or does not know the setting.
    pub async fn count_nested(&self) -> Result<(), EnvironmentError> {
        let what = "having the statements inside functions counted";
        let failed = |error| EnvironmentError::Postgres { what, error };
        let sql = format!("ALTER ROLE {} SET pg_stat_statements.track = 'all'", self.names.role);
        let mut connection = self.admin.connect().await.map_err(failed)?;
        connection.execute(AssertSqlSafe(sql)).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    /// Makes the databases and the role, on the server of `admin_url` (a superuser's). The engine
    /// makes its queues itself, at `amqp_url`, under [`RunDatabase::queue_prefix`].
    ///
    /// # Errors
    /// The server is unreachable or the role may not create databases.
    pub async fn create(
        admin_url: &str,
        amqp_url: Option<String>,
    ) -> Result<RunDatabase, EnvironmentError> {
        let what = "making the databases of a run";
        let failed = |error| EnvironmentError::Postgres { what, error };
        let admin: PgConnectOptions = admin_url.parse().map_err(failed)?;
        let id = Uuid::new_v4().simple().to_string();
        let (id, password) = (&id[..12], Uuid::new_v4().simple().to_string());
        let names = Names {
            engine_database: format!("stepmark_{id}"),
            role: format!("stepmark_{id}"),
            harness_database: format!("stepmark_harness_{id}"),
        };
        let Names { engine_database, role, harness_database } = &names;
        let mut connection = admin.connect().await.map_err(failed)?;
        for sql in [
            format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'"),
            format!("CREATE DATABASE {engine_database} OWNER {role}"),
            format!("CREATE DATABASE {harness_database}"),
        ] {
            connection.execute(AssertSqlSafe(sql)).await.map_err(failed)?;
        }
        // Not fatal: where it cannot be made, the run says what it could not count.
        let mut harness = connect(&admin, harness_database).await?;
        let extension = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
        if let Err(error) = harness.execute(extension).await {
            tracing::warn!(%error, "pg_stat_statements is not available");
        }
        let engine = admin.clone().username(role).password(&password).database(engine_database);
        let engine_url = for_all_clients(engine.to_url_lossy().as_str());
        Ok(RunDatabase { names, engine_url, amqp_url, admin })
    }

    /// A superuser's connection to the engine's database.
    ///
    /// # Errors
    /// The server is unreachable.
    pub async fn connect_to_engine(&self) -> Result<PgConnection, EnvironmentError> {
        connect(&self.admin, &self.names.engine_database).await
    }

    /// A superuser's connection to the harness's own database.
    ///
    /// # Errors
    /// The server is unreachable.
    pub async fn connect_to_harness(&self) -> Result<PgConnection, EnvironmentError> {
        connect(&self.admin, &self.names.harness_database).await
    }

    /// What the names of the run's queues begin with: clusters that share a broker must not take
    /// each other's messages.
    pub fn queue_prefix(&self) -> String {
        format!("{}.", self.names.engine_database)
    }

    /// The superuser's role.
    pub fn admin_role(&self) -> &str {
        self.admin.get_username()
    }

    /// The superuser's URL of the harness's own database.
    pub fn harness_url(&self) -> String {
        self.admin.clone().database(&self.names.harness_database).to_url_lossy().to_string()
    }

    /// Drops the databases and the role, whoever is still connected. What is
    /// gone already is no error.
    ///
    /// # Errors
    /// The server is unreachable.
    pub async fn remove(self) -> Result<(), EnvironmentError> {
        let what = "dropping the databases of a run";
        let failed = |error| EnvironmentError::Postgres { what, error };
        let Names { engine_database, role, harness_database } = &self.names;
        let queues = self.remove_queues().await; // whose namespaces the database knows
        let mut connection = self.admin.connect().await.map_err(failed)?;
        for sql in [
            format!("DROP DATABASE IF EXISTS {engine_database} WITH (FORCE)"),
            format!("DROP DATABASE IF EXISTS {harness_database} WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS {role}"),
        ] {
            connection.execute(AssertSqlSafe(sql)).await.map_err(failed)?;
        }
        connection.close().await.map_err(failed)?;
        queues
    }

    async fn remove_queues(&self) -> Result<(), EnvironmentError> {
        let Some(amqp_url) = &self.amqp_url else {
            return Ok(());
        };
        let what = "deleting the queues of a run";
        let failed = |error| EnvironmentError::RabbitMq { what, error };
        // None when the engine never got so far as to make its tables.
        let mut database = self.connect_to_engine().await?;
        let namespaces = "SELECT DISTINCT namespace FROM stepmark.task_templates";
        let namespaces: Vec<String> =
            sqlx::query_scalar(namespaces).fetch_all(&mut database).await.unwrap_or_default();
        let connection = amqp::open(amqp_url).await.map_err(failed)?;
        let channel = connection.open_channel(None).await.map_err(failed)?;
        let dispatch = namespaces.iter().map(|namespace| format!("dispatch.{namespace}"));
        for queue in dispatch.chain(["completions".to_owned()]) {
            let name = format!("{}{queue}", self.queue_prefix());
            // One that is not there is no error of AMQP 0-9-1 as RabbitMQ speaks it.
            channel.queue_delete(QueueDeleteArguments::new(&name)).await.map_err(failed)?;
        }
        connection.close().await.map_err(failed)
    }
}

async fn connect(
    admin: &PgConnectOptions,
    database: &str,
) -> Result<PgConnection, EnvironmentError> {
    let what = "connecting to PostgreSQL";
    let connection = admin.clone().database(database).connect().await;
    connection.map_err(|error| EnvironmentError::Postgres { what, error })
}

/// The URL without the parameter that only sqlx knows, so that psql takes it too.
fn for_all_clients(url: &str) -> String {
    let Some((place, parameters)) = url.split_once('?') else {
        return url.to_owned();
    };
    let common: Vec<&str> =
        parameters.split('&').filter(|one| !one.starts_with("statement-cache-capacity=")).collect();
    format!("{place}?{}", common.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_nothing_that_psql_refuses() {
        let url = "postgres://r:p@h/d?sslmode=prefer&statement-cache-capacity=100";
        assert_eq!(for_all_clients(url), "postgres://r:p@h/d?sslmode=prefer");
        assert_eq!(for_all_clients("postgres://h/d"), "postgres://h/d");
    }
}
