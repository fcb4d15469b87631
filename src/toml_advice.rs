//! Names and texts as TOML writes them, and advice on lines that are not TOML, for help texts of rules and settings.

use std::borrow::Cow;

use serde_json::Value;
use toml::de::DeTable;

/// Quotes a string for TOML, which differs from JSON in one control character.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Returns whether a key needs no quotes.
pub(crate) fn is_bare_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !key.is_empty() && key.bytes().all(is_plain)
}

/// Quotes a key unless it is a bare one.
pub(crate) fn written_key(key: &str) -> String {
    match is_bare_key(key) {
        true => key.to_owned(),
        false => quote(key),
    }
}

/// Advice about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Requirement of TOML that the line does not meet.
    pub(crate) reason: Cow<'static, str>,
    /// The line to write.
    pub(crate) line: Option<String>,
}

impl Advice {
    /// Returns the help with the line, which can contain a secret in settings.
    pub(crate) fn help(&self) -> String {
        match &self.line {
            Some(line) => format!("{}: write `{line}`", self.reason),
            None => self.reason.clone().into_owned(),
        }
    }

    fn only(reason: &'static str) -> Option<Advice> {
        Some(Advice { reason: reason.into(), line: None })
    }
}

/// Beginnings of the lines that a version control system leaves in a file with a conflict.
const CONFLICT_MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

const COMMENT: &str = "a comment begins with `#`";

/// Openings of comments in other languages.
const COMMENTS: [&str; 5] = ["//", "/*", ";", "--", "<!--"];

/// Returns whether the line at `at` is left from a merge with conflicts.
pub(crate) fn is_conflict(text: &str, at: usize) -> bool {
    CONFLICT_MARKERS.iter().any(|marker| line_at(text, at).starts_with(marker))
}

/// Advises on the syntax error at `at`.
pub(crate) fn advise(text: &str, at: usize) -> Option<Advice> {
    let line = line_at(text, at);
    let trimmed = line.trim();
    if is_conflict(text, at) {
        return Advice::only(
            "this is a merge conflict: keep one of the versions, and remove the lines that begin with \
             <<<<<<<, ======= and >>>>>>>",
        );
    }
    if trimmed.starts_with("```") {
        return Advice::only("remove this line, which belongs to a text around the file");
    }
    if COMMENTS.iter().any(|opening| trimmed.starts_with(opening)) {
        return Advice::only(COMMENT);
    }
    if line.contains(|c: char| c.is_whitespace() && !c.is_ascii()) && accepts(&plain_spaces(line)) {
        return Advice::only("the line contains a no-break space; type its spaces again");
    }
    if trimmed.starts_with('[') {
        return header(trimmed).or_else(|| extended_inline_table(trimmed, text));
    }
    let straight = straight_quotes(line);
    if straight != line && accepts(&straight) {
        let line = Some(straight.trim().to_owned());
        return Some(Advice { reason: "quotes are straight in TOML".into(), line });
    }
    let (reason, corrected) = entry(&straight).or_else(|| key_with_spaces(&straight))?;
    Some(Advice { reason: reason.into(), line: Some(corrected) })
}

