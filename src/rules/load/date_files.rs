//! Days from a file: CSV with a day a line, or a calendar. Parses the text; `list_rows` reads it.

use csv::{ReaderBuilder, StringRecord};

use super::calendar;
use super::file_days::{FileDays, LineProblem};
use crate::diagnostics::Problem;
use crate::rules::model::dates::DaySpec;
use crate::rules::model::dates::suggest::is_date_with_year;

/// Reads the days of a calendar or of CSV, whichever the text is.
pub(crate) fn read(text: &str) -> FileDays {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if calendar::is_calendar(text) { calendar::read(text) } else { read_csv(text) }
}

/// Reads lines whose first column is a day or a range. A date in the second column ends a range.
fn read_csv(text: &str) -> FileDays {
    let mut found = FileDays::default();
    let first_line = text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let declared = declared_separator(first_line);
    let separator = match declared {
        Some(separator) => separator.bytes().next().unwrap_or(b','),
        None => lines_separator(text),
    };
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(separator).comment(Some(b'#'));
    let mut reader = builder.from_reader(text.as_bytes());
    let mut is_first = true;
    for record in reader.records().map_while(Result::ok) {
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let is_sep = is_first && declared_separator(cell(0)).is_some();
        let is_blank = record.iter().all(|cell| cell.trim().is_empty());
        let has_no_digit = !cell(0).contains(|c: char| c.is_ascii_digit());
        let is_header = is_first && has_no_digit && DaySpec::parse(cell(0)).is_err();
        is_first &= is_sep || is_blank;
        if !is_sep && !is_blank && !is_header {
            read_row(&record, text, &mut found);
        }
    }
    found
}

/// Returns what follows `sep=`, which spreadsheets write above the rows.
fn declared_separator(line: &str) -> Option<&str> {
    let (word, separator) = line.trim_matches('"').split_at_checked("sep=".len())?;
    word.eq_ignore_ascii_case("sep=").then_some(separator)
}

/// Returns the separator of the cells: that of the first line that has one outside quotes.
fn lines_separator(text: &str) -> u8 {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let of_line = |line: &str| {
        let unquoted: String = line.split('"').step_by(2).collect();
        [b',', b';', b'\t', b'|'].into_iter().find(|byte| unquoted.contains(char::from(*byte)))
    };
    lines.filter_map(of_line).next().unwrap_or(b',')
}

fn read_row(record: &StringRecord, text: &str, found: &mut FileDays) {
    let cell = |column: usize| record.get(column).unwrap_or_default().trim();
    let (first, second) = (cell(0), cell(1));
    let (line, shown) = line_of(record, text);
    let at = |part: &str, problem: Problem| LineProblem::at(line, shown, part, problem);
    let is_range =
        (looks_like_a_date(second) || is_date_with_year(second)) && !first.contains("..");
    let parsed = match is_range {
        true => read_range(first, second),
        false => DaySpec::parse(first).map_err(|problem| (first, problem)),
    };
    match parsed {
        Ok(DaySpec::Once(date)) => found.ranges.push((date, date)),
        Ok(DaySpec::Range { from, to }) => found.ranges.push((from, to)),
        Ok(day) => {
            found.warnings.extend(day.doubt().map(|problem| at(first, problem)));
            found.days.push(day);
        }
        Err((part, problem)) => {
            let problem = problem.maybe_help(without_rest(part));
            found.errors.push(at(part, problem));
        }
    }
}

/// Returns the first line of a row, with its number. Reading has begun before the comments and empty lines above
/// the row, and after a carriage return before the line feed.
fn line_of<'t>(record: &StringRecord, text: &'t str) -> (usize, &'t str) {
    let (mut number, offset) = record
        .position()
        .map_or((1, 0), |position| (position.line() as usize, position.byte() as usize));
    for line in text.get(offset..).unwrap_or_default().split_inclusive('\n') {
        // A carriage return alone ends a row, too.
        let line = line.split(['\r', '\n']).next().unwrap_or_default();
        if !line.is_empty() && !line.starts_with('#') {
            return (number, line);
        }
        number += 1;
    }
    (number, "")
}

/// Reads the ends of a range in two columns. A problem has the part at fault.
fn read_range<'r>(first: &'r str, second: &'r str) -> Result<DaySpec, (&'r str, Problem)> {
    for end in [first, second] {
        DaySpec::parse(end).map_err(|problem| (end, problem))?;
    }
    DaySpec::parse(&format!("{first}..{second}")).map_err(|problem| {
        let is_turned_around = DaySpec::parse(&format!("{second}..{first}")).is_ok();
        let help = format!("write `{second}` in the first column, and `{first}` in the second");
        (second, problem.maybe_help(is_turned_around.then_some(help)))
    })
}

/// Returns whether a cell of the second column ends a range; otherwise it is a name.
fn looks_like_a_date(cell: &str) -> bool {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    let is_separator = |c: char| matches!(c, '-' | '.' | '/');
    digits >= 4
        && cell.contains(is_separator)
        && cell.chars().all(|c| c.is_ascii_digit() || is_separator(c) || " :TZ".contains(c))
}

/// Returns the help for a day with something behind it: a time, as spreadsheets and programs export days, a comment
/// or a name.
fn without_rest(cell: &str) -> Option<String> {
    let (day, rest) = cell.split_once([' ', 'T'])?;
    let spec = DaySpec::parse(day).ok()?;
    let is_time = rest.contains(':') && rest.starts_with(|c: char| c.is_ascii_digit());
    let why = match rest.trim_start() {
        _ if is_time => "days have no time",
        rest if rest.starts_with(['#', ';']) || rest.starts_with("//") => {
            "a comment is a line of its own that begins with #"
        }
        _ if DaySpec::parse(cell).is_err_and(|problem| is_correction(&problem)) => return None,
        _ => "a name belongs in a column of its own",
    };
    Some(format!("did you mean `{spec}`? {why}"))
}

