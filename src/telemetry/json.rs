//! JSON log lines, written directly into a byte buffer.
//!
//! Emits the same keys as the JSON format of `tracing-subscriber`, which takes longer than the whole
//! request (see `docs/decisions/0001-dependencies.md`).

use std::cell::RefCell;
use std::fmt::{self, Debug, Write};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::lines::Lines;

/// Layer that writes `{"timestamp":"…","level":"INFO","message":"call",…,"target":"…"}`.
pub(super) struct JsonLines(pub(super) Lines);

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

thread_local! {
    /// Buffer that each line reuses.
    static LINE: RefCell<JsonLine> = const { RefCell::new(JsonLine(Vec::new())) };
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a log line has the time at which it was written"
        )]
        let now = Timestamp::now();
        let write = |line: &mut JsonLine| {
            line.write_event(event, &now);
            self.0.push(&line.0);
        };
        LINE.with(|shared| match shared.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            // A value of another line is being formatted, and logs or panics. A second panic, here, would end the
            // process.
            Err(_in_use) => write(&mut JsonLine(Vec::new())),
        });
    }
}

/// Returns whether a character can change how a terminal shows the text around it: control characters, and
/// marks that reverse the direction of writing.
pub(crate) fn is_unsafe_to_show(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes that are escaped, or begin a character that may have to be.
static MAY_BE_ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        // 0xC2 and 0xE2 begin the characters beyond ASCII that a terminal would obey.
        table[byte] = byte < 0x20 || matches!(byte as u8, b'"' | b'\\' | 0x7f | 0xc2 | 0xe2);
        byte += 1;
    }
    table
};

struct JsonLine(Vec<u8>);

impl JsonLine {
    /// Writes the line of an event in place of the one before.
    fn write_event(&mut self, event: &Event<'_>, now: &Timestamp) {
        self.0.clear();
        self.raw("{\"timestamp\":\"");
        // Fails only for timestamps outside the supported range.
        drop(PRINTER.print_timestamp(now, &mut self.0));
        self.raw("\",\"level\":\"");
        self.raw(event.metadata().level().as_str());
        self.raw("\"");
        event.record(self);
        self.raw(",\"target\":\"");
        self.raw(event.metadata().target());
        self.raw("\"}\n");
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, field: &Field) {
        self.raw(",\"");
        self.raw(field.name());
        self.raw("\":");
    }

    /// Appends text inside the quotes of a JSON string.
    fn escaped(&mut self, text: &str) {
        if text.bytes().any(|byte| MAY_BE_ESCAPED[usize::from(byte)]) {
            self.escaped_slowly(text);
        } else {
            self.raw(text);
        }
    }

    #[cold]
    fn escaped_slowly(&mut self, text: &str) {
        let mut rest = text;
        let is_escaped = |c: char| matches!(c, '"' | '\\') || is_unsafe_to_show(c);
        while let Some(at) = rest.find(is_escaped) {
            self.raw(&rest[..at]);
            let mut after = rest[at..].chars();
            match after.next() {
                Some(quoted @ ('"' | '\\')) => self.0.extend_from_slice(&[b'\\', quoted as u8]),
                Some(control) => self.raw(&format!("\\u{:04x}", u32::from(control))),
                None => {}
            }
            rest = after.as_str();
        }
        self.raw(rest);
    }
}

/// Escapes everything that is written.
impl Write for JsonLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.escaped(text);
        Ok(())
    }
}

impl Visit for JsonLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.0.push(b'"');
        self.escaped(value);
        self.0.push(b'"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.raw(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field);
        self.raw(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.raw(if value { "true" } else { "false" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        self.0.push(b'"');
        // Writing to memory cannot fail; a value whose `Debug` fails is truncated.
        write!(self, "{value:?}").unwrap_or_default();
        self.0.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        let mut line = JsonLine(Vec::new());
        line.escaped("a\u{9b}2J\u{7f}\u{202e}b\u{2066}ü… \u{85}\"\n");
        let expected = r#"a\u009b2J\u007f\u202eb\u2066ü… \u0085\"\u000a"#;
        assert_eq!(std::str::from_utf8(&line.0).unwrap(), expected);
    }

    #[test]
    fn an_event_during_another_one_has_a_line_of_its_own() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            LINE.with_borrow_mut(|_in_use| tracing::info!("inner"));
        });
        let pending = lines.take_pending();
        let line = std::str::from_utf8(&pending).unwrap();
        assert!(line.contains("\"message\":\"inner\""), "{line}");
    }

    #[test]
    fn writes_each_event_as_one_json_object_on_one_line() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let nothing: Option<&str> = None;
            tracing::info!(text = "a\"b\\c\n", number = -1, big = 7_u64, yes = true, shown = %'\t', nothing, "said");
        });
        let pending = lines.take_pending();
        let line = std::str::from_utf8(&pending).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let timestamp = value["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<Timestamp>().is_ok(), "{timestamp}");
        let expected = serde_json::json!({
            "timestamp": timestamp, "level": "INFO", "message": "said", "text": "a\"b\\c\n",
            "number": -1, "big": 7, "yes": true, "shown": "\t",
            "target": "switchboard::telemetry::json::tests",
        });
        assert_eq!(value, expected);
    }
}
