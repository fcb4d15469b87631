//! Erases a phone number: finds every row that contains it in any stored form, deletes the rows,
//! and overwrites their bytes in the file.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::lookup::placeholders;
use super::{NumberPolicy, Store, StoreError};
use crate::domain::party::Party;
use crate::domain::phone_number::ascii_digit;

/// The forms in which records may contain a number.
pub struct NumberTraces {
    /// Values of the party columns: in full, masked, hashed.
    columns: Vec<String>,
    masked: String,
    /// Texts to search for, besides the digits.
    texts: Vec<String>,
    /// Digits of the number, if it has some.
    digits: Option<String>,
}

/// A run of so many digits is a number, whatever surrounds it.
const SURE_DIGITS: usize = 7;
/// Maximum number of characters between two groups of digits of one number.
const BETWEEN_GROUPS: usize = 5;

impl NumberTraces {
    /// Returns the forms of this party; none for a withheld number, which identifies no caller.
    pub fn new(party: &Party, numbers: &NumberPolicy) -> Option<NumberTraces> {
        let mut columns = numbers.stored_forms(party);
        let whole = columns.first()?.clone();
        let masked = party.masked().into_owned();
        if !columns.contains(&masked) {
            columns.push(masked.clone());
        }
        let digits_of = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let (texts, digits) = match party {
            Party::Withheld => return None,
            Party::Number(_) => (columns.clone(), Some(digits_of(&whole))),
            Party::Literal(text) => {
                let is_dialled = text.chars().all(|c| c.is_ascii_digit() || " -.()+".contains(c));
                let digits = Some(digits_of(text)).filter(|digits| digits.len() >= SURE_DIGITS);
                // A masked literal is so short that it occurs in other texts, too.
                let others = columns.iter().filter(|form| **form != masked);
                let quoted = others.map(|form| serde_json::Value::from(form.as_str()).to_string());
                (quoted.collect(), digits.filter(|_| is_dialled))
            }
        };
        Some(NumberTraces { columns, masked, texts, digits })
    }

    /// Returns the number in the form that may be printed.
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// Returns the byte sequences that no file may contain after erasure.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let digits = self.digits.iter().filter(|digits| digits.len() >= SURE_DIGITS);
        let texts = self.texts.iter().filter(|text| text.len() > SURE_DIGITS);
        texts.chain(digits).map(|text| text.clone().into_bytes()).collect()
    }

    fn match_column(&self, text: &str) -> bool {
        self.columns.iter().any(|form| form == text)
    }

    fn match_text(&self, text: &str) -> bool {
        self.texts.iter().any(|known| contains_text(known, text))
            || self.digits.as_deref().is_some_and(|digits| {
                let text = ascii_digits(text);
                contains_digits(digits, &text)
                    || unescaped(&text).is_some_and(|text| contains_digits(digits, &text))
            })
    }
}

/// Returns whether `text` contains `known` with no further digit: `+1***23` is not in `+1***234`.
fn contains_text(known: &str, text: &str) -> bool {
    text.match_indices(known).any(|(at, _)| {
        let after = text[at + known.len()..].chars().next();
        !after.is_some_and(|after| after.is_ascii_digit())
    })
}

/// Replaces full-width digits.
fn ascii_digits(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => text.chars().map(ascii_digit).collect(),
    }
}

/// Decodes the escapes of JSON and URLs for characters that separate digits; none where the text
/// has no escapes.
fn unescaped(text: &str) -> Option<String> {
    const ESCAPED: [(&str, &str); 9] = [
        ("\\n", " "),
        ("\\t", " "),
        ("\\r", " "),
        ("\\/", "/"),
        ("%20", " "),
        ("%2B", "+"),
        ("%2D", "-"),
        ("%28", "("),
        ("%29", ")"),
    ];
    if !text.contains(['\\', '%']) {
        return None;
    }
    let value = serde_json::from_str(text).map(|value: serde_json::Value| value.to_string());
    let text = value.unwrap_or_else(|_| text.to_owned());
    Some(ESCAPED.iter().fold(text, |text, (escaped, plain)| text.replace(escaped, plain)))
}

/// Returns whether `text` contains the digits, in one run or in groups: `+1 (213) 777-1234`. A longer
/// number that contains them is another one.
fn contains_digits(digits: &str, text: &str) -> bool {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for group in text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()) {
        let start = group.as_ptr().addr() - text.as_ptr().addr();
        groups.push(start..start + group.len());
    }
    (0..groups.len()).any(|first| {
        let mut joined = String::new();
        let mut end = groups[first].start;
        for group in &groups[first..] {
            let between = &text[end..group.start];
            let is_near = between.chars().count() <= BETWEEN_GROUPS
                && !between.chars().any(char::is_alphabetic);
            if !is_near || joined.len() > digits.len() {
                return false;
            }
            joined.push_str(&text[group.clone()]);
            end = group.end;
            // International prefixes: `0012137771234` and `01112137771234`.
            if ["", "00", "011"].iter().any(|before| joined.strip_prefix(before) == Some(digits)) {
                return true;
            }
        }
        false
    })
}

