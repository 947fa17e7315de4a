//! Where the project is, and where a report goes.

use std::io;
use std::path::{Path, PathBuf};

/// The project's folder: `STEPMARK_ROOT`, or the nearest folder from here upwards that has
/// scenarios and workflows, or the one that this program was built in.
pub fn root() -> PathBuf {
    if let Some(told) = std::env::var_os("STEPMARK_ROOT") {
        return PathBuf::from(told);
    }
    let here = std::env::current_dir().unwrap_or_default();
    let is_root = |folder: &&Path| {
        folder.join("scenarios").is_dir() && folder.join("fixtures/workflows").is_dir()
    };
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let found = here.ancestors().find(is_root).map(Path::to_path_buf);
    found.unwrap_or_else(|| std::fs::canonicalize(built_in).unwrap_or_else(|_| built_in.into()))
}

/// A new folder's name for a report: `reports/runs/` and the time.
pub fn new_folder(root: &Path) -> PathBuf {
    let stamp = chrono::Utc::now().format("%Y%m%dT%H%M%S%3fZ").to_string();
    root.join("reports/runs").join(stamp)
}

/// Makes `reports/latest` a link to the report's folder.
///
/// # Errors
/// The link cannot be made; a real folder of that name is left alone.
pub fn latest_link(root: &Path, folder: &Path) -> io::Result<()> {
    let reports = root.join("reports");
    let Ok(target) = folder.strip_prefix(&reports) else {
        return Ok(());
    };
    // Made beside and moved over, so that there is a latest report at any moment.
    let fresh = reports.join(format!(".latest-{}", std::process::id()));
    std::os::unix::fs::symlink(target, &fresh)?;
    std::fs::rename(&fresh, reports.join("latest")).inspect_err(|_| {
        let _ = std::fs::remove_file(&fresh);
    })
}
