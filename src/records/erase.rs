//! Forgetting a caller: every row that holds the number, in any way in which records may hold it,
//! and then its bytes in the file.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::lookup::places;
use super::{NumberPolicy, Store, StoreError};
use crate::domain::phone_number::{Party, is_digit_separator};

/// What a caller leaves behind in records.
pub struct Traces {
    /// As a column keeps the number: in full, masked, hashed.
    ways: Vec<String>,
    masked: String,
    /// What is looked for in texts besides the digits.
    texts: Vec<String>,
    /// The digits, of a number that has some.
    digits: Option<String>,
}

/// So many digits in a row mean a number, whatever stands around them.
const SURE_DIGITS: usize = 7;
/// As many characters may stand between two groups of a number's digits.
const BETWEEN_GROUPS: usize = 5;

impl Traces {
    /// Of this caller; none for withheld ones, who are all alike.
    pub fn of(party: &Party, numbers: &NumberPolicy) -> Option<Traces> {
        let mut ways = numbers.ways(party);
        let whole = ways.first()?.clone();
        let masked = party.masked().into_owned();
        if !ways.contains(&masked) {
            ways.push(masked.clone());
        }
        let digits_of = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let (texts, digits) = match party {
            Party::Withheld => return None,
            Party::Number(_) => (ways.clone(), Some(digits_of(&whole))),
            Party::Literal(text) => {
                let is_dialled = text.chars().all(|c| c.is_ascii_digit() || " -.()+".contains(c));
                let digits = Some(digits_of(text)).filter(|digits| digits.len() >= SURE_DIGITS);
                // A masked literal is so short that it stands in other texts, too.
                let others = ways.iter().filter(|way| **way != masked);
                let quoted = others.map(|way| serde_json::Value::from(way.as_str()).to_string());
                (quoted.collect(), digits.filter(|_| is_dialled))
            }
        };
        Some(Traces { ways, masked, texts, digits })
    }

    /// The number as it may be shown.
    pub fn masked(&self) -> &str {
        &self.masked
    }

    /// The bytes that no file may hold any more.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let digits = self.digits.iter().filter(|digits| digits.len() >= SURE_DIGITS);
        let texts = self.texts.iter().filter(|text| text.len() > SURE_DIGITS);
        texts.chain(digits).map(|text| text.clone().into_bytes()).collect()
    }

    fn are_in_column(&self, text: &str) -> bool {
        self.ways.iter().any(|way| way == text)
    }

    fn are_in_text(&self, text: &str) -> bool {
        self.texts.iter().any(|known| stands_in(known, text))
            || self.digits.as_deref().is_some_and(|digits| {
                digits_stand_in(digits, text)
                    || unescaped(text).is_some_and(|text| digits_stand_in(digits, &text))
            })
    }
}

/// `+1***23` does not stand in `+1***234`.
fn stands_in(known: &str, text: &str) -> bool {
    text.match_indices(known).any(|(at, _)| {
        let after = text[at + known.len()..].chars().next();
        !after.is_some_and(|after| after.is_ascii_digit())
    })
}

/// What JSON and URLs write for the characters that stand between digits, as these characters; none
/// where there is nothing of that kind.
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

/// In a row; or in groups, as people write a number: `+1 (213) 777-1234`.
fn digits_stand_in(digits: &str, text: &str) -> bool {
    if digits.len() >= SURE_DIGITS && text.contains(digits) {
        return true;
    }
    let mut groups: Vec<(usize, &str)> = Vec::new();
    for group in text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()) {
        groups.push((group.as_ptr().addr() - text.as_ptr().addr(), group));
    }
    (0..groups.len()).any(|first| {
        // `0012137771234` and `011…`: what is dialled before a number.
        let mut joined = String::new();
        let mut end = groups[first].0;
        for &(at, group) in &groups[first..] {
            let between = &text[end..at];
            let is_near = between.chars().count() <= BETWEEN_GROUPS
                && between.chars().all(is_digit_separator);
            if !is_near || joined.len() > digits.len() {
                return false;
            }
            joined.push_str(group);
            end = at + group.len();
            if ["", "00", "011"].iter().any(|before| joined.strip_prefix(before) == Some(digits)) {
                return true;
            }
        }
        false
    })
}

/// The rows that hold a caller's traces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberMatches {
    calls: Vec<String>,
    events: Vec<String>,
    tables: Vec<String>,
    /// Calls of whoever is masked like this.
    pub by_mask: u64,
    /// So many rows were looked at.
    pub rows: u64,
}

impl NumberMatches {
    /// How many calls.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many events.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// How many kept tables of rules.
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// Those of another search with them.
    pub fn absorb(&mut self, other: NumberMatches) {
        self.calls.extend(other.calls);
        self.events.extend(other.events);
        self.tables.extend(other.tables);
        self.by_mask += other.by_mask;
    }

    /// How many rows in all.
    pub fn all(&self) -> usize {
        self.calls() + self.events() + self.tables()
    }
}

/// What came of writing over deleted bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overwritten {
    /// Nothing is left of them.
    Done,
    /// Something may be left, and why.
    NotYet(String),
}

