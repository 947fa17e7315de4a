//! Ports for private servers: below the ephemeral range, and never two owners for one port.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::ServerError;

/// The lowest port handed out: above the registered ports that people's own servers use most.
const PORT_MIN: u16 = 20_000;
/// The end of the range on a machine with default settings: clients' ports start here.
const EPHEMERAL_MIN_DEFAULT: u16 = 32_768;
const ATTEMPTS_MAX: u32 = 1_000;

/// A port on 127.0.0.1 that was free, held against other owners of this crate until dropped.
///
/// The hold is a socket in the abstract namespace: it has the same reach as the port (the network
/// namespace), needs no file that another user could not write, and goes with the process.
/// Programs that don't know of it can still take the port; a server's start tells.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _hold: UnixListener,
}

impl Port {
    /// Finds and holds a free port.
    pub(crate) fn reserve() -> Result<Port, ServerError> {
        let ports_end = ephemeral_min().clamp(PORT_MIN + 1_000, EPHEMERAL_MIN_DEFAULT);
        for _ in 0..ATTEMPTS_MAX {
            let offset = random() % u64::from(ports_end - PORT_MIN);
            let number = PORT_MIN + u16::try_from(offset).expect("the range fits a port");
            if let Some(port) = Port::hold(number)
                && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            {
                return Ok(port);
            }
        }
        Err(ServerError::NoFreePort { from: PORT_MIN, to: ports_end - 1 })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    fn hold(number: u16) -> Option<Port> {
        let name = format!("stepmark-port-{number}");
        let address = SocketAddr::from_abstract_name(name).ok()?;
        let hold = UnixListener::bind_addr(&address).ok()?;
        Some(Port { number, _hold: hold })
    }
}

fn ephemeral_min() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(EPHEMERAL_MIN_DEFAULT)
}

/// Differs between processes and calls: each `RandomState` has keys of its own.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn ports_are_distinct_and_below_the_ephemeral_range() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        assert!(numbers.iter().all(|&number| (20_000..32_768).contains(&number)));
    }

    #[test]
    fn a_held_port_is_not_handed_out_again_until_it_is_dropped() {
        let port = Port::reserve().unwrap();
        assert!(Port::hold(port.number()).is_none());
        let number = port.number();
        drop(port);
        assert!(Port::hold(number).is_some());
    }
}
