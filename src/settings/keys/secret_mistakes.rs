//! Mistakes in secrets that were copied with something around them, or that are something else. No message contains
//! the secret.

use crate::domain::phone_number::is_invisible;
use crate::domain::secret::names_a_secret;

/// Minimum length of a secret; a shorter one can be guessed.
pub(crate) const SHORTEST_SECRET_BYTES: usize = 16;

/// What is wrong with a secret, as the end of a sentence, and the remedy.
type Mistake = (&'static str, &'static str);

/// Returns what is wrong with a secret, and the remedy.
///
/// A password may have any punctuation inside. Punctuation at an end is a mistake only if the rest has the form of a
/// key.
pub(super) fn mistake_in_secret(secret: &[u8]) -> Option<Mistake> {
    // Bytes that are no text were made by a random generator.
    let text = std::str::from_utf8(secret).ok().filter(|text| !text.is_empty())?;
    mistake_in_file(text)
        .or_else(|| reference_in_place_of_secret(text))
        .or_else(|| mistake_of_wrapping(text))
        .or_else(|| mistake_of_spaces(text))
}

fn mistake_in_file(text: &str) -> Option<Mistake> {
    if text.trim().is_empty() {
        Some(("contains nothing but white space", "store the secret there"))
    } else if text.starts_with('\u{feff}') {
        Some(("begins with a byte order mark", "save the file as UTF-8 without BOM"))
    } else {
        None
    }
}

/// Finds texts that stand for a secret, which nothing replaces by it.
fn reference_in_place_of_secret(text: &str) -> Option<Mistake> {
    const SET: &str = "set it to the secret itself";
    let begins_with = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    if is_unexpanded(text) {
        Some(("is a variable that was not expanded", SET))
    } else if begins_with(&["env:", "file:"]) {
        Some(("contains another reference", SET))
    } else if begins_with(&STORES) {
        Some(("is a reference to a store of secrets, in which nothing looks it up", SET))
    } else if begins_with(&PATHS) || is_windows_path(text) {
        Some(("is a path", "to read the secret from a file, write \"file:PATH\" in the settings"))
    } else if begins_with(&["http://", "https://"]) {
        Some(("is a URL", SET))
    } else if text.starts_with('<') && text.ends_with('>') {
        Some(("is a placeholder", "replace all of it, with the brackets, by the secret"))
    } else if text.contains(['\u{2026}', '\u{2022}', '\u{25cf}'])
        || text.contains("****")
        || text.strip_suffix("...").is_some_and(is_key_like)
    {
        Some(("is shortened or hidden", "copy the whole secret: the platform shows it on request"))
    } else {
        None
    }
}

/// Beginnings of references to secrets of cloud providers and password managers.
const STORES: [&str; 12] = [
    "arn:",
    "projects/",
    "op://",
    "vault:",
    "ssm:",
    "secretsmanager:",
    "sm://",
    "gcp:",
    "awssm:",
    "azurekeyvault:",
    "@Microsoft.KeyVault(",
    "ref+",
];

/// Beginnings of paths. Base64 can begin with a slash, so that no slash alone is one.
const PATHS: [&str; 15] = [
    "/run/",
    "/etc/",
    "/var/",
    "/home/",
    "/mnt/",
    "/opt/",
    "/tmp/",
    "/root/",
    "/app/",
    "/usr/",
    "/secrets/",
    "/srv/",
    "./",
    "../",
    "~/",
];

fn is_windows_path(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// Finds what shells, editors, spreadsheets and programs put around a text.
fn mistake_of_wrapping(text: &str) -> Option<Mistake> {
    if is_quoted(text) {
        let help =
            "remove the quotes; docker --env-file and others keep them as parts of the secret";
        Some(("is in quotes", help))
    } else if is_json(text) {
        Some(("is JSON", "store only the secret in it, without brackets and quotes"))
    } else if has_quote_at_one_end(text) {
        Some(("has a quote at one end", "remove the quote; it would be part of the secret"))
    } else if is_assignment(text) {
        Some(("begins with a name and `=`", "store only what follows the `=`"))
    } else if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        Some(("begins with `Bearer`", "store only what follows it"))
    } else if has_escaped_end(text) {
        Some((
            "ends with a line break that was escaped",
            "remove the backslash and the letter after it",
        ))
    } else if is_several(text) {
        let help =
            "store each secret in a variable or file of its own, and name them all in `secrets`";
        Some(("contains several secrets", help))
    } else if text.strip_suffix([';', ',']).is_some_and(is_key_like) {
        Some(("ends with a separator", "remove the last character; it would be part of the secret"))
    } else if has_punctuation_around(text) {
        Some(("has punctuation around it", "remove it; it would be part of the secret"))
    } else {
        None
    }
}

