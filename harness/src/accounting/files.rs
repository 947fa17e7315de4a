//! What processes read from files, from /proc.

use std::fs;
use std::ops::{Add, Sub};

use super::Processes;

/// Reads of files: calls and bytes. What comes from sockets is received, not read, and not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct FileReads {
    pub calls: f64,
    pub bytes: f64,
}

impl Processes {
    /// What the cluster's instances have read so far; none when one of them is out of reach.
    pub(super) fn file_reads(&self) -> Option<FileReads> {
        self.instances.iter().try_fold(FileReads::default(), |sum, (_, pid)| {
            let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
            Some(sum + parse(&io)?)
        })
    }
}

impl Add for FileReads {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, bytes: self.bytes + other.bytes }
    }
}

impl Sub for FileReads {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { calls: self.calls - other.calls, bytes: self.bytes - other.bytes }
    }
}

/// Reads `/proc/PID/io` (proc(5)).
fn parse(io: &str) -> Option<FileReads> {
    let value = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line?.trim().parse().ok()
    };
    Some(FileReads { calls: value("syscr")?, bytes: value("rchar")? })
}

#[cfg(test)]
mod tests {
    use super::{FileReads, parse};

    #[test]
    fn calls_and_bytes_are_read() {
        let io = "rchar: 4292\nwchar: 0\nsyscr: 13\nsyscw: 0\nread_bytes: 8\n";
        assert_eq!(parse(io), Some(FileReads { calls: 13.0, bytes: 4292.0 }));
        assert_eq!(parse("rchar: 4292\n"), None);
    }
}
