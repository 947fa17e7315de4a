//! The bridge to handlers as a C ABI, for hosts that can call C and be called back: `stepmark.h`
//! is made of this file, and a test holds the two together.
#![allow(unsafe_code)] // a C ABI has raw pointers; each function says what it asks of its caller

use std::borrow::Cow;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stepmark_engine::worker::bridge::{self, Bridge, Wake};

/// A worker whose handlers are the host's.
#[derive(Debug)]
pub struct StepmarkWorker {
    bridge: Arc<Bridge>,
    woken: Arc<AtomicBool>,
}

impl StepmarkWorker {
    fn boxed(bridge: Arc<Bridge>, woken: Arc<AtomicBool>) -> *mut Self {
        Box::into_raw(Box::new(Self { bridge, woken }))
    }
}

/// Called when there may be something to take, from a thread of the library's own, and from no two
/// at once: not again before the host has begun to take. It must return soon and call nothing of
/// the library, and can be called as long as the process lives.
pub type StepmarkWake = extern "C" fn();

/// Wakes the host unless it is on its way already.
fn wake_once(wake: StepmarkWake) -> (Wake, Arc<AtomicBool>) {
    let woken = Arc::new(AtomicBool::new(false));
    let again = Arc::clone(&woken);
    let call = Box::new(move || {
        if !again.swap(true, Ordering::AcqRel) {
            wake();
        }
    });
    (call, woken)
}

/// Starts a worker as a program. `handlers` is a JSON array of arrays of a namespace and a name,
/// `arguments` one of texts, the program's name first. It drains on SIGTERM and SIGINT. NULL with
/// an exit code when the process is to end: the arguments are wrong, or ask for something that has
/// been printed. Otherwise the worker is to be given to stepmark_release.
///
/// # Safety
/// The texts have their lengths, and `exit_code` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_start(
    handlers: *const u8,
    handlers_length: usize,
    arguments: *const u8,
    arguments_length: usize,
    wake: StepmarkWake,
    exit_code: *mut u8,
) -> *mut StepmarkWorker {
    // SAFETY: as the caller promises.
    let (handlers, arguments, exit_code) = unsafe {
        (pairs(handlers, handlers_length), text(arguments, arguments_length), &mut *exit_code)
    };
    let arguments = serde_json::from_str(&arguments).unwrap_or_default();
    let (wake, woken) = wake_once(wake);
    match Bridge::start(&handlers, arguments, Some(wake)) {
        Ok(bridge) => StepmarkWorker::boxed(bridge, woken),
        Err(code) => {
            *exit_code = code;
            null_mut()
        }
    }
}

/// Runs a task of the template in this file through the handlers, in memory, with this context
/// (JSON). stepmark_verdict has the ended task.
///
/// # Safety
/// The texts have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_run_task(
    handlers: *const u8,
    handlers_length: usize,
    template_path: *const u8,
    template_path_length: usize,
    context: *const u8,
    context_length: usize,
    wake: StepmarkWake,
) -> *mut StepmarkWorker {
    // SAFETY: as the caller promises.
    let (handlers, template, context) = unsafe {
        (
            pairs(handlers, handlers_length),
            text(template_path, template_path_length),
            text(context, context_length),
        )
    };
    let (wake, woken) = wake_once(wake);
    let bridge = Bridge::run_task(&handlers, Path::new(&*template), &context, Some(wake));
    StepmarkWorker::boxed(bridge, woken)
}

/// Runs the inputs of a scenario's file, in memory, with the template from this folder: that of
/// `name_space` unless it is NULL, else the scenario's own. stepmark_verdict tells whether all
/// answers are right.
///
/// # Safety
/// The texts have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_check_scenario(
    handlers: *const u8,
    handlers_length: usize,
    scenario_path: *const u8,
    scenario_path_length: usize,
    templates_path: *const u8,
    templates_path_length: usize,
    name_space: *const u8,
    name_space_length: usize,
    wake: StepmarkWake,
) -> *mut StepmarkWorker {
    // SAFETY: as the caller promises.
    let (handlers, scenario, templates, namespace) = unsafe {
        (
            pairs(handlers, handlers_length),
            text(scenario_path, scenario_path_length),
            text(templates_path, templates_path_length),
            text(name_space, name_space_length),
        )
    };
    let namespace = (!name_space.is_null()).then_some(&*namespace);
    let (scenario, templates) = (Path::new(&*scenario), Path::new(&*templates));
    let (wake, woken) = wake_once(wake);
    let bridge = Bridge::check_scenario(&handlers, scenario, templates, namespace, Some(wake));
    StepmarkWorker::boxed(bridge, woken)
}

/// Takes an event, a JSON text, if there is one; NULL otherwise. It is to be given to
/// stepmark_text_free. To be called until it gives NULL each time that the host is woken.
///
/// # Safety
/// The worker is not released, and `length` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_try_take(
    worker: *const StepmarkWorker,
    length: *mut usize,
) -> *const u8 {
    // SAFETY: as the caller promises.
    let (worker, length) = unsafe { (&*worker, &mut *length) };
    // Before the look: what is pushed after it wakes again.
    worker.woken.store(false, Ordering::Release);
    match worker.bridge.try_take() {
        Some(taken) => give(taken.event, length),
        None => null(),
    }
}