/// The rows that contain a number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberMatches {
    calls: Vec<String>,
    events: Vec<String>,
    snapshots: Vec<String>,
    /// Calls that match by their masked number only, which several callers share.
    pub by_mask: u64,
    /// Number of rows that were searched.
    pub rows: u64,
    /// The first of the calls.
    pub examples: Vec<MatchedCall>,
}

/// A call that contains a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedCall {
    /// Id of the record.
    pub id: String,
    /// The caller, masked.
    pub from: String,
    /// The called number, masked.
    pub to: String,
}

/// Maximum number of [`NumberMatches::examples`].
const MAX_EXAMPLES: usize = 20;

impl NumberMatches {
    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Returns the number of events.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Returns the number of stored rule tables.
    pub fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    /// Adds the rows of another search.
    pub fn extend(&mut self, other: NumberMatches) {
        self.calls.extend(other.calls);
        self.events.extend(other.events);
        self.snapshots.extend(other.snapshots);
        self.by_mask += other.by_mask;
    }

    /// Returns the number of rows.
    pub fn total(&self) -> usize {
        self.calls() + self.events() + self.snapshots()
    }
}

/// Result of overwriting deleted bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overwritten {
    /// No deleted bytes are left.
    Done,
    /// Deleted bytes may be left, for this reason.
    NotYet(String),
}

/// Longest wait for a log that another connection reads.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of rows deleted in one transaction.
const ROWS: usize = 500;

impl Store {
    /// Searches every row for a number.
    ///
    /// # Errors
    /// Fails when the database returns an error.
    pub async fn find_number(&self, traces: &NumberTraces) -> Result<NumberMatches, StoreError> {
        let mut found = NumberMatches::default();
        let mut call_ids: HashSet<(String, String)> = HashSet::new();
        let mut rows = sqlx::query(
            "SELECT id, source, call_id, from_party, to_party, details, rule, agent FROM calls",
        )
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            let (from, to): (String, String) = (row.try_get(3)?, row.try_get(4)?);
            let is_party = traces.match_column(&from) || traces.match_column(&to);
            // A party can be a text that contains the number.
            if !is_party && !any_text(&row, &[2, 3, 4, 5, 6, 7], traces)? {
                continue;
            }
            if found.examples.len() < MAX_EXAMPLES {
                let masked = |party: &str| Party::parse(Some(party)).party.masked().into_owned();
                let id = row.try_get(0)?;
                found.examples.push(MatchedCall { id, from: masked(&from), to: masked(&to) });
            }
            let is_masked = |column: &String| *column == traces.masked;
            found.by_mask += u64::from(is_masked(&from) || is_masked(&to));
            found.calls.push(row.try_get(0)?);
            if let Some(call_id) = row.try_get(2)? {
                call_ids.insert((row.try_get(1)?, call_id));
            }
        }
        drop(rows);
        let calls: HashSet<&str> = found.calls.iter().map(String::as_str).collect();
        let mut rows =
            sqlx::query("SELECT id, source, call_id, call, kind, details, body FROM events")
                .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            let call: Option<String> = row.try_get(3)?;
            let call_id: Option<String> = row.try_get(2)?;
            let source: String = row.try_get(1)?;
            let has_call = call.is_some_and(|call| calls.contains(&*call))
                || call_id.is_some_and(|call_id| call_ids.contains(&(source, call_id)));
            if has_call || any_text(&row, &[2, 4, 5, 6], traces)? {
                found.events.push(row.try_get(0)?);
            }
        }
        drop(rows);
        let mut rows =
            sqlx::query("SELECT fingerprint, files FROM rule_snapshots").fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            if any_text(&row, &[1], traces)? {
                found.snapshots.push(row.try_get(0)?);
            }
        }
        drop(rows);
        Ok(found)
    }

    /// Deletes the rows that were found.
    ///
    /// # Errors
    /// Fails when the database returns an error; rows deleted until then stay deleted.
    pub async fn erase(&self, found: &NumberMatches) -> Result<(), StoreError> {
        let tables = [
            ("events", "id", &found.events),
            ("calls", "id", &found.calls),
            ("rule_snapshots", "fingerprint", &found.snapshots),
        ];
        for (table, key, ids) in tables {
            for some in ids.chunks(ROWS) {
                let list = placeholders(some.len());
                let statement = format!("DELETE FROM {table} WHERE {key} IN ({list})");
                let query = sqlx::query(AssertSqlSafe(statement));
                let query = some.iter().fold(query, |query, id| query.bind(id.clone()));
                query.execute(&self.pool).await?;
            }
        }
        Ok(())
    }

    /// Overwrites deleted rows in the file and in its log.
    pub async fn overwrite(&self) -> Overwritten {
        if self.is_postgres {
            for table in ["calls", "events", "rule_snapshots"] {
                let vacuum = sqlx::raw_sql(AssertSqlSafe(format!("VACUUM {table}")));
                if let Err(error) = vacuum.execute(&self.pool).await {
                    return Overwritten::NotYet(format!("VACUUM failed: {error}"));
                }
            }
            return Overwritten::Done;
        }
        // Moved pages leave no copies in a file that is written from scratch.
        let vacuumed = sqlx::raw_sql("VACUUM").execute(&self.pool).await;
        let begun = tokio::time::Instant::now();
        loop {
            let truncated =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.pool).await;
            let is_busy = truncated.and_then(|row| row.try_get::<i64, _>(0));
            match is_busy {
                Ok(0) => break,
                Ok(_) if begun.elapsed() < LOG_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(_) => {
                    let reason = "another connection reads the log (-wal), which cannot be emptied";
                    return Overwritten::NotYet(reason.to_owned());
                }
                Err(error) => return Overwritten::NotYet(error.to_string()),
            }
        }
        match vacuumed {
            Ok(_) => Overwritten::Done,
            Err(error) => Overwritten::NotYet(format!("VACUUM failed: {error}")),
        }
    }
}

