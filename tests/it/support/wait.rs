//! Waits for a condition, a future, a line or a child process, each with a deadline. Tests sleep only here.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time after which a wait fails. Long, so that tests pass on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Pause between two checks of a condition.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until a condition holds. Returns false after the deadline.
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > DEADLINE {
            return false;
        }
        std::thread::sleep(INTERVAL);
    }
    true
}

/// Waits until a condition of an async test holds. Returns false after the deadline.
pub(crate) async fn until_async(mut condition: impl AsyncFnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition().await {
        if start.elapsed() > DEADLINE {
            return false;
        }
        tokio::time::sleep(INTERVAL).await;
    }
    true
}

/// Lets virtual time pass in a test with `start_paused`: every timer that becomes due fires.
pub(crate) async fn pass_virtual_time(duration: Duration) {
    // Panics unless the time is paused.
    tokio::time::advance(Duration::ZERO).await;
    tokio::time::sleep(duration).await;
}

/// Waits for the output of a future. Panics after the deadline.
pub(crate) async fn within_deadline<F: Future>(what: &str, future: F) -> F::Output {
    let output = tokio::time::timeout(DEADLINE, future).await;
    output.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Standard output of a process, read line by line.
pub(crate) struct LineReader {
    /// None while a thread reads.
    reader: Option<BufReader<ChildStdout>>,
}

impl LineReader {
    /// Returns the next line with its line break, and an empty string at the end of the output.
    ///
    /// Panics after the deadline. The thread that still reads ends with the process; [`Running`] kills
    /// it.
    #[track_caller]
    pub(crate) fn read_line(&mut self) -> String {
        let mut reader = self.reader.take().expect("the previous read has ended");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let result = reader.read_line(&mut line).map(|_| line);
            drop(sender.send((reader, result)));
        });
        let (reader, line) =
            receiver.recv_timeout(DEADLINE).expect("the process prints a line before the deadline");
        self.reader = Some(reader);
        line.expect("the output is UTF-8")
    }

    /// Reads the rest of the output on another thread and passes each line on.
    pub(crate) fn read_rest(
        self,
        mut use_line: impl FnMut(&str) + Send + 'static,
    ) -> JoinHandle<()> {
        let mut reader = self.reader.expect("the previous read has ended");
        std::thread::spawn(move || {
            let mut line = String::new();
            while reader.read_line(&mut line).expect("the output is UTF-8") > 0 {
                use_line(&line);
                line.clear();
            }
        })
    }
}

/// A child process, killed when it is dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    /// Starts a process. Its standard output is read with [`Running::take_stdout`].
    pub(crate) fn start(command: &mut Command) -> Running {
        Running(command.stdout(Stdio::piped()).spawn().expect("the program starts"))
    }

    pub(crate) fn take_stdout(&mut self) -> LineReader {
        let stdout = self.0.stdout.take().expect("the output is taken once");
        LineReader { reader: Some(BufReader::new(stdout)) }
    }

    /// Returns the standard input of a process that was started with a pipe for it.
    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().expect("the input is a pipe")
    }

    /// Returns everything that a process, started with a pipe for its errors, writes there.
    pub(crate) fn read_stderr(&mut self) -> Vec<u8> {
        let all = read_all(self.0.stderr.take().expect("the errors are a pipe"));
        all.recv_timeout(DEADLINE).expect("the output is closed before the deadline")
    }

    /// Waits until the process ends. Kills it after the deadline.
    pub(crate) fn wait_or_kill(&mut self) {
        if !until(|| self.has_ended()) {
            drop(self.0.kill());
        }
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("the process is a child").is_some()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal: `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(status.expect("kill starts").success());
    }

    /// Waits until the process ends. Returns its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        assert!(until(|| self.has_ended()), "the process does not end");
        self.0.wait().expect("the process has ended").code()
    }
}

/// Runs a command to its end, like [`Command::output`], and kills it after the deadline.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    output_of(command.stdin(Stdio::null()))
}

/// The same for a command whose standard input is set.
#[track_caller]
pub(crate) fn output_of(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = Running(child.expect("the program starts"));
    let stdout = read_all(running.0.stdout.take().expect("piped"));
    let stderr = read_all(running.0.stderr.take().expect("piped"));
    running.wait();
    let status = running.0.wait().expect("the process has ended");
    let all = |receiver: mpsc::Receiver<Vec<u8>>| {
        receiver.recv_timeout(DEADLINE).expect("the output is closed before the deadline")
    };
    Output { status, stdout: all(stdout), stderr: all(stderr) }
}

/// Reads an output to its end on another thread.
fn read_all(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).expect("the output can be read");
        drop(sender.send(bytes));
    });
    receiver
}
