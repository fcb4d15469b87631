//! Words, signs and digits of times and days as people write them. Apart from the digits, only help texts use them.

use crate::domain::phone_number::ascii_digit;

/// Parses ASCII digits without a sign or spaces.
pub(super) fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Returns the text in lower case, with plain spaces and dashes.
pub(super) fn plain(text: &str) -> String {
    let plain = |letter: char| match letter {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '~' | '\u{301c}' | '\u{ff5e}' => '-',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{ff1a}' => ':',
        letter if letter.is_whitespace() => ' ',
        letter => ascii_digit(letter),
    };
    let lower: String = text.chars().flat_map(char::to_lowercase).map(plain).collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the text with a sign in place of each of these words.
pub(super) fn replace_words(text: &str, words: &[&str], sign: &str) -> String {
    let replaced = text.split(' ').map(|word| if words.contains(&word) { sign } else { word });
    replaced.collect::<Vec<_>>().join(" ")
}

/// Words between the ends of a range.
pub(super) const TO: [&str; 13] =
    ["to", "until", "till", "til", "through", "thru", "bis", "à", "às", "a", "al", "tot", "do"];
/// Words between entries.
pub(super) const AND: [&str; 8] = ["and", "und", "et", "y", "e", "en", "och", "og"];

/// Names of the weekdays from Monday, in English and in the other languages of calendars.
pub(super) const WEEKDAYS: [(&str, &str); 7] = [
    (
        "mon",
        "monday mon mo mond montag lun lundi lunes lunedì lunedi maandag maa ma segunda segunda-feira seg \
         mandag måndag man mån poniedziałek poniedzialek pon pn",
    ),
    (
        "tue",
        "tuesday tues tue tu dienstag die di mardi mar martes martedì martedi dinsdag din terça terca \
         terça-feira ter tirsdag tisdag tir tis wtorek wt",
    ),
    (
        "wed",
        "wednesday weds wed we mittwoch mi mer mercredi mie mié miércoles miercoles mercoledì mercoledi \
         woensdag woe wo quarta quarta-feira qua onsdag ons środa sroda śr sr",
    ),
    (
        "thu",
        "thursday thurs thur thu th donnerstag don do jeu jeudi jue jueves giovedì giovedi gio donderdag \
         quinta quinta-feira qui torsdag tors tor czwartek czw",
    ),
    (
        "fri",
        "friday fri fr freitag ven vendredi vie viernes venerdì venerdi vrijdag vri vr sexta sexta-feira \
         sex fredag fre piątek piatek pt",
    ),
    (
        "sat",
        "saturday sat sa samstag sonnabend sam samedi sáb sab sábado sabado sabato zaterdag zat za lørdag \
         lördag lør lör sobota sob",
    ),
    (
        "sun",
        "sunday sun su sonntag so dim dimanche dom domingo domenica zondag zon zo søndag söndag søn sön \
         niedziela niedz nd",
    ),
];

/// Returns the position of a weekday, from Monday.
pub(super) fn weekday(name: &str) -> Option<usize> {
    let name = name.trim_matches([' ', '.', ':']);
    let has = |names: &str| {
        let mut names = names.split(' ');
        names.any(|known| known == name || name.strip_suffix('s') == Some(known))
    };
    WEEKDAYS.iter().position(|(_, names)| !name.is_empty() && has(names))
}
