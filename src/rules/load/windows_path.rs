//! Help for paths with backslashes, which are escapes in a string with double quotes and no separators on
//! this system.

/// Returns the help for the path of a file, or `None` if it has no backslashes. `path` can have the control
/// characters that escapes became: `lists\u{8}locked.csv`.
pub(crate) fn help(path: &str) -> Option<String> {
    let is_escaped = path.contains(|c| escape(c).is_some());
    if !is_escaped && !path.contains('\\') {
        return None;
    }
    let mut intended = String::new();
    for c in path.chars() {
        match escape(c) {
            Some(letter) => intended.extend(['/', letter]),
            None if c == '\\' => intended.push('/'),
            None => intended.push(c),
        }
    }
    let has_drive = intended.split_once(":/").is_some_and(|(drive, _)| drive.len() == 1);
    let file = intended.rsplit('/').next().filter(|name| has_drive && !name.is_empty());
    let why = match is_escaped {
        true => "a backslash is an escape here: ",
        false => "paths have slashes: ",
    };
    Some(match file {
        Some(file) => {
            format!("there are no drives: copy the file beside this one and write `\"{file}\"`")
        }
        None => format!("{why}write `\"{intended}\"`"),
    })
}

/// Returns the letter whose escape is this character.
fn escape(c: char) -> Option<char> {
    Some(match c {
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposes_slashes() {
        let help = |path: &str| help(path).unwrap_or_default();
        assert_eq!(
            help("lists\u{8}locked.csv"),
            "a backslash is an escape here: write `\"lists/blocked.csv\"`"
        );
        assert_eq!(help("lists\\vip.csv"), "paths have slashes: write `\"lists/vip.csv\"`");
        assert_eq!(
            help("C:\\lists\\vip.csv"),
            "there are no drives: copy the file beside this one and write `\"vip.csv\"`"
        );
        assert_eq!(help("lists/vip.csv"), "");
    }
}
