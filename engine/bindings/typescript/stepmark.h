/*
 * stepmark's worker core for handlers in other languages. Made of native/lib.rs: after a change
 * there, UPDATE_HEADER=1 cargo test -p stepmark-typescript writes it anew.
 *
 * Texts cross as UTF-8 with their length in bytes and no NUL at their end. What the caller gives
 * stays the caller's and is read before the function returns. What a function returns is the
 * library's: a text goes back to stepmark_text_free with its length, a worker to
 * stepmark_release, each once. All functions may be called from any thread, and none but
 * stepmark_verdict waits. JSON documents are described in engine/src/worker/bridge/document.rs.
 */

#ifndef STEPMARK_H
#define STEPMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A worker whose handlers are the host's.
 */
typedef struct StepmarkWorker StepmarkWorker;

/**
 * Called when there may be something to take, from a thread of the library's own, and from no two
 * at once: not again before the host has begun to take. It must return soon and call nothing of
 * the library, and can be called as long as the process lives.
 */
typedef void (*StepmarkWake)(void);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Starts a worker as a program. `handlers` is a JSON array of arrays of a namespace and a name,
 * `arguments` one of texts, the program's name first. It drains on SIGTERM and SIGINT. NULL with
 * an exit code when the process is to end: the arguments are wrong, or ask for something that has
 * been printed. Otherwise the worker is to be given to stepmark_release.
 *
 * # Safety
 * The texts have their lengths, and `exit_code` can be written.
 */
struct StepmarkWorker *stepmark_start(const uint8_t *handlers,
                                      size_t handlers_length,
                                      const uint8_t *arguments,
                                      size_t arguments_length,
                                      StepmarkWake wake,
                                      uint8_t *exit_code);

/**
 * Runs a task of the template in this file through the handlers, in memory, with this context
 * (JSON). stepmark_verdict has the ended task.
 *
 * # Safety
 * The texts have their lengths.
 */
struct StepmarkWorker *stepmark_run_task(const uint8_t *handlers,
                                         size_t handlers_length,
                                         const uint8_t *template_path,
                                         size_t template_path_length,
                                         const uint8_t *context,
                                         size_t context_length,
                                         StepmarkWake wake);

/**
 * Runs the inputs of a scenario's file, in memory, with the template from this folder: that of
 * `name_space` unless it is NULL, else the scenario's own. stepmark_verdict tells whether all
 * answers are right.
 *
 * # Safety
 * The texts have their lengths.
 */
struct StepmarkWorker *stepmark_check_scenario(const uint8_t *handlers,
                                               size_t handlers_length,
                                               const uint8_t *scenario_path,
                                               size_t scenario_path_length,
                                               const uint8_t *templates_path,
                                               size_t templates_path_length,
                                               const uint8_t *name_space,
                                               size_t name_space_length,
                                               StepmarkWake wake);

/**
 * Takes an event, a JSON text, if there is one; NULL otherwise. It is to be given to
 * stepmark_text_free. To be called until it gives NULL each time that the host is woken.
 *
 * # Safety
 * The worker is not released, and `length` can be written.
 */
const uint8_t *stepmark_try_take(const struct StepmarkWorker *worker, size_t *length);

/**
 * Tells what a handler has made of its step, with the times that it and the host's JSON took.
 *
 * # Safety
 * The worker is not released, and the text has its length.
 */
void stepmark_answer(const struct StepmarkWorker *worker,
                     uint64_t call,
                     const uint8_t *answer,
                     size_t answer_length,
                     uint64_t handler_ns,
                     uint64_t serialisation_ns);

/**
 * Tells that a handler is still at work and, unless `checkpoint` (JSON) is NULL, how far it has
 * come. An event `answered` with this `request` tells how it went.
 *
 * # Safety
 * The worker is not released, and the text has its length.
 */
void stepmark_heartbeat(const struct StepmarkWorker *worker,
                        uint64_t call,
                        const uint8_t *checkpoint,
                        size_t checkpoint_length,
                        uint64_t request);

/**
 * Asks for the errors of failed parents. An event `answered` with this `request` has them.
 *
 * # Safety
 * The worker is not released.
 */
void stepmark_parent_failures(const struct StepmarkWorker *worker, uint64_t call, uint64_t request);

/**
 * Whether the step is no longer this handler's, or the call is over.
 *
 * # Safety
 * The worker is not released.
 */
bool stepmark_is_interrupted(const struct StepmarkWorker *worker, uint64_t call);

/**
 * Tells the worker to drain, as a signal does.
 *
 * # Safety
 * The worker is not released.
 */
void stepmark_stop(const struct StepmarkWorker *worker);

/**
 * Whether the worker has ended, and if so with which exit code. The host is woken for it, and its
 * process is ended for it when it does not ask within two seconds.
 *
 * # Safety
 * The worker is not released, and `exit_code` can be written.
 */
bool stepmark_ended(const struct StepmarkWorker *worker, uint8_t *exit_code);

/**
 * What a test has come to, once: `good` with its outcome, or not with what is wrong. Waits for its
 * end. The text is to be given to stepmark_text_free.
 *
 * # Safety
 * The worker is not released, and `good` and `length` can be written.
 */
const uint8_t *stepmark_verdict(const struct StepmarkWorker *worker, bool *good, size_t *length);

/**
 * Forgets a worker. One that has not ended goes on, without its host.
 *
 * # Safety
 * The worker is from here and has not been released.
 */
void stepmark_release(struct StepmarkWorker *worker);

/**
 * Writes a line into the worker's log. Levels are error, warn, info and debug.
 *
 * # Safety
 * The texts have their lengths.
 */
void stepmark_log(const uint8_t *level,
                  size_t level_length,
                  const uint8_t *logger,
                  size_t logger_length,
                  const uint8_t *message,
                  size_t message_length);

/**
 * Frees a text that the library gave.
 *
 * # Safety
 * It is from here, with this length, and has not been freed.
 */
void stepmark_text_free(const uint8_t *text, size_t length);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STEPMARK_H */
