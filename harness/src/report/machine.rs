//! The machine and the checkout that a report names.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine that a run was taken on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The CPU's model name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The kernel's name and release.
    pub kernel: String,
    /// The disk under PostgreSQL's data directory; null when it is not on this machine.
    pub disk: Option<Disk>,
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The device.
    pub device: String,
    /// The file system's type.
    pub filesystem: String,
    /// Where it is mounted.
    pub mounted_at: PathBuf,
}

/// A revision of the checkout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Git {
    /// The commit's hash.
    pub revision: String,
    /// Whether there were changes beyond it.
    pub dirty: bool,
}

impl Machine {
    /// Looks at this machine; `data_dir` tells which disk is meant.
    pub fn look(data_dir: Option<&Path>) -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory_kib =
            value_of(&meminfo, "MemTotal").and_then(|v| v.split(' ').next()?.parse().ok());
        Machine {
            cpu: value_of(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get()),
            memory_bytes: memory_kib.unwrap_or(0_u64) * 1_024,
            kernel: format!("Linux {}", release.trim()),
            disk: data_dir.and_then(|path| disk_of(&mounts, path)),
        }
    }
}

impl Git {
    /// Asks git about the checkout at `root`; nothing when it is none.
    pub fn look(root: &Path) -> Option<Git> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let revision = git(&["rev-parse", "HEAD"])?.trim().to_owned();
        let dirty = !git(&["status", "--porcelain"])?.trim().is_empty();
        Some(Git { revision, dirty })
    }
}

impl fmt::Display for Git {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.revision)?;
        f.write_str(if self.dirty { " with changes" } else { "" })
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Disk { device, filesystem, mounted_at } = self;
        write!(f, "{device} ({filesystem}) at {}", mounted_at.display())
    }
}

/// The value behind `key : ` or `key: `.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// The deepest mount above `path`, out of /proc/self/mountinfo (proc(5)).
fn disk_of(mounts: &str, path: &Path) -> Option<Disk> {
    let candidates = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mounted_at = PathBuf::from(left.split(' ').nth(4)?);
        let mut right = right.split(' ');
        let (filesystem, device) = (right.next()?.to_owned(), right.next()?.to_owned());
        path.starts_with(&mounted_at).then_some(Disk { device, filesystem, mounted_at })
    });
    candidates.max_by_key(|disk| disk.mounted_at.as_os_str().len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_deepest_mount_above_a_path_is_its_disk() {
        let mounts = "21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                      30 21 0:26 / /tmp rw - tmpfs tmpfs rw\n";
        let device = |path: &str| disk_of(mounts, Path::new(path)).unwrap().device;
        assert_eq!(device("/var/lib"), "/dev/sda1");
        assert_eq!(device("/tmp/data"), "tmpfs");
        assert_eq!(device("/tmpx"), "/dev/sda1");
    }
}
