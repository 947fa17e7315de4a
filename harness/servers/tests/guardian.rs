//! Whatever the owner of a guardian dies of, what it started is gone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use stepmark_servers::{Ending, Guardian};
use support::{Owner, gone, private_dir, runs, wait_until};

/// Run as a process of its own by the other tests: an owner of a process that ignores polite
/// signals, of one that has a child, and of a directory. Then dies as it is told.
#[test]
#[ignore = "the owner that other tests start and kill"]
fn owner() {
    let guardian = Guardian::start().unwrap();
    let directory = private_dir();
    guardian.watch_dir(&directory).unwrap();
    let stubborn = sleeper(&guardian, "trap '' TERM QUIT INT HUP; sleep 600");
    let parent = sleeper(&guardian, "sleep 600 & wait");
    support::announce(&[stubborn, parent, guardian.pid()], &directory);
    match support::told().as_str() {
        "return" => {}
        "panic" => panic!("as told"),
        "exit" => std::process::exit(7),
        other => unreachable!("{other}"),
    }
}

fn sleeper(guardian: &Guardian, script: &str) -> u32 {
    let mut command = guardian.command("/bin/sh", Ending::Kill).unwrap();
    command.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap().id()
}

fn everything_is_gone_after(end: impl FnOnce(&mut Owner)) {
    let mut owner = Owner::start("owner");
    assert!(owner.pids.iter().all(|&pid| runs(pid)));
    end(&mut owner);
    let _ = owner.process.wait().unwrap();
    wait_until(|| owner.pids.iter().all(|&pid| gone(pid)) && !owner.directory.exists());
}

#[test]
fn nothing_is_left_after_a_return_a_panic_and_an_exit() {
    for way in ["return", "panic", "exit"] {
        everything_is_gone_after(|owner| owner.tell(way));
    }
}

#[test]
fn nothing_is_left_after_ctrl_c_a_termination_a_hangup_and_a_kill() {
    for signal in ["INT", "TERM", "HUP", "KILL"] {
        // To the whole process group, as a terminal does it.
        everything_is_gone_after(|owner| {
            owner.signal_group(signal);
            assert!(owner.process.wait().unwrap().signal().is_some());
        });
    }
}

#[test]
fn a_process_started_just_before_the_end_is_not_missed() {
    for _ in 0..100 {
        let guardian = Guardian::start().unwrap();
        let pid = sleeper(&guardian, "sleep 600");
        drop(guardian);
        assert!(gone(pid));
    }
}

#[test]
fn what_is_forgotten_lives_on() {
    let mut guardian = Guardian::start().unwrap();
    let (kept, watched) = (private_dir(), private_dir());
    let mut survivor = Command::new("sleep").arg("600").spawn().unwrap();
    let mut victim = Command::new("sleep").arg("600").spawn().unwrap();
    for directory in [&kept, &watched] {
        fs::write(directory.join("file"), "content").unwrap();
        guardian.watch_dir(directory).unwrap();
    }
    guardian.watch_pid(survivor.id(), Ending::Terminate).unwrap();
    guardian.watch_pid(victim.id(), Ending::Terminate).unwrap();
    guardian.forget_pid(survivor.id()).unwrap();
    guardian.forget_dir(&kept).unwrap();
    guardian.end().unwrap();
    assert!(runs(survivor.id()) && gone(victim.id()));
    assert!(kept.exists() && !watched.exists());
    victim.wait().unwrap();
    survivor.kill().unwrap();
    survivor.wait().unwrap();
    fs::remove_dir_all(kept).unwrap();
}

#[test]
fn paths_with_blanks_and_wildcards_are_removed_and_nothing_else() {
    let base = private_dir();
    for name in ["a b", "*", "$(touch x)", "ab"] {
        fs::create_dir(base.join(name)).unwrap();
    }
    let guardian = Guardian::start().unwrap();
    for name in ["a b", "*", "$(touch x)"] {
        guardian.watch_dir(&base.join(name)).unwrap();
    }
    drop(guardian);
    let left: Vec<_> = fs::read_dir(&base).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["ab"]);
    fs::remove_dir_all(base).unwrap();
}

#[test]
fn paths_that_could_mean_something_else_are_refused() {
    let guardian = Guardian::start().unwrap();
    for path in ["/", "relative", "", "/tmp/two\nlines"] {
        assert!(guardian.watch_dir(path.as_ref()).is_err(), "{path:?}");
    }
}

#[test]
fn a_guardian_ends_while_a_command_of_it_is_still_held() {
    let guardian = Guardian::start().unwrap();
    let held = guardian.command("true", Ending::Kill).unwrap();
    drop(guardian);
    drop(held);
}