fn is_correction(problem: &Problem) -> bool {
    problem.help.as_deref().is_some_and(|help| help.starts_with("did you mean"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::model::dates::ListedDays;

    fn shown(found: &FileDays) -> Vec<String> {
        let ranges = found.ranges.iter().map(|(from, to)| format!("{from}..{to}"));
        ranges.chain(found.days.iter().map(ToString::to_string)).collect()
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = read(text);
        assert!(found.errors.is_empty(), "{:?}", found.errors);
        assert_eq!(shown(&found), expected, "{text}");
    }

    #[test]
    fn reads_days_and_ranges() {
        check("2026-12-24\n2026-12-31\n", &["2026-12-24..2026-12-24", "2026-12-31..2026-12-31"]);
        check("\u{feff}date,name\r\n2026-12-24,Christmas Eve\r\n", &["2026-12-24..2026-12-24"]);
        check("from;to;name\n2026-12-24;2026-12-26;\"A; B\"\n", &["2026-12-24..2026-12-26"]);
        check("day\n2026-12-24..2026-12-26\n", &["2026-12-24..2026-12-26"]);
        check("# closed\n\n2026-12-24,,x\n,,\n", &["2026-12-24..2026-12-24"]);
        check("SEP=;\nday;name\n2026-12-24;Heiligabend\n", &["2026-12-24..2026-12-24"]);
        check("sep=;\nday;name\n2026-12-24;Heiligabend\n", &["2026-12-24..2026-12-24"]);
        check("2026-12-24\t2026-12-25\n", &["2026-12-24..2026-12-25"]);
        check("2026-12-24|2026-12-26|Christmas\n", &["2026-12-24..2026-12-26"]);
        check(
            "2026-12-24\n2026-12-26;2026-12-28\n;;\n",
            &["2026-12-24..2026-12-24", "2026-12-26..2026-12-28"],
        );
        check("12-25\neaster-2,Good Friday\n", &["12-25", "easter-2"]);
        check("name\n", &[]);
        check("", &[]);
    }

    #[test]
    fn reports_other_forms_with_the_right_one() {
        let found = read(
            "day,name\n24.12.2026,A\n2026-12-24 00:00:00\n2026-12-30,2026-12-28\n2026-12-24,26.12.2026\nsoon\n",
        );
        let errors: Vec<_> = found
            .errors
            .iter()
            .map(|error| {
                (
                    error.line,
                    &error.text[error.span.clone()],
                    error.problem.help.as_deref().unwrap(),
                )
            })
            .collect();
        let forms = "write `12-24`, `2026-12-24`, `3rd mon of jan`, `last mon of may` or `easter-2`, \
                     or a range such as `12-24..12-26`";
        let expected = [
            (2, "24.12.2026", "did you mean `2026-12-24`?"),
            (3, "2026-12-24 00:00:00", "did you mean `2026-12-24`? days have no time"),
            (
                4,
                "2026-12-28",
                "write `2026-12-28` in the first column, and `2026-12-30` in the second",
            ),
            (5, "26.12.2026", "did you mean `2026-12-26`?"),
            (6, "soon", forms),
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn a_problem_has_the_line_of_its_row() {
        let lines = ["day,name", "# closed", "", "2026-12-24,x", "soon,y", "late,z"];
        for line_break in ["\n", "\r\n"] {
            let found = read(&lines.join(line_break));
            let errors = found.errors.iter().map(|error| (error.line, error.text.as_str()));
            assert_eq!(errors.collect::<Vec<_>>(), [(5, "soon,y"), (6, "late,z")]);
            let commented = read(&["day", "", "# closed", "soon"].join(line_break));
            assert_eq!((commented.errors[0].line, &*commented.errors[0].text), (4, "soon"));
        }
        let found = read("day\rsoon\rlate\r");
        let texts = found.errors.iter().map(|error| error.text.as_str());
        assert_eq!(texts.collect::<Vec<_>>(), ["soon", "late"]);
    }

    #[test]
    fn a_day_with_something_behind_it_says_what_is_wrong() {
        let help = |line: &str| {
            let found = read(&format!("day\n{line}\n"));
            found.errors[0].problem.help.clone().unwrap()
        };
        let comment = "did you mean `12-25`? a comment is a line of its own that begins with #";
        assert_eq!(help("12-25 # x"), comment);
        let name = "did you mean `12-25`? a name belongs in a column of its own";
        assert_eq!(help("12-25 Christmas"), name);
        assert_eq!(help("12-25 - 12-26"), "did you mean `12-25..12-26`?");
        assert_eq!(help("2026-12-24;26 Dec 2026"), "did you mean `2026-12-26`?");
        assert_eq!(help("24-Dec-26;Heiligabend"), "did you mean `2026-12-24`?");
        let found = read("day;name\n12-26..12-24;x\n");
        assert_eq!(found.warnings[0].problem.code, "range-over-new-year");
    }

    #[test]
    fn listed_days_are_searched_in_merged_ranges() {
        let found = read("2026-12-24,2026-12-30\n2026-01-01\n2026-12-26,2026-12-27\n");
        let listed = ListedDays::new(found.ranges);
        for (date, expected) in [
            ("2025-12-31", false),
            ("2026-01-01", true),
            ("2026-01-02", false),
            ("2026-12-23", false),
            ("2026-12-24", true),
            ("2026-12-29", true),
            ("2026-12-30", true),
            ("2026-12-31", false),
        ] {
            assert_eq!(listed.contains(date.parse().unwrap()), expected, "{date}");
        }
    }
}