fn mistake_of_spaces(text: &str) -> Option<Mistake> {
    if text.chars().any(is_invisible) {
        Some(("contains an invisible character", "copy the secret again, or type it"))
    } else if text.trim().len() < text.len() {
        Some(("begins or ends with white space", "remove it; it would be part of the secret"))
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some(("contains white space", "store the secret, and nothing else, on one line"))
    } else {
        None
    }
}

/// Quotes that shells, spreadsheets and word processors put around a text.
const QUOTES: [(char, char); 9] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{ab}', '\u{bb}'),
    ('\u{bb}', '\u{ab}'),
    ('\u{2039}', '\u{203a}'),
];

/// Returns the text inside quotes, or `None` if it is not in quotes.
pub(crate) fn unquoted(text: &str) -> Option<&str> {
    let inside = |(open, close): &(char, char)| text.strip_prefix(*open)?.strip_suffix(*close);
    QUOTES.iter().find_map(inside).filter(|inside| !inside.is_empty())
}

/// Returns whether a text is in quotes, or in quotes that a program escaped.
fn is_quoted(text: &str) -> bool {
    let is_escaped = ["\\\"", "\\'"]
        .iter()
        .any(|quote| text.starts_with(quote) || text.strip_suffix(quote).is_some_and(is_key_like));
    unquoted(text).is_some() || is_escaped
}

fn has_quote_at_one_end(text: &str) -> bool {
    let is_quote = |c: char| QUOTES.iter().any(|(open, close)| c == *open || c == *close);
    let rest = text.strip_prefix(is_quote).or_else(|| text.strip_suffix(is_quote));
    rest.is_some_and(is_key_like)
}

/// Returns whether quotes, brackets and separators stand at both ends of a key, or quotes and separators at one.
fn has_punctuation_around(text: &str) -> bool {
    let is_quote = |c: char| QUOTES.iter().any(|(open, close)| c == *open || c == *close);
    let is_light = |c: char| is_quote(c) || ",;\\".contains(c);
    let is_any = |c: char| is_light(c) || "[](){}<>:|".contains(c);
    let key = text.trim_matches(is_any);
    let (before, after) = text.split_once(key).unwrap_or_default();
    let is_around = !before.is_empty() && !after.is_empty();
    is_key_like(key)
        && key.len() < text.len()
        && (is_around || before.chars().chain(after.chars()).all(is_light))
}

/// Returns whether a text is a list or an object of JSON or TOML, or a key in brackets.
fn is_json(text: &str) -> bool {
    let in_brackets = [('[', ']'), ('{', '}'), ('(', ')')].iter().find_map(|(open, close)| {
        text.strip_prefix(*open).and_then(|rest| rest.strip_suffix(*close))
    });
    in_brackets.is_some_and(|inside| inside.contains(['"', '\'']) || is_key_like(inside.trim()))
}

/// Returns whether a text consists of the characters of keys, as vendors make them.
fn is_key_like(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.".contains(&byte))
}

fn has_escaped_end(text: &str) -> bool {
    ["\\n", "\\r", "\\t"].iter().any(|end| {
        text.strip_suffix(end).is_some_and(|rest| is_key_like(rest.trim_end_matches("\\r")))
    })
}

/// Returns whether a text consists of several keys.
fn is_several(text: &str) -> bool {
    let is_whole = |part: &str| part.len() >= SHORTEST_SECRET_BYTES && is_key_like(part);
    [',', ';', '|'].iter().any(|separator| {
        let parts = text.trim_end_matches(*separator).split(*separator).map(str::trim);
        let (count, whole) = parts
            .fold((0, 0), |(count, whole), part| (count + 1, whole + usize::from(is_whole(part))));
        count > 1 && count == whole
    })
}

/// Returns whether a text is a variable in the form of a shell, of Windows, or of a template.
fn is_unexpanded(text: &str) -> bool {
    ["${", "$(", "{{", "<%"].iter().any(|opening| text.starts_with(opening))
        || text.strip_prefix('$').is_some_and(is_upper_case_name)
        || text
            .strip_prefix('%')
            .and_then(|rest| rest.strip_suffix('%'))
            .is_some_and(is_upper_case_name)
}