/// A log that somebody reads from is waited for so long.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// Rows that are deleted in one transaction.
const AT_ONCE: usize = 500;

impl Store {
    /// Looks through every row.
    ///
    /// # Errors
    /// When the database says no.
    pub async fn find(&self, traces: &Traces) -> Result<NumberMatches, StoreError> {
        let mut found = NumberMatches::default();
        let mut call_ids: HashSet<(String, String)> = HashSet::new();
        let mut rows = sqlx::query(
            "SELECT id, source, call_id, from_party, to_party, details, rule, agent FROM calls",
        )
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            let (from, to): (String, String) = (row.try_get(3)?, row.try_get(4)?);
            let is_party = traces.are_in_column(&from) || traces.are_in_column(&to);
            if !is_party && !any_text(&row, &[2, 5, 6, 7], traces)? {
                continue;
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
            let of_call = call.is_some_and(|call| calls.contains(&*call))
                || call_id.is_some_and(|call_id| call_ids.contains(&(source, call_id)));
            if of_call || any_text(&row, &[2, 4, 5, 6], traces)? {
                found.events.push(row.try_get(0)?);
            }
        }
        drop(rows);
        let mut rows = sqlx::query("SELECT fingerprint, files FROM tables").fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            found.rows += 1;
            if any_text(&row, &[1], traces)? {
                found.tables.push(row.try_get(0)?);
            }
        }
        drop(rows);
        Ok(found)
    }

    /// Deletes what was found.
    ///
    /// # Errors
    /// When the database says no; what was deleted until then stays so.
    pub async fn forget(&self, found: &NumberMatches) -> Result<(), StoreError> {
        let of_tables = [
            ("events", "id", &found.events),
            ("calls", "id", &found.calls),
            ("tables", "fingerprint", &found.tables),
        ];
        for (table, key, ids) in of_tables {
            for some in ids.chunks(AT_ONCE) {
                let list = places(some.len());
                let statement = format!("DELETE FROM {table} WHERE {key} IN ({list})");
                let query = sqlx::query(AssertSqlSafe(statement));
                let query = some.iter().fold(query, |query, id| query.bind(id.clone()));
                query.execute(&self.pool).await?;
            }
        }
        Ok(())
    }

    /// Writes over what was deleted, in the file and in the log beside it.
    pub async fn overwrite(&self) -> Overwritten {
        if self.is_postgres {
            for table in ["calls", "events", "tables"] {
                let vacuum = sqlx::raw_sql(AssertSqlSafe(format!("VACUUM {table}")));
                if let Err(error) = vacuum.execute(&self.pool).await {
                    return Overwritten::NotYet(format!("VACUUM did not end well: {error}"));
                }
            }
            return Overwritten::Done;
        }
        // Pages that are moved leave nothing behind in a file that is written anew.
        let vacuumed = sqlx::raw_sql("VACUUM").execute(&self.pool).await;
        let begun = tokio::time::Instant::now();
        loop {
            let emptied =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.pool).await;
            let is_busy = emptied.and_then(|row| row.try_get::<i64, _>(0));
            match is_busy {
                Ok(0) => break,
                Ok(_) if begun.elapsed() < LOG_PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(_) => {
                    let why =
                        "somebody reads from the log of the file (-wal), which cannot be emptied";
                    return Overwritten::NotYet(why.to_owned());
                }
                Err(error) => return Overwritten::NotYet(error.to_string()),
            }
        }
        match vacuumed {
            Ok(_) => Overwritten::Done,
            Err(error) => Overwritten::NotYet(format!("VACUUM did not end well: {error}")),
        }
    }
}

fn any_text(row: &AnyRow, columns: &[usize], traces: &Traces) -> Result<bool, StoreError> {
    for at in columns {
        let text: Option<String> = row.try_get(*at)?;
        if text.is_some_and(|text| traces.are_in_text(&text)) {
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
        let traces = Traces::of(&party, &NumberPolicy::new(NumberStorage::Full)).unwrap();
        assert_eq!(traces.are_in_text(text), expected, "{text}");
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
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
        ] {
            check("+12137771234", text, true);
        }
        for text in [
            "+12137771235",
            "1 2137771235 1234",
            "12137771, 234",
            "213 777 1234",
            "1780012672200",
            "+1213***12345",
            "",
        ] {
            check("+12137771234", text, false);
        }
    }

    #[test]
    fn a_short_number_is_not_found_inside_of_others() {
        check("+4911", "+4911", true);
        check("+4911", "dial 49 11 now", true);
        check("+4911", "+491155501234", false);
        check("+4911", "1780012649110", false);
    }

    #[test]
    fn a_text_is_found_where_it_stands_alone() {
        check("client:jane", r#"{"from":"client:jane"}"#, true);
        check("client:jane", r#"{"from":"client:janet"}"#, false);
        check("1001", r#"{"at":1780010012200}"#, false);
    }

    #[test]
    fn nobody_can_forget_all_who_show_no_number() {
        assert!(Traces::of(&Party::Withheld, &NumberPolicy::new(NumberStorage::Full)).is_none());
    }
}
