//! Waiting without Ruby's lock.

use std::ffi::c_void;
use std::ptr::{from_mut, from_ref, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use magnus::{Error, Ruby};
use stepmark_engine::worker::bridge::Bridge;

/// What the two sides of a wait share.
struct Wait<'a, F, T> {
    work: F,
    done: Option<Option<T>>,
    given_up: &'a AtomicBool,
}

/// How Ruby gets a thread back that waits.
struct Return<'a> {
    bridge: &'a Bridge,
    given_up: &'a AtomicBool,
}

/// Runs `work`, which may wait, while Ruby's other threads run. Work that gives nothing because its
/// flag was set is done again, after what Ruby wanted of this thread; nothing of an unset flag is
/// the answer.
///
/// # Errors
/// An exception that was raised in this thread from outside.
pub fn wait_without_lock<T>(
    ruby: &Ruby,
    bridge: &Bridge,
    mut work: impl FnMut(&AtomicBool) -> Option<T>,
) -> Result<Option<T>, Error> {
    loop {
        let given_up = AtomicBool::new(false);
        let done = without_lock(&mut work, &Return { bridge, given_up: &given_up });
        match done {
            Some(Some(done)) => return Ok(Some(done)),
            Some(None) if !given_up.load(Ordering::Relaxed) => return Ok(None),
            _ => ruby.thread_check_ints()?,
        }
    }
}

/// None when Ruby wants this thread already: then the work has not begun.
fn without_lock<T, F>(work: F, way_back: &Return<'_>) -> Option<Option<T>>
where
    F: FnMut(&AtomicBool) -> Option<T>,
{
    let mut wait = Wait { work, done: None, given_up: way_back.given_up };
    // SAFETY: this is a thread of Ruby with its lock, as every method that Ruby calls. `run` gets
    // what is behind `wait` and `unblock` what is behind `way_back`, both of which outlive the
    // call; they share nothing but `given_up` and the bridge, which threads may share. Neither
    // touches an object of Ruby, and no exception of Ruby passes: this function raises none.
    unsafe {
        rb_sys::rb_thread_call_without_gvl2(
            Some(run::<T, F>),
            from_mut(&mut wait).cast(),
            Some(unblock),
            from_ref(way_back).cast_mut().cast(),
        );
    }
    wait.done
}

unsafe extern "C" fn run<T, F>(wait: *mut c_void) -> *mut c_void
where
    F: FnMut(&AtomicBool) -> Option<T>,
{
    // SAFETY: see `without_lock`, which waits until this has returned.
    let wait = unsafe { &mut *wait.cast::<Wait<'_, F, T>>() };
    wait.done = Some((wait.work)(wait.given_up));
    null_mut()
}

unsafe extern "C" fn unblock(way_back: *mut c_void) {
    // SAFETY: see `without_lock`: Ruby calls this only until that has returned.
    let way_back = unsafe { &*way_back.cast::<Return<'_>>() };
    way_back.given_up.store(true, Ordering::Relaxed);
    way_back.bridge.nudge();
}
