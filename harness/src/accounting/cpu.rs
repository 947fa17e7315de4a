//! CPU time of processes, from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

/// The processes whose CPU time is accounted.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    /// The cluster's instances: name and process id.
    pub instances: Vec<(String, u32)>,
    /// PostgreSQL's postmaster; none when it is not a process of this machine.
    pub postgres: Option<u32>,
    /// RabbitMQ; none when it is not a process of this machine or not in use.
    pub rabbitmq: Option<u32>,
    /// Whether RabbitMQ is in use.
    pub has_rabbitmq: bool,
    /// Words in the title of those PostgreSQL backends that serve the harness itself.
    pub harness_titles: Vec<String>,
}

impl Processes {
    /// CPU milliseconds so far by process; null for one that is out of reach.
    pub(super) fn cpu_ms(&self) -> BTreeMap<String, Option<f64>> {
        let all = read_all();
        let mut by_name = BTreeMap::new();
        for (name, pid) in &self.instances {
            by_name.insert(name.clone(), all.get(pid).map(|process| process.own_ms));
        }
        let postgres = self.postgres.and_then(|pid| tree_ms(&all, pid, &self.harness_titles));
        by_name.insert("postgres".to_owned(), postgres);
        if self.has_rabbitmq {
            let rabbitmq = self.rabbitmq.and_then(|pid| tree_ms(&all, pid, &[]));
            by_name.insert("rabbitmq".to_owned(), rabbitmq);
        }
        by_name
    }

    /// How busy the machine has been, and how busy with this run. The harness and its sessions
    /// are of the run, too.
    pub(super) fn busy(&self) -> Busy {
        let all = read_all();
        let instances = self.instances.iter().map(|(_, pid)| *pid);
        let roots = instances.chain(self.postgres).chain(self.rabbitmq);
        let servers: f64 = roots.filter_map(|pid| tree_ms(&all, pid, &[])).sum();
        let own = all.get(&std::process::id()).map_or(0.0, |process| process.own_ms);
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Busy {
            machine_ms: machine_ticks(&stat) * tick_ms(),
            run_ms: servers + own,
            at: Instant::now(),
        }
    }
}

/// CPU milliseconds so far of the whole machine, and of all that belongs to the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy {
    machine_ms: f64,
    run_ms: f64,
    at: Instant,
}

impl Busy {
    /// CPU milliseconds of other processes since an earlier moment, and all that the machine
    /// could have given.
    pub(super) fn others_since(self, earlier: Busy) -> (f64, f64) {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let given = (self.at - earlier.at).as_secs_f64() * 1_000.0 * cores as f64;
        let run = self.run_ms - earlier.run_ms;
        ((self.machine_ms - earlier.machine_ms - run).max(0.0), given)
    }
}

struct Process {
    parent: u32,
    own_ms: f64,
    /// Of children that have ended and been waited for.
    reaped_ms: f64,
}

/// A process with all below it, without those whose title has one of the words.
fn tree_ms(all: &BTreeMap<u32, Process>, root: u32, without: &[String]) -> Option<f64> {
    let mut total = 0.0;
    let mut open = vec![root];
    all.get(&root)?;
    while let Some(pid) = open.pop() {
        let Some(process) = all.get(&pid) else {
            continue;
        };
        let title = if without.is_empty() { String::new() } else { title(pid) };
        if without.iter().any(|word| title.contains(word)) {
            continue;
        }
        total += process.own_ms + process.reaped_ms;
        open.extend(all.iter().filter(|(_, child)| child.parent == pid).map(|(pid, _)| *pid));
    }
    Some(total)
}

fn title(pid: u32) -> String {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&title).into_owned()
}

fn read_all() -> BTreeMap<u32, Process> {
    let tick_ms = tick_ms();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parse(&stat, tick_ms)?))
    })
    .collect()
}

fn tick_ms() -> f64 {
    1_000.0 / rustix::param::clock_ticks_per_second() as f64
}

/// Reads `/proc/stat` (proc(5)): all but idle, iowait and the guests, which count as user.
fn machine_ticks(stat: &str) -> f64 {
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6, 7];
    busy.iter().filter_map(|place| ticks.get(*place)).sum()
}

/// Reads `/proc/PID/stat` (proc(5)): the fields after the name, which may hold anything.
fn parse(stat: &str, tick_ms: f64) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        own_ms: (ticks(11)? + ticks(12)?) * tick_ms,
        reaped_ms: (ticks(13)? + ticks(14)?) * tick_ms,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{machine_ticks, parse};

    #[test]
    fn idle_and_waiting_is_not_busy() {
        assert_eq!(machine_ticks("cpu  10 1 5 900 80 2 3 4 10 0\ncpu0 1 1 1\n"), 25.0);
    }

    #[test]
    fn times_are_read_behind_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 100 50 30 20 20 0 1 0 99";
        let process = parse(stat, 10.0).unwrap();
        assert_eq!(process.parent, 7);
        assert_eq!(process.own_ms, 1_500.0);
        assert_eq!(process.reaped_ms, 500.0);
    }
}