/// Tells what a handler has made of its step, with the times that it and the host's JSON took.
///
/// # Safety
/// The worker is not released, and the text has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_answer(
    worker: *const StepmarkWorker,
    call: u64,
    answer: *const u8,
    answer_length: usize,
    handler_ns: u64,
    serialisation_ns: u64,
) {
    // SAFETY: as the caller promises.
    let (worker, answer) = unsafe { (&*worker, text(answer, answer_length)) };
    let (handler, serialisation) =
        (Duration::from_nanos(handler_ns), Duration::from_nanos(serialisation_ns));
    worker.bridge.answer(call, &answer, handler, serialisation);
}

/// Tells that a handler is still at work and, unless `checkpoint` (JSON) is NULL, how far it has
/// come. An event `answered` with this `request` tells how it went.
///
/// # Safety
/// The worker is not released, and the text has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_heartbeat(
    worker: *const StepmarkWorker,
    call: u64,
    checkpoint: *const u8,
    checkpoint_length: usize,
    request: u64,
) {
    // SAFETY: as the caller promises.
    let (worker, text) = unsafe { (&*worker, text(checkpoint, checkpoint_length)) };
    let checkpoint = (!checkpoint.is_null()).then(|| text.into_owned());
    worker.bridge.heartbeat_later(call, checkpoint, request);
}

/// Asks for the errors of failed parents. An event `answered` with this `request` has them.
///
/// # Safety
/// The worker is not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_parent_failures(
    worker: *const StepmarkWorker,
    call: u64,
    request: u64,
) {
    // SAFETY: as the caller promises.
    unsafe { &*worker }.bridge.parent_failures_later(call, request);
}

/// Whether the step is no longer this handler's, or the call is over.
///
/// # Safety
/// The worker is not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_is_interrupted(worker: *const StepmarkWorker, call: u64) -> bool {
    // SAFETY: as the caller promises.
    unsafe { &*worker }.bridge.is_interrupted(call)
}

/// Tells the worker to drain, as a signal does.
///
/// # Safety
/// The worker is not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_stop(worker: *const StepmarkWorker) {
    // SAFETY: as the caller promises.
    unsafe { &*worker }.bridge.stop();
}

/// Whether the worker has ended, and if so with which exit code. The host is woken for it, and its
/// process is ended for it when it does not ask within two seconds.
///
/// # Safety
/// The worker is not released, and `exit_code` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_ended(worker: *const StepmarkWorker, exit_code: *mut u8) -> bool {
    // SAFETY: as the caller promises.
    let (worker, exit_code) = unsafe { (&*worker, &mut *exit_code) };
    let code = worker.bridge.try_wait();
    *exit_code = code.unwrap_or_default();
    code.is_some()
}

/// What a test has come to, once: `good` with its outcome, or not with what is wrong. Waits for its
/// end. The text is to be given to stepmark_text_free.
///
/// # Safety
/// The worker is not released, and `good` and `length` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_verdict(
    worker: *const StepmarkWorker,
    good: *mut bool,
    length: *mut usize,
) -> *const u8 {
    // SAFETY: as the caller promises.
    let (worker, good, length) = unsafe { (&*worker, &mut *good, &mut *length) };
    let verdict = worker.bridge.verdict();
    *good = verdict.is_ok();
    give(verdict.unwrap_or_else(|wrong| wrong), length)
}

/// Forgets a worker. One that has not ended goes on, without its host.
///
/// # Safety
/// The worker is from here and has not been released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_release(worker: *mut StepmarkWorker) {
    // SAFETY: as the caller promises.
    drop(unsafe { Box::from_raw(worker) });
}

/// Writes a line into the worker's log. Levels are error, warn, info and debug.
///
/// # Safety
/// The texts have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_log(
    level: *const u8,
    level_length: usize,
    logger: *const u8,
    logger_length: usize,
    message: *const u8,
    message_length: usize,
) {
    // SAFETY: as the caller promises.
    let (level, logger, message) = unsafe {
        (text(level, level_length), text(logger, logger_length), text(message, message_length))
    };
    bridge::log(&level, &logger, &message);
}

/// Frees a text that the library gave.
///
/// # Safety
/// It is from here, with this length, and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stepmark_text_free(text: *const u8, length: usize) {
    // SAFETY: as the caller promises; `give` made it.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(text.cast_mut(), length)) });
}

fn give(text: String, length: &mut usize) -> *const u8 {
    let bytes = text.into_bytes().into_boxed_slice();
    *length = bytes.len();
    Box::into_raw(bytes).cast::<u8>().cast_const()
}

/// A text of the host's; none of NULL. What is no UTF-8 becomes U+FFFD.
unsafe fn text<'a>(bytes: *const u8, length: usize) -> Cow<'a, str> {
    if bytes.is_null() || length == 0 {
        return Cow::Borrowed("");
    }
    // SAFETY: as the caller promises.
    String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(bytes, length) })
}

unsafe fn pairs(bytes: *const u8, length: usize) -> Vec<(String, String)> {
    // SAFETY: as the caller promises.
    serde_json::from_str(&unsafe { text(bytes, length) }).unwrap_or_else(|error| {
        eprintln!("error: handlers: {error}");
        Vec::new()
    })
}
