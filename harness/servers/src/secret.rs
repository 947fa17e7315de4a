//! Passwords: other accounts of the machine reach 127.0.0.1 too.

use std::fs::File;
use std::io::{self, Read};

/// 128 random bits in hexadecimal: needs no quoting in a URL, a configuration file or SQL.
pub(crate) fn password() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
