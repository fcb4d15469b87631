//! Removes a text, such as a phone number, from the copies of a table's files, and leaves the rest as
//! it is: line numbers stay, and the files can still be read.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use toml::de::DeTable;

use super::files::{Snapshot, TableFiles};
use super::list_rows::ListRows;

/// Stands for a removed text: as a pattern, a text that no caller sends.
const MARKER: &str = "=erased";
/// Stands for a removed text outside of quotes, where only a number can stand.
const NUMBER_MARKER: &str = "0";

/// Returns the places of a text that are to be removed, in order.
pub(crate) type FindPlaces<'f> = &'f dyn Fn(&str) -> Vec<Range<usize>>;

impl Snapshot {
    /// Returns a copy without these places, marked as edited: rows of lists are emptied, and in TOML
    /// a marker stands in their place.
    pub(crate) fn without(&self, find: FindPlaces<'_>) -> Snapshot {
        let mut edited = Snapshot { is_edited: true, ..self.clone() };
        for (path, text) in &mut edited.files {
            if find(text).is_empty() {
                continue;
            }
            *text = match self.rules.contains(path) {
                true => mark_places(text, find),
                false => blank_rows(text, &self.row_starts(path, text), find),
            };
        }
        edited
    }

    /// Returns the text of a list without these places, in the same way.
    pub(crate) fn list_without(path: &Path, text: String, find: FindPlaces<'_>) -> String {
        let files = BTreeMap::from([(path.to_owned(), text)]);
        let mut edited = Snapshot { files, ..Snapshot::default() }.without(find);
        edited.files.remove(path).unwrap_or_default()
    }

    /// Returns the offsets of the rows of a list, past its header. In plain text every line is one.
    fn row_starts(&self, path: &Path, text: &str) -> Vec<usize> {
        let mut starts = Vec::new();
        match ListRows::open(&mut TableFiles::in_snapshot(self), path) {
            Ok(mut rows) if rows.separator.is_some() => {
                let read = rows.for_each(|row| {
                    starts.extend(usize::try_from(row.offset));
                    ControlFlow::Continue(())
                });
                // A copy in memory can be read to its end.
                drop(read);
            }
            Ok(_) | Err(_) => {
                let lines = text.split_inclusive('\n');
                starts.extend(lines.map(|line| line.as_ptr().addr() - text.as_ptr().addr()));
            }
        }
        starts
    }
}

/// Replaces each place by a marker with which the text is TOML still.
fn mark_places(text: &str, find: FindPlaces<'_>) -> String {
    let mut edited = text.to_owned();
    // From the end, so that the places before stay where they are.
    for place in find(text).into_iter().rev() {
        // The `*` of a prefix would follow the marker.
        let is_prefix = text[place.end..].starts_with('*');
        let place = place.start..place.end + usize::from(is_prefix);
        let line_breaks = "\n".repeat(text[place.clone()].matches('\n').count());
        let with = |marker: &str| {
            let (before, after) = (&edited[..place.start], &edited[place.end..]);
            format!("{before}{marker}{line_breaks}{after}")
        };
        let marked = with(MARKER);
        edited = match DeTable::parse(&marked) {
            Ok(_) => marked,
            Err(_) => with(NUMBER_MARKER),
        };
    }
    edited
}

/// Empties the rows that contain a place, and removes places that no row contains.
fn blank_rows(text: &str, starts: &[usize], find: FindPlaces<'_>) -> String {
    let header_end = starts.first().copied().unwrap_or(text.len()).min(text.len());
    let mut edited = without_places(&text[..header_end], find);
    for (at, start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(text.len());
        let row = text.get(*start..end).unwrap_or_default();
        match find(row).is_empty() {
            true => edited.push_str(row),
            false => edited.extend(row.split_inclusive('\n').map(line_end)),
        }
    }
    // What spans several rows.
    if find(&edited).is_empty() { edited } else { without_places(&edited, find) }
}

fn line_end(line: &str) -> &str {
    &line[line.trim_end_matches(['\r', '\n']).len()..]
}

/// Removes the places, except their line breaks.
fn without_places(text: &str, find: FindPlaces<'_>) -> String {
    let mut edited = text.to_owned();
    for place in find(text).into_iter().rev() {
        let line_breaks = "\n".repeat(text[place.clone()].matches('\n').count());
        edited.replace_range(place, &line_breaks);
    }
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "+12137771234";

    fn find(text: &str) -> Vec<Range<usize>> {
        text.match_indices(&TEXT[1..])
            .map(|(at, found)| {
                let plus = usize::from(text[..at].ends_with('+'));
                at - plus..at + found.len()
            })
            .collect()
    }

    #[test]
    fn a_marker_keeps_the_toml_and_its_lines() {
        let text = "# +12137771234\n[[rule]]\nname = \"a\"\nfrom = [\"+12137771234\", \"!+12137771234*\"]\n\
                    metadata = { phone = 12137771234 }\nagent = \"b\"\n";
        let edited = mark_places(text, &find);
        assert_eq!(
            edited,
            "# =erased\n[[rule]]\nname = \"a\"\nfrom = [\"=erased\", \"!=erased\"]\n\
             metadata = { phone = 0 }\nagent = \"b\"\n"
        );
    }

    #[test]
    fn a_row_is_emptied_with_all_its_lines() {
        let text = "number,note\n+1900,\"x\"\n+12137771234,\"two\nlines\"\n+1901,y\n";
        let starts = [12, 22, 47];
        assert_eq!(&text[starts[1]..starts[2]], "+12137771234,\"two\nlines\"\n");
        let edited = blank_rows(text, &starts, &find);
        assert_eq!(edited, "number,note\n+1900,\"x\"\n\n\n+1901,y\n");
    }

    #[test]
    fn a_comment_is_emptied_without_the_row_after_it() {
        let text = "# first\n# +12137771234\n+1901\n+12137771234\n+1900";
        let starts = [0, 8, 23, 29, 42];
        assert_eq!(blank_rows(text, &starts, &find), "# first\n\n+1901\n\n+1900");
    }
}