fn line_at(text: &str, at: usize) -> &str {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// Returns whether this is TOML.
fn accepts(line: &str) -> bool {
    DeTable::parse(line).is_ok()
}

fn plain_spaces(line: &str) -> String {
    line.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect()
}

fn straight_quotes(line: &str) -> String {
    let straight = |c: char| match c {
        '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{ff02}' => '"',
        '\u{2018}'..='\u{201b}' => '\'',
        c => c,
    };
    line.chars().map(straight).collect()
}

/// Advises on the header of a table.
fn header(line: &str) -> Option<Advice> {
    let name = line.trim_matches(['[', ']', ' ', ',', ';', ':']);
    let is_list = line.starts_with("[[") || line.ends_with("]]");
    let in_brackets =
        |name: &str| if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
    let (reason, corrected) = match in_brackets(name) {
        corrected if !accepts(&corrected) && name.contains(' ') => {
            (WITHOUT_SPACES, in_brackets(&with_hyphens(name)))
        }
        corrected => ("the name of a table stands in brackets that are closed", corrected),
    };
    let is_advice = corrected != line && accepts(&corrected);
    is_advice.then_some(Advice { reason: reason.into(), line: Some(corrected) })
}

const WITHOUT_SPACES: &str = "a name without quotes has no spaces";

/// Returns the name to write for one with spaces.
fn with_hyphens(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("-")
}

/// Corrects a key with spaces: `front desk = "agent_1"`.
fn key_with_spaces(line: &str) -> Option<(&'static str, String)> {
    let (key, value) = line.split_once('=')?;
    let corrected = format!("{} = {}", with_hyphens(key), value.trim());
    let is_advice = key.trim().contains(' ') && accepts(&corrected);
    is_advice.then_some((WITHOUT_SPACES, corrected))
}

/// Advises on the header of a table inside one that is written in braces, which nothing can extend.
fn extended_inline_table(line: &str, text: &str) -> Option<Advice> {
    let path = line.strip_prefix('[')?.split(']').next()?.trim();
    let (outer, _) = path.rsplit_once('.')?;
    let name = outer.rsplit('.').next()?.trim();
    let is_inline = |line: &&str| {
        let entry = line.trim().strip_prefix(name).map(str::trim_start);
        entry
            .and_then(|rest| rest.strip_prefix('='))
            .is_some_and(|value| value.trim_start().starts_with('{'))
    };
    let inline = text.lines().find(is_inline)?.trim();
    let reason = format!(
        "a table in braces cannot be extended: in place of `{name} = {{ … }}`, write [{outer}] and below it one line \
         for each of its keys"
    );
    accepts(inline).then(|| Advice { reason: reason.into(), line: None })
}

/// Corrects a key with its value.
fn entry(line: &str) -> Option<(&'static str, String)> {
    let key_end = key_end(line)?;
    let (key, rest) = line.split_at(key_end);
    let key = key.trim();
    let rest = rest.trim();
    let (separator, value) = match rest.strip_prefix(['=', ':']) {
        Some(value) => (&rest[..1], value.trim()),
        None => ("", rest),
    };
    let written_key = match accepts(&format!("{key} = 1")) {
        true => key.to_owned(),
        false => format!("\"{key}\""),
    };
    let (reason, value) = corrected_value(value)?;
    let reason = match separator {
        _ if written_key != key => "a key with other characters stands in quotes",
        "=" => reason?,
        ":" => "a key and its value are separated by `=`",
        _ => "a key is followed by `=`",
    };
    let corrected = format!("{written_key} = {value}");
    accepts(&corrected).then_some((reason, corrected))
}

/// Returns where the key of a line ends.
fn key_end(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let rest = &line[start..];
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        return rest[1..].find(quote).map(|end| start + 1 + end + 1);
    }
    let end = rest.find(['=', ':', '"', '\'']).or_else(|| rest.find(' '))?;
    let key = rest[..end].trim_end();
    let is_key = !key.is_empty() && !key.contains([' ', '[', ']', '{', '}', '#']);
    is_key.then_some(start + key.len())
}

/// Returns a value without the comment behind it, if it has one in the form of another language.
fn without_comment(value: &str) -> Option<String> {
    if let Some((value, _)) = value.split_once(" //") {
        return corrected_value(value.trim()).map(|(_, value)| value);
    }
    // These can be parts of a text without quotes.
    let mut found = [" ; ", " -- ", " <!--", " /*"].into_iter().filter_map(|opening| {
        let (value, _) = value.split_once(opening)?;
        let value = value.trim();
        accepts(&format!("a = {value}")).then(|| value.to_owned())
    });
    found.next()
}

