//! The private directory of a server: its data, logs and sockets.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ServerError;
use crate::account::Account;

/// `f_type` of tmpfs, from linux/magic.h.
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// Makes a new directory that only `account` (or the owner) and root can enter. In `base` when
/// given, else in `STEPMARK_TMP`, else in /tmp, or in /var/tmp where /tmp is memory: a commit on
/// memory costs nothing, and every figure of durable work would be wrong.
pub(crate) fn create(
    base: Option<&Path>,
    server: &str,
    account: Option<&Account>,
) -> Result<PathBuf, ServerError> {
    let base = base.map_or_else(default_base, Path::to_path_buf);
    let base = base
        .canonicalize()
        .map_err(|source| ServerError::Directory { path: base.clone(), source })?;
    let path = unique(&base, server)
        .map_err(|source| ServerError::Directory { path: base.clone(), source })?;
    let Some(account) = account else {
        return Ok(path);
    };
    let opened =
        account.own(&path).map_err(|source| ServerError::Directory { path: path.clone(), source });
    let opened = opened.and_then(|()| match account.closed_directory(&path) {
        Some(closed) => {
            Err(ServerError::Closed { path: path.clone(), closed, account: account.name.clone() })
        }
        None => Ok(()),
    });
    if let Err(error) = opened {
        // Empty, and of no use: the error matters more than its removal.
        let _ = fs::remove_dir(&path);
        return Err(error);
    }
    Ok(path)
}

/// The last lines of a log, for an error.
pub(crate) fn last_lines(log: &Path) -> String {
    const LINES: usize = 15;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

fn default_base() -> PathBuf {
    if let Some(base) = env::var_os("STEPMARK_TMP") {
        return PathBuf::from(base);
    }
    let is_memory =
        |path: &str| rustix::fs::statfs(path).is_ok_and(|found| found.f_type == TMPFS_MAGIC);
    let base = if is_memory("/tmp") && !is_memory("/var/tmp") { "/var/tmp" } else { "/tmp" };
    PathBuf::from(base)
}

fn unique(base: &Path, server: &str) -> io::Result<PathBuf> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name =
            format!("stepmark-{server}-{}-{count}-{:x}", std::process::id(), nanos.subsec_nanos());
        let path = base.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
