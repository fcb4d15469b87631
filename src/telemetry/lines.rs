//! Queue of log lines, written in batches by one thread.
//!
//! Logging only copies bytes into memory, so that a blocked terminal delays no request.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Log lines waiting for standard output.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<(Mutex<Pending>, Condvar)>);

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    lost: u64,
    closed: bool,
    /// The writer has ended, and everything is written.
    ended: bool,
}

/// Maximum size of waiting lines. Further lines are dropped and counted, so that a log that nobody reads
/// does not exhaust memory.
const MAX_PENDING_BYTES: usize = 8 << 20;
/// Time for which lines are collected before they are written together.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line, which ends in a newline.
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = self.lock();
        if pending.bytes.len() + line.len() > MAX_PENDING_BYTES {
            pending.lost += 1;
            return;
        }
        let first = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(line);
        drop(pending);
        if first {
            self.0.1.notify_all();
        }
    }

    /// Takes the waiting lines.
    #[cfg(test)]
    pub(super) fn take_pending(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    /// Ends the writer after it has written the waiting lines.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.0.1.notify_all();
    }

    /// Waits until the writer has ended, after [`Lines::close`]. Returns false after the timeout.
    pub(super) fn wait_until_ended(&self, timeout: Duration) -> bool {
        let not_ended = |pending: &mut Pending| !pending.ended;
        let waited = self.0.1.wait_timeout_while(self.lock(), timeout, not_ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Writes lines until [`Lines::close`]: waits for a line, collects more for a moment, writes them all.
    pub(super) fn write_out(&self) {
        let mut batch = Vec::new();
        loop {
            let is_idle = |pending: &mut Pending| pending.bytes.is_empty() && !pending.closed;
            let pending = self.0.1.wait_while(self.lock(), is_idle);
            let pending = pending.unwrap_or_else(PoisonError::into_inner);
            let collects = |pending: &mut Pending| !pending.closed;
            let collected = self.0.1.wait_timeout_while(pending, BATCH_INTERVAL, collects);
            let (mut pending, _) = collected.unwrap_or_else(PoisonError::into_inner);
            let closed = pending.closed;
            std::mem::swap(&mut batch, &mut pending.bytes);
            let lost = std::mem::take(&mut pending.lost);
            drop(pending);
            if lost > 0 {
                batch.extend_from_slice(
                    format!("({lost} log lines dropped: the output is too slow)\n").as_bytes(),
                );
            }
            // An unwritable log is no reason to stop answering calls, and there is no place to report it.
            let mut out = io::stdout().lock();
            drop(out.write_all(&batch).and_then(|()| out.flush()));
            batch.clear();
            if closed {
                self.lock().ended = true;
                self.0.1.notify_all();
                return;
            }
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Lines;

    fn make_writer(&'w self) -> Lines {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_for_a_writer_that_does_not_end_has_a_timeout() {
        let lines = Lines::default();
        lines.close();
        assert!(!lines.wait_until_ended(Duration::from_millis(1)));
        lines.write_out();
        assert!(lines.wait_until_ended(Duration::ZERO));
    }
}
