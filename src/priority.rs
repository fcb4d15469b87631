//! Priority of threads whose work can wait for the threads that answer calls.

/// Nice value of such threads; see `nice(2)`. On a busy core they still get a quarter of the time, enough to
/// write some thousand records per second.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Lowers the priority of this thread, and of those that it starts.
pub(crate) fn lower_priority() {
    // Elsewhere the call would affect the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        let thread = std::thread::current().name().map(str::to_owned);
        tracing::warn!(%error, thread, "cannot lower the priority of a thread");
    }
}
