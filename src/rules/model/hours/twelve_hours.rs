//! Finds times of a 12-hour clock, which a rule table reads as those of a 24-hour clock: `9:00-5:00` lasts until
//! the next morning. Only a warning uses them.

use super::{MINUTES_PER_DAY, TimeSpan, parse_span};

/// Times of a day that look like those of a 12-hour clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TwelveHourTimes {
    /// Position of the text with the first such span.
    pub(crate) text: usize,
    /// The first such span, as it is written.
    pub(crate) written: String,
    /// The span lasts until the next day.
    pub(crate) is_overnight: bool,
    /// All spans of the day as they were probably meant.
    pub(crate) meant: String,
}

/// Half a day in minutes.
const HALF_DAY: u16 = MINUTES_PER_DAY / 2;

/// Examines the times of a day. Times that a rule table does not accept are left to their error.
pub(crate) fn find(texts: &[&str]) -> Option<TwelveHourTimes> {
    let mut first: Option<(usize, String, bool)> = None;
    let mut spans: Vec<TimeSpan> = Vec::new();
    let all = texts.iter().enumerate();
    for (at, text) in all.flat_map(|(at, text)| text.split(',').map(move |span| (at, span.trim())))
    {
        let span = parse_span(text).ok()?;
        let meant = in_the_afternoon(span, spans.last(), is_written_short(text));
        if meant.is_some() && first.is_none() {
            first = Some((at, text.to_owned(), span.end > MINUTES_PER_DAY));
        }
        spans.push(meant.unwrap_or(span));
    }
    let (text, written, is_overnight) = first?;
    let meant = spans.iter().map(TimeSpan::to_string).collect::<Vec<_>>().join(", ");
    Some(TwelveHourTimes { text, written, is_overnight, meant })
}

/// Returns whether an hour has one digit, as on a 12-hour clock: `9:00-5:00`.
fn is_written_short(text: &str) -> bool {
    text.split('-').any(|time| time.trim().find(':') == Some(1))
}

/// Returns the span that was probably meant, if it is another one. `before` is the span before it on the same
/// day.
fn in_the_afternoon(
    span: TimeSpan,
    before: Option<&TimeSpan>,
    is_written_short: bool,
) -> Option<TimeSpan> {
    let TimeSpan { start, end } = span;
    let Some(end) = end.checked_sub(MINUTES_PER_DAY) else {
        // `9:00-12:00, 1:00-5:00`
        let start = start + HALF_DAY;
        let end = if end > start { end } else { end + HALF_DAY };
        let follows = before.is_some_and(|before| span.start < before.start && start >= before.end);
        let is_hour = (60..HALF_DAY).contains(&span.start) && start < end;
        return (follows && is_hour && end <= MINUTES_PER_DAY).then_some(TimeSpan { start, end });
    };
    // A place that opens after noon can close at any time of the night, and one that opens in the morning
    // soon after midnight.
    let is_plausible = match start {
        _ if !(60..HALF_DAY).contains(&end) || end + HALF_DAY <= start => true,
        300..720 => end < 180 && !is_written_short,
        720..780 => !is_written_short,
        _ => true,
    };
    (!is_plausible).then_some(TimeSpan { start, end: end + HALF_DAY })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times: &[&str], written: &str, meant: &str) {
        let found = find(times).unwrap_or_else(|| panic!("{times:?}"));
        assert_eq!((&*found.written, &*found.meant), (written, meant), "{times:?}");
    }

    #[test]
    fn ends_before_the_start_are_meant_to_be_in_the_afternoon() {
        for (times, meant) in [
            ("9:00-5:00", "09:00-17:00"),
            ("09:00-05:00", "09:00-17:00"),
            ("8:30-6:00", "08:30-18:00"),
            ("08:30-06:00", "08:30-18:00"),
            ("7:00-3:00", "07:00-15:00"),
            ("10:00-2:00", "10:00-14:00"),
            ("9:00-1:00", "09:00-13:00"),
            ("11:00-9:00", "11:00-21:00"),
            ("12:00-8:00", "12:00-20:00"),
            ("12:30-4:30", "12:30-16:30"),
            ("9 : 00-5:00", ""),
        ] {
            match meant {
                "" => assert_eq!(find(&[times]), None, "{times}"),
                _ => check(&[times], times, meant),
            }
        }
    }

    #[test]
    fn a_later_span_is_meant_to_follow_the_one_before() {
        check(&["9:00-12:00, 1:00-5:00"], "1:00-5:00", "09:00-12:00, 13:00-17:00");
        check(&["09:00-12:30", "01:30-06:00"], "01:30-06:00", "09:00-12:30, 13:30-18:00");
        check(&["8:30-12:00, 1:30-17:30"], "1:30-17:30", "08:30-12:00, 13:30-17:30");
        check(&["9:00-1:00, 2:00-5:00"], "9:00-1:00", "09:00-13:00, 14:00-17:00");
        let found = find(&["09:00-12:00", "1:00-5:00"]).unwrap();
        assert_eq!((found.text, found.is_overnight), (1, false));
    }

    #[test]
    fn nights_stay_as_they_are() {
        for times in [
            "22:00-06:00",
            "22:00-6:00",
            "18:00-02:00",
            "18:00-2:00",
            "17:00-09:00",
            "13:00-08:00",
            "14:00-8:00",
            "12:00-08:00",
            "11:00-02:00",
            "06:00-01:00",
            "05:00-01:30",
            "9:00-00:00",
            "9:00-0:30",
            "9:00-17:00",
            "00:00-24:00",
            "20:00-24:00, 00:00-04:00",
            "20:00-24:00, 1:00-5:00",
            "1:00-5:00",
            "1:00-5:00, 9:00-12:00",
            "08:00-12:00, 13:00-17:00",
            "",
        ] {
            assert_eq!(find(&[times]), None, "{times}");
        }
    }
}