fn any_text(row: &AnyRow, columns: &[usize], traces: &NumberTraces) -> Result<bool, StoreError> {
    for at in columns {
        let text: Option<String> = row.try_get(*at)?;
        if text.is_some_and(|text| traces.match_text(&text)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::NumberStorage;

    #[track_caller]
    fn check(party: &str, text: &str, expected: bool) {
        let party = Party::parse(Some(party)).party;
        let traces = NumberTraces::new(&party, &NumberPolicy::new(NumberStorage::Full)).unwrap();
        assert_eq!(traces.match_text(text), expected, "{text}");
    }

    #[test]
    fn finds_a_number_in_any_notation() {
        for text in [
            r#"{"from":"+12137771234"}"#,
            r#"{"from":12137771234}"#,
            "call me at +1 (213) 777-1234, please",
            "1.213.777.1234",
            "0012137771234",
            "011 1 213 777 1234",
            "https://host/a?from=%2B12137771234&to=1",
            "recording_12137771234_1780012672200.wav",
            "seen before: +1213***1234",
            "+1\u{2011}213\u{2011}777\u{2011}1234",
            "+1\u{a0}213\u{a0}777 – 1234",
            "+1_213_777_1234",
            "tel=%2B1%20213%20777%201234",
            r#"{"said":"+1\u2011213\u2011777\u20111234"}"#,
            r#"{"said":"+1 213\n777 1234"}"#,
            "at 9 12137771234",
            "one: 1 2 1 3, 7 7 7, 1 2 3 4",
            "1+213+777+1234",
            "whatsapp:+12137771234",
            "+1 213 777 1234 x5",
            "sip:%2B12137771234@h",
            "\u{ff11}\u{ff12}\u{ff11}\u{ff13}7771234",
        ] {
            check("+12137771234", text, true);
        }
        for text in [
            "+12137771235",
            "1 2137771235 1234",
            "+121377712345",
            "912137771234",
            "12137771 and 234",
            "213 777 1234",
            "1780012672200",
            "+1213***12345",
            "",
        ] {
            check("+12137771234", text, false);
        }
    }

    #[test]
    fn does_not_find_a_short_number_inside_another() {
        check("+4911", "+4911", true);
        check("+4911", "dial 49 11 now", true);
        check("+4911", "+491155501234", false);
        check("+4911", "1780012649110", false);
    }

    #[test]
    fn finds_a_literal_only_as_a_whole() {
        check("client:jane", r#"{"from":"client:jane"}"#, true);
        check("client:jane", r#"{"from":"client:janet"}"#, false);
        check("1001", r#"{"at":1780010012200}"#, false);
    }

    #[test]
    fn cannot_erase_a_withheld_number() {
        assert!(
            NumberTraces::new(&Party::Withheld, &NumberPolicy::new(NumberStorage::Full)).is_none()
        );
    }
}
