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
    /// Stops the process that flushes what others don't wait for, while it waits for work: in the
    /// midst of a flush it has the log's lock, and everybody would wait for it for ever.
    pub async fn hold(database: Database) -> Self {
        let mut superuser = database.superuser().await;
        let of_it = "SELECT pid::bigint FROM pg_stat_activity WHERE backend_type = 'walwriter'";
        let wal_writer = number(&mut superuser, of_it).await;
        let waits = "SELECT count(*) FROM pg_stat_activity \
            WHERE backend_type = 'walwriter' AND wait_event = 'WalWriterMain'";
        eventually("the WAL writer is stopped at rest", async || {
            signal(wal_writer, Signal::STOP);
            is_stopped(wal_writer).await;
            if number(&mut superuser, waits).await == 1 {
                return Some(());
            }
            signal(wal_writer, Signal::CONT);
            None
        })
        .await;
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

/// Waits until a signal to stop has been heeded.
async fn is_stopped(pid: i64) {
    eventually("the process is stopped", async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, state) = stat.rsplit_once(") ").unwrap(); // behind the program's name
        state.starts_with('T').then_some(())
    })
    .await;
}