/// Returns whether a text is `NAME=secret` or `NAME:secret`, as in a file of variables. A key may contain a `=`, and a
/// password a `:`.
fn is_assignment(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text);
    let is_whole = |value: &str| value.len() >= SHORTEST_SECRET_BYTES;
    let by_equals = text.split_once('=').is_some_and(|(name, value)| {
        let name = name.trim_end();
        (is_upper_case_name(name) || is_name_of_secret(name)) && is_whole(value)
    });
    let by_colon = text.split_once(':').is_some_and(|(name, value)| {
        is_upper_case_name(name) && is_name_of_secret(name) && is_whole(value)
    });
    by_equals || by_colon
}

/// Returns whether a name is one of a variable with a secret, such as `retell_api_key`.
fn is_name_of_secret(name: &str) -> bool {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-.".contains(&byte));
    is_name && (names_a_secret(name) || name.to_ascii_lowercase().ends_with("key"))
}

fn is_upper_case_name(name: &str) -> bool {
    name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> Option<&'static str> {
        mistake_in_secret(text.as_bytes()).map(|(mistake, _)| mistake)
    }

    #[test]
    fn secrets_in_wrapping_are_refused() {
        const KEY: &str = "key_0123456789abcdef";
        for (before, after, expected) in [
            ("\"", "\"", "is in quotes"),
            ("\u{ab}", "\u{bb}", "is in quotes"),
            ("\\\"", "\\\"", "is in quotes"),
            ("\"", "", "has a quote at one end"),
            ("", "\"", "has a quote at one end"),
            ("'", "", "has a quote at one end"),
            ("", "\u{201d}", "has a quote at one end"),
            ("", ";", "ends with a separator"),
            ("", ",", "ends with a separator"),
            ("[\"", "\"]", "is JSON"),
            ("['", "']", "is JSON"),
            ("[", "]", "is JSON"),
            ("{\"key\":\"", "\"}", "is JSON"),
            ("", "\\n", "ends with a line break that was escaped"),
            ("", "\\r\\n", "ends with a line break that was escaped"),
            ("key_fedcba9876543210,", "", "contains several secrets"),
            ("key_fedcba9876543210,", ",", "contains several secrets"),
            ("RETELL_API_KEY=", "", "begins with a name and `=`"),
            ("retell_api_key=", "", "begins with a name and `=`"),
            ("\"", "\",", "has punctuation around it"),
            ("", "\";", "has punctuation around it"),
            ("([", "])", "has punctuation around it"),
            ("", "...", "is shortened or hidden"),
            ("", "\u{2026}", "is shortened or hidden"),
            (
                "arn:aws:secretsmanager:us-east-1:1:secret:",
                "",
                "is a reference to a store of secrets, in which nothing looks it up",
            ),
            (
                "projects/1/secrets/",
                "",
                "is a reference to a store of secrets, in which nothing looks it up",
            ),
            ("/run/secrets/", "", "is a path"),
            ("C:\\secrets\\", "", "is a path"),
            ("https://vault.example.com/", "", "is a URL"),
        ] {
            assert_eq!(
                mistake(&format!("{before}{KEY}{after}")),
                Some(expected),
                "{before}…{after}"
            );
        }
    }

    #[test]
    fn keys_of_vendors_and_passwords_are_accepted() {
        for secret in [
            "key_0123456789abcdef0123456789ab",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjGNDV+/gH==",
            "/9j+4AAQSkZJRgABAQ/AAQABAAD==",
            "0123456789abcdef0123456789abcdef",
            "sk_live_51H8x.abc-DEF_123=",
            "sk-proj-abc_DEF-0123456789",
            "b6b0b1a4-53c3-4b3a-9f7e-2f4f6d1c0a11",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP",
            "user:correct;horse,battery'staple\"1",
            "aB3$x!k;Lm#9,pQ{z}[w]",
            "aB3$x!kLm#9pQzw;",
            "aB3$x!kLm#9pQzw\"",
            "p@ssw0rd/with|pipes\\and%signs",
            "abc,def,ghi,jkl,mno",
            "MyLongPassword2026)",
            "admin:MyLongPassword2026",
        ] {
            assert_eq!(mistake(secret), None, "{secret}");
        }
    }
}
