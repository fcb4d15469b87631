//! Log lines on their way out: gathered for a moment, then written together by one thread.
//!
//! Whoever logs only copies bytes into memory; a terminal that hangs delays nobody.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines on their way to standard output.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: u64,
    closed: bool,
}

/// Lines beyond this are lost, and their number is told: a log that nobody reads must not fill
/// the memory.
const MOST_WAITING_BYTES: usize = 8 << 20;
/// How long lines are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(10);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, its newline at its end.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > MOST_WAITING_BYTES {
            waiting.lost += 1;
            return;
        }
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if first {
            self.0.1.notify_one();
        }
    }

    /// What waits, taken away.
    #[cfg(test)]
    pub(super) fn take_waiting(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    /// No more lines will come: what waits is written, and then the writing ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.0.1.notify_one();
    }

    /// Until it is closed: sleeps until there is a line, gathers more for a moment, writes all.
    pub(super) fn write_out(&self) {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.bytes.is_empty() && !waiting.closed {
                waiting = self.0.1.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let closed = waiting.closed;
            if !closed {
                drop(waiting);
                std::thread::sleep(GATHER);
                waiting = self.lock();
            }
            std::mem::swap(&mut batch, &mut waiting.bytes);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            if lost > 0 {
                batch.extend_from_slice(
                    format!("({lost} log lines lost: too many wait to be written)\n").as_bytes(),
                );
            }
            // A log that cannot be written is no reason to stop answering, and there is nowhere
            // to say so.
            let mut out = io::stdout().lock();
            drop(out.write_all(&batch).and_then(|()| out.flush()));
            batch.clear();
            if closed {
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
