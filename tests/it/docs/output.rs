//! Comparison of printed output with a command's output.

/// Text that stands for anything.
const ELLIPSIS: &str = "…";

/// Returns whether the printed lines match the output.
pub(super) fn matches(printed: &[String], output: &[String]) -> bool {
    match printed.split_first() {
        None => output.is_empty(),
        Some((first, rest)) if first.trim() == ELLIPSIS => {
            (0..=output.len()).any(|skipped| matches(rest, &output[skipped..]))
        }
        Some((first, rest)) => {
            output.first().is_some_and(|line| line_matches(first, line))
                && matches(rest, &output[1..])
        }
    }
}

/// Returns the new printed output: parts between lines `…` are replaced by the lines of the output that
/// resemble them most.
pub(super) fn update(printed: &[String], output: &[String]) -> Vec<String> {
    let parts: Vec<_> = printed.split(|line| line.trim() == ELLIPSIS).collect();
    let Some(last) = parts.len().checked_sub(1).filter(|last| *last > 0) else {
        return output.to_vec();
    };
    let mut updated = Vec::new();
    let mut from = 0;
    for (number, part) in parts.into_iter().enumerate() {
        if number > 0 {
            updated.push(ELLIPSIS.to_owned());
        }
        let rest = &output[from..];
        let length = part.len().min(rest.len());
        let start = match number {
            0 => 0,
            _ if number == last => rest.len() - length,
            _ => (0..=rest.len() - length)
                .max_by_key(|start| (similarity(part, &rest[*start..]), usize::MAX - start))
                .unwrap_or_default(),
        };
        for (old, new) in part.iter().zip(&rest[start..start + length]) {
            updated.push(if line_matches(old, new) { old } else { new }.clone());
        }
        from += start + length;
    }
    updated
}

/// Returns the index of the line that resembles `printed` most.
pub(super) fn most_similar(printed: &str, lines: &[String]) -> Option<usize> {
    let part = [printed.to_owned()];
    (0..lines.len()).max_by_key(|at| similarity(&part, &lines[*at..]))
}

fn similarity(part: &[String], lines: &[String]) -> usize {
    let shared = |(old, new): (&String, &String)| {
        let new = normalize(new);
        normalize(old).split(' ').filter(|word| new.contains(word)).count()
    };
    part.iter().zip(lines).map(shared).sum()
}

/// Returns whether a printed line matches a line of the output.
pub(super) fn line_matches(printed: &str, line: &str) -> bool {
    let line = normalize(line);
    if !printed.contains(ELLIPSIS) {
        return normalize(printed) == line;
    }
    // The rest of a word that `…` cuts is dropped, since it cannot be normalized.
    let parts: Vec<_> = printed.split(ELLIPSIS).collect();
    let mut rest = line.as_str();
    for (number, part) in parts.iter().enumerate() {
        let mut part = *part;
        if number > 0 {
            part = part.trim_start_matches(is_word);
        }
        if number + 1 < parts.len() {
            part = part.trim_end_matches(is_word);
        }
        let part = normalize(part);
        if number + 1 == parts.len() {
            return rest.ends_with(part.as_str());
        }
        match rest.find(part.as_str()) {
            Some(at) if number > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    true
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_-.+:█".contains(c)
}

/// Replaces ids, times and durations, and shortens white space and bars.
fn normalize(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut chars = line.trim_end().chars().peekable();
    while let Some(first) = chars.next() {
        let mut word = first.to_string();
        if is_word(first) && first != ':' {
            while let Some(next) = chars.next_if(|next| {
                is_word(*next) && (*next != ':' || word.ends_with(|c: char| c.is_ascii_digit()))
            }) {
                word.push(next);
            }
        }
        words.push(word);
    }
    let originals = words.clone();
    for (at, word) in words.iter_mut().enumerate() {
        let follows = |distance: usize| originals.get(at + distance).map_or("", String::as_str);
        let is_duration = follows(1) == " " && ["ms", "s"].contains(&follows(2));
        let is_measured = originals[..at].iter().rev().take(3).any(|name| {
            ["latency_us", "age_seconds", "switchboard_table_loaded_timestamp_seconds", "waiting"]
                .contains(&name.as_str())
        });
        *word = general(word, is_duration || is_measured);
    }
    words.concat().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the word, or a name for its kind if each run prints another one.
fn general(word: &str, is_quantity: bool) -> String {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let number = word.trim_start_matches('+');
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let bare = word.strip_prefix("call_").unwrap_or(word);
    let kind =
        if bare.len() == 36 && bare.matches('-').count() == 4 && is_hex(&bare.replace('-', "")) {
            "ID"
        } else if [12, 32].contains(&bare.len()) && is_hex(bare) && !is_number {
            "HEX"
        } else if shape.starts_with("0000-00-00") {
            "DATE"
        } else if shape.starts_with("00:00:00") {
            "TIME"
        } else if ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&word) {
            "DAY"
        } else if is_quantity && is_number {
            "N"
        } else if word.starts_with('█') {
            "█"
        } else {
            word
        };
    kind.to_owned()
}

#[test]
fn ids_and_times_are_not_compared() {
    let id = "01a1fd54-0dc7-74da-b135-717bd9d7ad89";
    assert!(line_matches(
        "2026-11-21T08:58:30.53Z  INFO call request_id=\"01a1fd54-…\" latency_us=41",
        &format!("2027-01-01T00:00:00Z INFO call request_id=\"{id}\" latency_us=7"),
    ));
    assert!(line_matches("200 OK in 0.5 ms", "200 OK in 11 ms"));
    assert!(!line_matches("rule vip", "rule other"));
    assert!(!line_matches("from +12137771234", "from +12137771235"));
}

#[test]
fn an_update_keeps_the_printed_extract() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let output = lines("1 no a\n2 no b\n3 DECIDES c\n\nagent x\n  more\nend");
    assert!(matches(&lines("…\n3 DECIDES c\n…"), &output));
    let updated = update(&lines("…\n2 DECIDES c\n\nagent y\n…"), &output);
    assert_eq!(updated, lines("…\n3 DECIDES c\n\nagent x\n…"));
    assert_eq!(update(&lines("1 no\n…"), &output), lines("1 no a\n…"));
    assert_eq!(update(&lines("?"), &output), output);
}
