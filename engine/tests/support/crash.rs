//! A crash of PostgreSQL that takes back whatever nobody has waited for.

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

use super::{Database, eventually, number};

/// A server whose log is flushed by commits that wait for it, and by nothing else.
pub struct UnflushedLog {
    database: Database,
    wal_writer: i64,
}

impl UnflushedLog {
    /// Stops the process that flushes what others don't wait for.
    pub async fn hold(database: Database) -> Self {
        let of_it = "SELECT pid::bigint FROM pg_stat_activity WHERE backend_type = 'walwriter'";
        let wal_writer = number(&mut database.superuser().await, of_it).await;
        signal(wal_writer, Signal::STOP);
        Self { database, wal_writer }
    }

    /// Crashes the server: a child of it dies, and it starts all others anew from the log on disk.
    pub async fn crash(self, connected: &mut PgConnection) -> PgConnection {
        signal(self.wal_writer, Signal::KILL);
        eventually("the connection breaks", async || connected.ping().await.is_err().then_some(()))
            .await;
        let connect = async || {
            let options = self.database.options();
            PgConnection::connect_with(&options).await.ok()
        };
        eventually("the server is back", connect).await
    }
}

fn signal(pid: i64, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}