/// Returns what is wrong with a value, if something is, and the value to write.
fn corrected_value(value: &str) -> Option<(Option<&'static str>, String)> {
    let is_value = |value: &str| accepts(&format!("a = {value}"));
    if is_value(value) {
        return Some((None, value.to_owned()));
    }
    if let Some(value) = without_comment(value) {
        return Some((Some(COMMENT), value));
    }
    let bare = value.trim_end_matches([',', ';', ' ']);
    if bare != value {
        let (_, value) = corrected_value(bare)?;
        return Some((Some("a line has no comma or semicolon at its end"), value));
    }
    match value.to_lowercase().as_str() {
        "true" | "yes" | "on" => return Some((Some("TOML has true and false"), "true".into())),
        "false" | "no" | "off" => return Some((Some("TOML has true and false"), "false".into())),
        _ => {}
    }
    if value.starts_with(['{', '[']) {
        let candidates = [
            ("a key and its value are separated by `=`", value.replace(':', " =")),
            ("a comma stands between two values", value.replace("\" \"", "\", \"")),
        ];
        let accepted = candidates.into_iter().find(|(_, value)| is_value(value));
        return accepted.map(|(reason, value)| (Some(reason), value));
    }
    let inside = value.trim_matches(['"', '\'']);
    let is_text = !inside.is_empty() && !inside.contains(['"', '\'', '\\', '=', '#', '[', '{']);
    is_text.then(|| (Some("a text stands in quotes"), format!("\"{inside}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let text = format!("[[rule]]\nname = \"a\"\n{line}\nkeep = true\n");
        let at = text.rfind(line).expect("the line") + line.len() / 2;
        let advice = advise(&text, at).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(advice.line.as_deref().unwrap_or(&advice.reason), expected, "{line}");
        if let Some(corrected) = &advice.line {
            assert!(accepts(corrected), "{corrected}");
        }
    }

    #[test]
    fn common_mistakes_get_the_line_to_write() {
        for line in [
            "agent = agent_1",
            "agent: agent_1",
            "agent: \"agent_1\"",
            "agent \"agent_1\"",
            "agent agent_1",
            "agent = \"agent_1",
            "agent = 'agent_1",
            "agent = \u{201c}agent_1\u{201d}",
            "agent = \u{2018}agent_1\u{2019};",
            "agent = \u{201e}agent_1\u{201c}",
            "agent = \"agent_1\",",
            "agent = \"agent_1\";",
            "agent = \"agent_1\" // of the shop",
            "  \"agent\": \"agent_1\",",
        ] {
            let quote = if line.starts_with("  \"") { "\"agent\"" } else { "agent" };
            let text = if line.contains('\u{2018}') { "'agent_1'" } else { "\"agent_1\"" };
            check(line, &format!("{quote} = {text}"));
        }
        check("keep = True", "keep = true");
        check("keep = yes", "keep = true");
        check("enabled: no", "enabled = false");
        check("variables = { \"a\": \"x\" }", "variables = { \"a\" = \"x\" }");
        check("from = [\"+1\" \"+2\"]", "from = [\"+1\", \"+2\"]");
        check("mon-fri = 09:00-17:00", "mon-fri = \"09:00-17:00\"");
        check("mon,tue = \"09:00-17:00\"", "\"mon,tue\" = \"09:00-17:00\"");
        check("m\u{e5}n-fre = \"09:00-17:00\"", "\"m\u{e5}n-fre\" = \"09:00-17:00\"");
        check("[[rule]", "[[rule]]");
        check("[rule]]", "[[rule]]");
        check("[agents", "[agents]");
        check("// a comment", "a comment begins with `#`");
        check("/* a comment */", "a comment begins with `#`");
        for line in ["; a comment", "-- a comment", "<!-- a comment -->"] {
            check(line, "a comment begins with `#`");
        }
        for end in ["; of the shop", "-- of the shop", "/* of the shop */"] {
            check(&format!("agent = \"agent_1\" {end}"), "agent = \"agent_1\"");
        }
        check("agent = a -- b", "agent = \"a -- b\"");
        check("```", "remove this line, which belongs to a text around the file");
        check(
            "agent\u{a0}= \"agent_1\"",
            "the line contains a no-break space; type its spaces again",
        );
    }

    #[test]
    fn a_table_in_braces_is_written_with_a_header_of_its_own() {
        let text = "[agents]\ndesk = { vapi = \"1\" }\n\n[agents.desk.openai]\nmodel = \"m\"\n";
        assert!(!accepts(text));
        let at = text.find("[agents.desk").expect("the header");
        let advice = advise(text, at).expect("advice");
        assert_eq!(
            advice.reason,
            "a table in braces cannot be extended: in place of `desk = { … }`, write [agents.desk] and below it one \
             line for each of its keys"
        );
        assert!(accepts(&text.replace("desk = { vapi = \"1\" }", "[agents.desk]\nvapi = \"1\"")));
        // No advice is better than the line as it is.
        assert_eq!(advise("[a.b]\n[a.b]\n", 6), None);
    }

    #[test]
    fn a_conflict_is_recognised_and_other_lines_get_no_advice() {
        for marker in ["<<<<<<< HEAD", "=======", ">>>>>>> other"] {
            assert!(is_conflict(marker, 0), "{marker}");
        }
        for line in ["", "= 1", "a = \"b\", c = \"d\"", "a = [1, 2", "{ a"] {
            assert_eq!(advise(line, 0), None, "{line}");
        }
    }
}
