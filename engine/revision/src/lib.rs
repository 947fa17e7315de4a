//! The revision of a source tree, as a hash of what the engine's and the workers' binaries are
//! built from. A build script stamps it into a binary; the harness computes it again and refuses a
//! binary of another revision, so that no figure is printed for code that isn't there any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What counts below the root of the source tree.
pub const PARTS: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "engine",
    "engine/bindings/python/src",
    "engine/bindings/ruby/src",
    "engine/bindings/typescript/native",
    "migrations",
    "scenarios/handlers/rust",
];

/// Folders that don't end up in a binary, wherever they stand, unless [`PARTS`] name what is in
/// them: a binding's package is no part of its library. Hidden ones don't count either.
pub const SKIPPED_FOLDERS: [&str; 5] = ["benches", "bindings", "prebuilds", "target", "tests"];

/// Hexadecimal digits of a revision.
pub const DIGITS: usize = 16;

/// The revision of the source tree at `root`: the first [`DIGITS`] hexadecimal digits of a SHA-256
/// over the relative path and content of each file of [`PARTS`], in the order of the paths.
/// `*.md`, hidden files, [`SKIPPED_FOLDERS`] and symbolic links don't count.
///
/// # Errors
/// A part that is missing, or a file or folder that cannot be read; the message names it.
pub fn source_hash(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for path in scan_parts(root)?.files {
        files.push((relative(root, &path), path));
    }
    files.sort();
    let mut hash = Sha256::new();
    for (name, path) in files {
        let content = fs::read(&path).map_err(|error| about(&path, &error))?;
        // With lengths before them, no two trees give the same bytes.
        for bytes in [name.as_bytes(), &content] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    let mut digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(DIGITS);
    Ok(digits)
}

/// The files and folders for cargo to watch, so that a change of the revision is noticed. Cargo
/// watches a folder with all that is below it; one that holds something skipped is therefore given
/// entry by entry, and a new entry of it is noticed only once something else changes.
///
/// # Errors
/// As [`source_hash`].
pub fn watched(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut watched = scan_parts(root)?.watched;
    watched.sort();
    Ok(watched)
}

/// For a build script: has cargo run it again when the revision of the tree at `root` may change.
///
/// # Errors
/// As [`source_hash`].
pub fn rerun_if_changed(root: &Path) -> io::Result<()> {
    for path in watched(root)? {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    Ok(())
}

/// For a build script: has the crate see the revision of the tree at `root` as
/// `env!("STEPMARK_REVISION")`, and be built again when it may change.
///
/// # Errors
/// As [`source_hash`].
pub fn emit(root: &Path) -> io::Result<()> {
    rerun_if_changed(root)?;
    println!("cargo:rustc-env=STEPMARK_REVISION={}", source_hash(root)?);
    Ok(())
}

/// What was found below a path.
struct Found {
    /// The files that count.
    files: Vec<PathBuf>,
    /// What to watch for them.
    watched: Vec<PathBuf>,
    /// Whether nothing was skipped.
    whole: bool,
}

fn scan_parts(root: &Path) -> io::Result<Found> {
    let mut all = Found { files: Vec::new(), watched: Vec::new(), whole: true };
    for part in PARTS {
        all.take(scan(&root.join(part))?);
    }
    Ok(all)
}

fn scan(path: &Path) -> io::Result<Found> {
    let of_path = |error: io::Error| about(path, &error);
    let mut found = Found { files: Vec::new(), watched: Vec::new(), whole: true };
    if fs::metadata(path).map_err(of_path)?.is_file() {
        found.files.push(path.to_owned());
        found.watched.push(path.to_owned());
        return Ok(found);
    }
    for entry in fs::read_dir(path).map_err(of_path)? {
        let entry = entry.map_err(of_path)?;
        if is_skipped(&entry)? {
            found.whole = false;
        } else {
            found.take(scan(&entry.path())?);
        }
    }
    if found.whole {
        found.watched = vec![path.to_owned()];
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, below: Self) {
        self.files.extend(below.files);
        self.watched.extend(below.watched);
        self.whole &= below.whole;
    }
}

fn is_skipped(entry: &fs::DirEntry) -> io::Result<bool> {
    let kind = entry.file_type().map_err(|error| about(&entry.path(), &error))?;
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let by_name =
        if kind.is_dir() { SKIPPED_FOLDERS.contains(&&*name) } else { name.ends_with(".md") };
    Ok(kind.is_symlink() || name.starts_with('.') || by_name)
}

/// The path below `root` with slashes, the same on every system.
fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let names = below.components().map(|name| name.as_os_str().to_string_lossy());
    names.collect::<Vec<_>>().join("/")
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
