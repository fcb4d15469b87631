//! Dialling plans: how the numbers of a country are written at home.
//!
//! Reads `(213) 777-1234` in the United States, `030 901820` in Germany and `0034 912 345 678` in either as
//! international numbers.

use super::country::Country;
use super::phone_number::PhoneNumber;

/// Rules by which the numbers of a country are dialled.
struct Plan {
    /// Calling code.
    code: u16,
    /// Prefix before a number of the same country: `0`; empty if there is none.
    trunk: &'static str,
    /// Prefix before the calling code of another country: `00`. Empty if it is followed by the digits of a
    /// carrier.
    exit: &'static str,
    /// Bit `n` is set if a number without its calling code can have `n` digits.
    lengths: u16,
}

const fn lengths(all: &[u8]) -> u16 {
    let (mut mask, mut at) = (0, 0);
    while at < all.len() {
        mask |= 1 << all[at];
        at += 1;
    }
    mask
}

impl Plan {
    fn of(country: Country) -> Option<&'static Plan> {
        let row =
            PLANS.binary_search_by(|(code, _)| (*code).as_slice().cmp(country.as_str().as_bytes()));
        row.ok().map(|row| &PLANS[row].1)
    }

    /// Iterates over the plans of the countries that have a calling code, with the codes of the countries.
    fn with_calling_code(code: u16) -> impl Iterator<Item = (&'static str, &'static Plan)> {
        let with_code = PLANS.iter().filter(move |(_, plan)| plan.code == code);
        with_code.map(|(country, plan)| (std::str::from_utf8(*country).unwrap_or_default(), plan))
    }

    fn has_length(&self, digits: &str) -> bool {
        digits.len() < 16 && self.lengths & (1 << digits.len()) != 0
    }

    /// Returns the number after the calling code, if the digits begin with it.
    fn after_code<'d>(&self, digits: &'d str) -> Option<&'d str> {
        let code = self.code.to_string();
        digits.strip_prefix(code.as_str()).filter(|rest| self.has_length(rest))
    }

    /// Returns the number after the trunk prefix. Where there is none, people still write the 0 of former
    /// times or of other countries, unless numbers begin with one.
    fn after_trunk<'d>(&self, country: &str, digits: &'d str) -> Option<&'d str> {
        let trunk = match self.trunk {
            "" if LEADING_ZERO.contains(&country) => return None,
            "" => "0",
            trunk => trunk,
        };
        let rest = digits.strip_prefix(trunk)?;
        (self.has_length(rest) && !rest.starts_with('0')).then_some(rest)
    }

    /// Reads a number of the country, with or without its trunk prefix or its calling code.
    fn read_home(&self, country: &str, digits: &str, may_lack_trunk: bool) -> Option<PhoneNumber> {
        if let Some(rest) = self.after_trunk(country, digits) {
            return self.with_code(rest);
        }
        let may_begin_so = !digits.starts_with('0') || LEADING_ZERO.contains(&country);
        let bare = Some(digits).filter(|_| may_lack_trunk && may_begin_so);
        let bare = bare.filter(|digits| self.has_length(digits));
        let international = self.after_code(digits);
        let begins_with_code = digits.starts_with(&self.code.to_string());
        let national = match (bare, international) {
            (Some(bare), _) if !begins_with_code => bare,
            (Some(_), Some(rest)) => match reading_with_code(country, digits) {
                CodeReading::Code => rest,
                CodeReading::AreaCode => digits,
                CodeReading::Ambiguous => return None,
            },
            (Some(bare), None) if self.is_ordinary(country, bare) => bare,
            (Some(_), None) => return None,
            (None, international) => international?,
        };
        self.with_code(national)
    }

    /// Returns whether digits are as long as a geographic or mobile number of the country.
    fn is_ordinary(&self, country: &str, digits: &str) -> bool {
        let longest = LONG_SERVICE_NUMBERS.iter().find(|(known, _)| *known == country);
        self.has_length(digits) && longest.is_none_or(|(_, longest)| digits.len() <= *longest)
    }

    fn with_code(&self, digits: &str) -> Option<PhoneNumber> {
        PhoneNumber::parse(&format!("+{}{digits}", self.code)).ok()
    }
}

/// Countries without a trunk prefix in which numbers begin with a 0.
const LEADING_ZERO: [&str; 15] =
    ["BF", "BJ", "BZ", "CG", "CI", "FJ", "GA", "IT", "NC", "NE", "SM", "SZ", "TJ", "TO", "VA"];

/// Digits of the longest geographic and mobile numbers, in countries that may lack a trunk prefix and whose
/// service numbers are longer.
const LONG_SERVICE_NUMBERS: [(&str, usize); 27] = [
    ("BO", 8),
    ("BW", 8),
    ("BZ", 7),
    ("CL", 9),
    ("CN", 11),
    ("CO", 10),
    ("CR", 8),
    ("EE", 8),
    ("FJ", 7),
    ("GM", 7),
    ("GR", 10),
    ("GT", 8),
    ("HK", 8),
    ("HN", 8),
    ("MU", 8),
    ("MV", 7),
    ("NP", 10),
    ("OM", 8),
    ("PA", 8),
    ("PF", 8),
    ("PL", 9),
    ("QA", 8),
    ("SG", 8),
    ("SV", 8),
    ("SZ", 8),
    ("UY", 8),
    ("WF", 6),
];

/// Meaning of the calling code's digits at the beginning of a number that is long enough with and without them.
enum CodeReading {
    Code,
    AreaCode,
    Ambiguous,
}

/// Decides whether digits of a country begin with its calling code. Where national numbers of this length begin
/// with the same digits, nearly all of them are national; elsewhere there are none.
fn reading_with_code(country: &str, digits: &str) -> CodeReading {
    match (country, digits.len()) {
        // 390 is a mobile prefix, and +39 0 begins every landline.
        ("IT" | "VA", 9 | 10) if digits.starts_with("390") => CodeReading::Ambiguous,
        ("IT" | "VA", 9 | 10) | ("BR", 10 | 11) | ("PL", 9) => CodeReading::AreaCode,
        _ => CodeReading::Code,
    }
}

/// Reads the digits of a number that was written in `country`, without a `+`: a national number, with or
/// without its trunk prefix as the country has it, or an international one after `00`, `011` or another
/// exit code of the country, or after the country's own calling code. Returns `None` if there is no reading.
///
/// ```
/// use switchboard::domain::dialling_plan::read;
/// use switchboard::domain::phone_number::Country;
///
/// let (us, de) = (Country::from_code("US").unwrap(), Country::from_code("DE").unwrap());
/// assert_eq!(read("2137771234", us).unwrap().unmasked(), "+12137771234");
/// assert_eq!(read("030901820", de).unwrap().unmasked(), "+4930901820");
/// assert_eq!(read("0034912345678", de).unwrap().unmasked(), "+34912345678");
/// // A German number without its 0 could be a Greek one.
/// assert_eq!(read("30901820", de), None);
/// ```
pub fn read(digits: &str, country: Country) -> Option<PhoneNumber> {
    let plan = Plan::of(country)?;
    let code = country.as_str();
    let number = match after_exit_code(plan, code, digits) {
        Some(international) => {
            let number = PhoneNumber::parse(&format!("+{international}")).ok()?;
            usual_length(number).is_ok().then_some(number)?
        }
        None => {
            let may_lack_trunk = plan.trunk.is_empty()
                || plan.code == NORTH_AMERICA
                || OPTIONAL_TRUNK.contains(&code);
            plan.read_home(code, digits, may_lack_trunk)?
        }
    };
    let number = without_trunk_zero(number).unwrap_or(number);
    is_assignable(number).then_some(number)
}

/// Returns the digits after the exit code. Files often have `00` where people dial something else, and no
/// national number begins with two zeros.
fn after_exit_code<'d>(plan: &Plan, country: &str, digits: &'d str) -> Option<&'d str> {
    let exit = Some(plan.exit).filter(|exit| !exit.is_empty());
    if let Some(international) = exit.and_then(|exit| digits.strip_prefix(exit)) {
        return Some(international);
    }
    // Where a carrier's digit follows, `0033…` could also be its 3 and a number in +3….
    let has_long_carriers = LONG_CARRIERS.contains(&country);
    digits.strip_prefix("00").filter(|_| exit.is_some() || has_long_carriers)
}

/// Digits of the longest exit code.
pub(super) const MAX_EXIT_DIGITS: usize = 4;

/// Exit codes of most countries, and of North America.
pub(crate) const EXIT_CODES: [&str; 2] = ["00", "011"];

/// Countries that dial `00`, the two or three digits of a carrier, and the number. Files have the number after
/// `00`, as elsewhere.
const LONG_CARRIERS: [&str; 3] = ["BO", "BR", "CO"];

/// Returns the international prefix for the beginning of a number that was written in `country`: `0900` is
/// +49900 in Germany. Returns `None` if it is not clear what the digits are the beginning of.
pub fn read_prefix(digits: &str, country: Country) -> Option<PhoneNumber> {
    let plan = Plan::of(country)?;
    let code = country.as_str();
    let parse = |digits: &str| PhoneNumber::parse(&format!("+{digits}")).ok();
    if let Some(international) = after_exit_code(plan, code, digits) {
        return parse(international);
    }
    let after_trunk = digits.strip_prefix(plan.trunk).filter(|_| !plan.trunk.is_empty());
    if let Some(rest) = after_trunk {
        return if rest.starts_with('0') { None } else { parse(&format!("{}{rest}", plan.code)) };
    }
    let begins_with_code = digits.starts_with(&plan.code.to_string());
    match plan.trunk.is_empty() || plan.code == NORTH_AMERICA {
        true if digits.starts_with('0') && !LEADING_ZERO.contains(&code) => None,
        true if !begins_with_code => parse(&format!("{}{digits}", plan.code)),
        false if begins_with_code => parse(digits),
        _ => None,
    }
}

/// Calling code of the United States, Canada and the Caribbean.
const NORTH_AMERICA: u16 = 1;

/// Countries in which some numbers, mobile ones in most cases, are written without the trunk prefix.
const OPTIONAL_TRUNK: [&str; 16] = [
    "BO", "BR", "CN", "CO", "GE", "KI", "LB", "LI", "MC", "MH", "MN", "NP", "PE", "RW", "SO", "UY",
];

/// Returns whether digits without a `+` have the form of a number of North America, `NXX NXX XXXX`: they
/// are more likely one of these than an international number that lacks its `+`.
pub fn is_north_american(digits: &str) -> bool {
    let digits = digits.as_bytes();
    digits.len() == 10 && digits[0] >= b'2' && digits[3] >= b'2'
}

/// An area code of North America that no country has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedCode {
    /// The caller pays nothing: 800, 888 and others.
    TollFree,
    /// Premium rates, personal numbers and others: 900, 500, 700, 710.
    Special,
}

/// Returns what the area code of a number in +1 is for, if all countries of North America share it.
pub fn shared_north_american(number: PhoneNumber) -> Option<SharedCode> {
    if number.digits() != 11 || number.digit(0) != 1 {
        return None;
    }
    match [number.digit(1), number.digit(2), number.digit(3)] {
        [8, tens, units] if tens == units && (tens == 0 || (3..=8).contains(&tens)) => {
            Some(SharedCode::TollFree)
        }
        [9 | 5 | 7, 0, 0] | [7, 1, 0] => Some(SharedCode::Special),
        [5, tens, units] if tens == units && tens > 1 => Some(SharedCode::Special),
        _ => None,
    }
}

/// Returns false for a number of North America whose area code or exchange cannot exist.
fn is_assignable(number: PhoneNumber) -> bool {
    let digits = number.unmasked();
    digits.strip_prefix("+1").is_none_or(is_north_american)
}

/// Returns the number that a `phone-context` completes: the digits of a calling code, which those of an area may
/// follow (RFC 3966, section 5.1.5). Returns `None` if the plan of the country has no such number.
pub fn in_context(digits: &str, context: &str) -> Option<PhoneNumber> {
    let (code, area) = context.split_at_checked(code_length(context.as_bytes()))?;
    let code: u16 = code.parse().ok()?;
    let number = Plan::with_calling_code(code).find_map(|(country, plan)| {
        let whole = [area, digits].concat();
        let is_local = !area.is_empty() && plan.is_ordinary(country, &whole);
        match is_local {
            true => plan.with_code(&whole),
            false => plan.read_home(country, digits, true),
        }
    })?;
    let number = without_trunk_zero(number).unwrap_or(number);
    is_assignable(number).then_some(number)
}

/// Checks the length: 11 digits for +1, and 7 to 15 for other country codes.
///
/// # Errors
/// Returns how many digits would be right.
pub fn usual_length(number: PhoneNumber) -> Result<(), &'static str> {
    match (number.digit(0), number.digits()) {
        (1, 11) | (2..=9, 7..=15) => Ok(()),
        (1, _) => Err("numbers in +1 have 11"),
        _ => Err("numbers have at least 7"),
    }
}

/// Returns the number without a zero after the calling code that is dialled only within its country:
/// `+49 030 901820`. Returns `None` if there is none.
pub fn without_trunk_zero(number: PhoneNumber) -> Option<PhoneNumber> {
    if keeps_zero(number) {
        return None;
    }
    let digits = number.unmasked();
    let plan = Plan::of(number.country()?).filter(|plan| plan.trunk == "0")?;
    let rest = digits.strip_prefix(&format!("+{}0", plan.code))?;
    let without = PhoneNumber::parse(&format!("+{}{rest}", plan.code)).ok()?;
    (!rest.starts_with('0') && plan.has_length(rest)).then_some(without)
}

/// Returns whether a zero follows the calling code, so that [`without_trunk_zero`] may find one. Cheap, since
/// nearly no number of a call has one.
pub(super) fn may_have_trunk_zero(digits: &[u8]) -> bool {
    let length = code_length(digits);
    length > 1 && digits.get(length) == Some(&b'0')
}

/// Calling codes of two digits, as bits.
const TWO_DIGIT_CODES: u128 = {
    let codes = [
        20_u8, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54,
        55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
    ];
    let (mut bits, mut at) = (0, 0);
    while at < codes.len() {
        bits |= 1 << codes[at];
        at += 1;
    }
    bits
};

/// Returns how many digits the calling code has with which ASCII digits begin.
fn code_length(digits: &[u8]) -> usize {
    match digits {
        [b'1' | b'7', ..] => 1,
        [first, second, ..] => {
            let code =
                first.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(second.wrapping_sub(b'0'));
            if TWO_DIGIT_CODES >> (code % 128) & 1 == 1 { 2 } else { 3 }
        }
        _ => 3,
    }
}

/// Returns the number before the last group of a text, if the group is the end of a range or an extension, and
/// this end: `+442079460958-60`, `+442079460958 60`. The number before it is a whole one, and with it there are too
/// many digits, even without a trunk prefix: `+44 (020) 7946 0958` is one number.
pub fn before_range(text: &str) -> Option<(PhoneNumber, &str)> {
    const MAX_END: usize = 4;
    let (before, end) = text.trim_end().rsplit_once(['-', '/', ' '])?;
    let end = end.trim();
    if end.is_empty() || end.len() > MAX_END || !end.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let before = PhoneNumber::parse(before).ok()?;
    let digits = before.unmasked();
    let code = code_length(&digits.as_bytes()[1..]);
    let national = digits.get(1 + code..)?;
    let mut plans = Plan::with_calling_code(digits[1..=code].parse().ok()?).peekable();
    plans.peek()?;
    let (mut is_whole, mut is_longer) = (false, false);
    for (country, plan) in plans {
        is_whole |= plan.is_ordinary(country, national);
        let longer = [national, end].concat();
        let dialled = longer.strip_prefix(plan.trunk).unwrap_or(&longer);
        is_longer |= plan.is_ordinary(country, &longer) || plan.is_ordinary(country, dialled);
    }
    (is_whole && !is_longer).then_some((before, end))
}

/// Returns whether a zero after the calling code is a part of the number: `+39 06…`.
pub fn keeps_zero(number: PhoneNumber) -> bool {
    let digits = number.unmasked();
    ["+39", "+378", "+225", "+241", "+242"].iter().any(|code| digits.starts_with(code))
}

/// The plan of each country. Codes, trunk prefixes and lengths are those of libphonenumber (9.0.43); the
/// trunk prefix of Belarus is 8 and another 0.
const PLANS: &[(&[u8; 2], Plan)] = &[
    (b"AC", Plan { code: 247, trunk: "", exit: "00", lengths: lengths(&[5]) }),
    (b"AD", Plan { code: 376, trunk: "", exit: "00", lengths: lengths(&[6, 8, 9]) }),
    (
        b"AE",
        Plan { code: 971, trunk: "0", exit: "00", lengths: lengths(&[5, 6, 7, 8, 9, 10, 11, 12]) },
    ),
    (b"AF", Plan { code: 93, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"AG", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"AI", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"AL", Plan { code: 355, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9]) }),
    (b"AM", Plan { code: 374, trunk: "0", exit: "00", lengths: lengths(&[8]) }),
    (b"AO", Plan { code: 244, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"AR", Plan { code: 54, trunk: "0", exit: "00", lengths: lengths(&[10, 11]) }),
    (b"AS", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (
        b"AT",
        Plan {
            code: 43,
            trunk: "0",
            exit: "00",
            lengths: lengths(&[5, 6, 7, 8, 9, 10, 11, 12, 13]),
        },
    ),
    (b"AU", Plan { code: 61, trunk: "0", exit: "0011", lengths: lengths(&[6, 7, 8, 9, 10, 12]) }),
    (b"AW", Plan { code: 297, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"AX", Plan { code: 358, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10]) }),
    (b"AZ", Plan { code: 994, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"BA", Plan { code: 387, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"BB", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"BD", Plan { code: 880, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10]) }),
    (b"BE", Plan { code: 32, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"BF", Plan { code: 226, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"BG", Plan { code: 359, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 12]) }),
    (b"BH", Plan { code: 973, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"BI", Plan { code: 257, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"BJ", Plan { code: 229, trunk: "", exit: "00", lengths: lengths(&[10]) }),
    (b"BL", Plan { code: 590, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"BM", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"BN", Plan { code: 673, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"BO", Plan { code: 591, trunk: "0", exit: "", lengths: lengths(&[8, 9]) }),
    (b"BQ", Plan { code: 599, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"BR", Plan { code: 55, trunk: "0", exit: "", lengths: lengths(&[8, 9, 10, 11]) }),
    (b"BS", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"BT", Plan { code: 975, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"BW", Plan { code: 267, trunk: "", exit: "00", lengths: lengths(&[7, 8, 10]) }),
    (b"BY", Plan { code: 375, trunk: "80", exit: "810", lengths: lengths(&[6, 7, 8, 9, 10, 11]) }),
    (b"BZ", Plan { code: 501, trunk: "", exit: "00", lengths: lengths(&[7, 11]) }),
    (b"CA", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"CC", Plan { code: 61, trunk: "0", exit: "0011", lengths: lengths(&[6, 7, 8, 9, 10, 12]) }),
    (b"CD", Plan { code: 243, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10]) }),
    (b"CF", Plan { code: 236, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"CG", Plan { code: 242, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"CH", Plan { code: 41, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"CI", Plan { code: 225, trunk: "", exit: "00", lengths: lengths(&[10]) }),
    (b"CK", Plan { code: 682, trunk: "", exit: "00", lengths: lengths(&[5]) }),
    (b"CL", Plan { code: 56, trunk: "", exit: "", lengths: lengths(&[9, 10, 11]) }),
    (b"CM", Plan { code: 237, trunk: "", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"CN", Plan { code: 86, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10, 11, 12]) }),
    (b"CO", Plan { code: 57, trunk: "0", exit: "", lengths: lengths(&[8, 10, 11]) }),
    (b"CR", Plan { code: 506, trunk: "", exit: "00", lengths: lengths(&[8, 10]) }),
    (b"CU", Plan { code: 53, trunk: "0", exit: "119", lengths: lengths(&[6, 7, 8, 10]) }),
    (b"CV", Plan { code: 238, trunk: "", exit: "", lengths: lengths(&[7]) }),
    (b"CW", Plan { code: 599, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"CX", Plan { code: 61, trunk: "0", exit: "0011", lengths: lengths(&[6, 7, 8, 9, 10, 12]) }),
    (b"CY", Plan { code: 357, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"CZ", Plan { code: 420, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (
        b"DE",
        Plan {
            code: 49,
            trunk: "0",
            exit: "00",
            lengths: lengths(&[5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
        },
    ),
    (b"DJ", Plan { code: 253, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"DK", Plan { code: 45, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"DM", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"DO", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"DZ", Plan { code: 213, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"EC", Plan { code: 593, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10, 11]) }),
    (b"EE", Plan { code: 372, trunk: "", exit: "00", lengths: lengths(&[7, 8, 10]) }),
    (b"EG", Plan { code: 20, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10]) }),
    (b"EH", Plan { code: 212, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"ER", Plan { code: 291, trunk: "0", exit: "00", lengths: lengths(&[7]) }),
    (b"ES", Plan { code: 34, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"ET", Plan { code: 251, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"FI", Plan { code: 358, trunk: "0", exit: "00", lengths: lengths(&[5, 6, 7, 8, 9, 10]) }),
    (b"FJ", Plan { code: 679, trunk: "", exit: "00", lengths: lengths(&[7, 11]) }),
    (b"FK", Plan { code: 500, trunk: "", exit: "00", lengths: lengths(&[5]) }),
    (b"FM", Plan { code: 691, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"FO", Plan { code: 298, trunk: "", exit: "00", lengths: lengths(&[6]) }),
    (b"FR", Plan { code: 33, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"GA", Plan { code: 241, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"GB", Plan { code: 44, trunk: "0", exit: "00", lengths: lengths(&[7, 9, 10]) }),
    (b"GD", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"GE", Plan { code: 995, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"GF", Plan { code: 594, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"GG", Plan { code: 44, trunk: "0", exit: "00", lengths: lengths(&[7, 9, 10]) }),
    (b"GH", Plan { code: 233, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"GI", Plan { code: 350, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"GL", Plan { code: 299, trunk: "", exit: "00", lengths: lengths(&[6]) }),
    (b"GM", Plan { code: 220, trunk: "", exit: "00", lengths: lengths(&[7, 9]) }),
    (b"GN", Plan { code: 224, trunk: "", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"GP", Plan { code: 590, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"GQ", Plan { code: 240, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"GR", Plan { code: 30, trunk: "", exit: "00", lengths: lengths(&[10, 11, 12]) }),
    (b"GT", Plan { code: 502, trunk: "", exit: "00", lengths: lengths(&[8, 11]) }),
    (b"GU", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"GW", Plan { code: 245, trunk: "", exit: "00", lengths: lengths(&[7, 9]) }),
    (b"GY", Plan { code: 592, trunk: "", exit: "", lengths: lengths(&[7]) }),
    (b"HK", Plan { code: 852, trunk: "", exit: "", lengths: lengths(&[5, 6, 7, 8, 9, 11]) }),
    (b"HN", Plan { code: 504, trunk: "", exit: "00", lengths: lengths(&[8, 11]) }),
    (b"HR", Plan { code: 385, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9]) }),
    (b"HT", Plan { code: 509, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"HU", Plan { code: 36, trunk: "06", exit: "00", lengths: lengths(&[8, 9]) }),
    (
        b"ID",
        Plan { code: 62, trunk: "0", exit: "", lengths: lengths(&[7, 8, 9, 10, 11, 12, 13, 14]) },
    ),
    (b"IE", Plan { code: 353, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10]) }),
    (b"IL", Plan { code: 972, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10, 11, 12]) }),
    (b"IM", Plan { code: 44, trunk: "0", exit: "00", lengths: lengths(&[10]) }),
    (b"IN", Plan { code: 91, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10, 11, 12, 13]) }),
    (b"IO", Plan { code: 246, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"IQ", Plan { code: 964, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10]) }),
    (b"IR", Plan { code: 98, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 10]) }),
    (b"IS", Plan { code: 354, trunk: "", exit: "00", lengths: lengths(&[7, 9]) }),
    (b"IT", Plan { code: 39, trunk: "", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10, 11, 12]) }),
    (b"JE", Plan { code: 44, trunk: "0", exit: "00", lengths: lengths(&[10]) }),
    (b"JM", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"JO", Plan { code: 962, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (
        b"JP",
        Plan { code: 81, trunk: "0", exit: "010", lengths: lengths(&[8, 9, 10, 11, 12, 13, 14]) },
    ),
    (b"KE", Plan { code: 254, trunk: "0", exit: "000", lengths: lengths(&[7, 8, 9, 10]) }),
    (b"KG", Plan { code: 996, trunk: "0", exit: "00", lengths: lengths(&[9, 10]) }),
    (b"KH", Plan { code: 855, trunk: "0", exit: "", lengths: lengths(&[8, 9, 10]) }),
    (b"KI", Plan { code: 686, trunk: "0", exit: "00", lengths: lengths(&[5, 8]) }),
    (b"KM", Plan { code: 269, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"KN", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"KP", Plan { code: 850, trunk: "0", exit: "00", lengths: lengths(&[8, 10]) }),
    (
        b"KR",
        Plan {
            code: 82,
            trunk: "0",
            exit: "",
            lengths: lengths(&[5, 6, 8, 9, 10, 11, 12, 13, 14]),
        },
    ),
    (b"KW", Plan { code: 965, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"KY", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"KZ", Plan { code: 7, trunk: "8", exit: "810", lengths: lengths(&[10, 14]) }),
    (b"LA", Plan { code: 856, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10]) }),
    (b"LB", Plan { code: 961, trunk: "0", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"LC", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"LI", Plan { code: 423, trunk: "0", exit: "00", lengths: lengths(&[7, 9]) }),
    (b"LK", Plan { code: 94, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"LR", Plan { code: 231, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9]) }),
    (b"LS", Plan { code: 266, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"LT", Plan { code: 370, trunk: "0", exit: "00", lengths: lengths(&[8]) }),
    (b"LU", Plan { code: 352, trunk: "", exit: "00", lengths: lengths(&[5, 6, 7, 8, 9, 10, 11]) }),
    (b"LV", Plan { code: 371, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"LY", Plan { code: 218, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"MA", Plan { code: 212, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"MC", Plan { code: 377, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"MD", Plan { code: 373, trunk: "0", exit: "00", lengths: lengths(&[8]) }),
    (b"ME", Plan { code: 382, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"MF", Plan { code: 590, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"MG", Plan { code: 261, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"MH", Plan { code: 692, trunk: "1", exit: "00", lengths: lengths(&[7]) }),
    (b"MK", Plan { code: 389, trunk: "0", exit: "00", lengths: lengths(&[8]) }),
    (b"ML", Plan { code: 223, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"MM", Plan { code: 95, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10]) }),
    (b"MN", Plan { code: 976, trunk: "0", exit: "", lengths: lengths(&[8, 9, 10]) }),
    (b"MO", Plan { code: 853, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"MP", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"MQ", Plan { code: 596, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"MR", Plan { code: 222, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"MS", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"MT", Plan { code: 356, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"MU", Plan { code: 230, trunk: "", exit: "00", lengths: lengths(&[7, 8, 10]) }),
    (b"MV", Plan { code: 960, trunk: "", exit: "00", lengths: lengths(&[7, 10]) }),
    (b"MW", Plan { code: 265, trunk: "0", exit: "00", lengths: lengths(&[7, 9]) }),
    (b"MX", Plan { code: 52, trunk: "", exit: "00", lengths: lengths(&[10]) }),
    (b"MY", Plan { code: 60, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10]) }),
    (b"MZ", Plan { code: 258, trunk: "", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"NA", Plan { code: 264, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"NC", Plan { code: 687, trunk: "", exit: "00", lengths: lengths(&[6]) }),
    (b"NE", Plan { code: 227, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"NF", Plan { code: 672, trunk: "", exit: "00", lengths: lengths(&[6]) }),
    (b"NG", Plan { code: 234, trunk: "0", exit: "009", lengths: lengths(&[10, 11, 12, 13, 14]) }),
    (b"NI", Plan { code: 505, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"NL", Plan { code: 31, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10, 11]) }),
    (b"NO", Plan { code: 47, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"NP", Plan { code: 977, trunk: "0", exit: "00", lengths: lengths(&[8, 10, 11]) }),
    (b"NR", Plan { code: 674, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"NU", Plan { code: 683, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"NZ", Plan { code: 64, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10]) }),
    (b"OM", Plan { code: 968, trunk: "", exit: "00", lengths: lengths(&[7, 8, 9]) }),
    (b"PA", Plan { code: 507, trunk: "", exit: "00", lengths: lengths(&[7, 8, 10, 11]) }),
    (b"PE", Plan { code: 51, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"PF", Plan { code: 689, trunk: "", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"PG", Plan { code: 675, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (
        b"PH",
        Plan { code: 63, trunk: "0", exit: "00", lengths: lengths(&[6, 8, 9, 10, 11, 12, 13]) },
    ),
    (b"PK", Plan { code: 92, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10, 11]) }),
    (b"PL", Plan { code: 48, trunk: "", exit: "00", lengths: lengths(&[7, 9, 10]) }),
    (b"PM", Plan { code: 508, trunk: "0", exit: "00", lengths: lengths(&[6, 9]) }),
    (b"PR", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"PS", Plan { code: 970, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10]) }),
    (b"PT", Plan { code: 351, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"PW", Plan { code: 680, trunk: "", exit: "", lengths: lengths(&[7]) }),
    (b"PY", Plan { code: 595, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9, 10, 11]) }),
    (b"QA", Plan { code: 974, trunk: "", exit: "00", lengths: lengths(&[7, 8, 9, 11]) }),
    (b"RE", Plan { code: 262, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"RO", Plan { code: 40, trunk: "0", exit: "00", lengths: lengths(&[6, 9]) }),
    (
        b"RS",
        Plan { code: 381, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10, 11, 12]) },
    ),
    (b"RU", Plan { code: 7, trunk: "8", exit: "810", lengths: lengths(&[10, 14]) }),
    (b"RW", Plan { code: 250, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"SA", Plan { code: 966, trunk: "0", exit: "00", lengths: lengths(&[9, 10]) }),
    (b"SB", Plan { code: 677, trunk: "", exit: "", lengths: lengths(&[5, 7]) }),
    (b"SC", Plan { code: 248, trunk: "", exit: "", lengths: lengths(&[7]) }),
    (b"SD", Plan { code: 249, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"SE", Plan { code: 46, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10]) }),
    (b"SG", Plan { code: 65, trunk: "", exit: "", lengths: lengths(&[8, 10, 11]) }),
    (b"SH", Plan { code: 290, trunk: "", exit: "00", lengths: lengths(&[5]) }),
    (b"SI", Plan { code: 386, trunk: "0", exit: "00", lengths: lengths(&[5, 6, 7, 8]) }),
    (b"SJ", Plan { code: 47, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"SK", Plan { code: 421, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 9]) }),
    (b"SL", Plan { code: 232, trunk: "0", exit: "00", lengths: lengths(&[8]) }),
    (b"SM", Plan { code: 378, trunk: "", exit: "00", lengths: lengths(&[8, 10]) }),
    (b"SN", Plan { code: 221, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"SO", Plan { code: 252, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9]) }),
    (b"SR", Plan { code: 597, trunk: "", exit: "00", lengths: lengths(&[6, 7]) }),
    (b"SS", Plan { code: 211, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"ST", Plan { code: 239, trunk: "", exit: "00", lengths: lengths(&[7]) }),
    (b"SV", Plan { code: 503, trunk: "", exit: "00", lengths: lengths(&[7, 8, 11]) }),
    (b"SX", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"SY", Plan { code: 963, trunk: "0", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"SZ", Plan { code: 268, trunk: "", exit: "00", lengths: lengths(&[8, 9]) }),
    (b"TA", Plan { code: 290, trunk: "", exit: "00", lengths: lengths(&[]) }),
    (b"TC", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"TD", Plan { code: 235, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"TG", Plan { code: 228, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"TH", Plan { code: 66, trunk: "0", exit: "", lengths: lengths(&[8, 9, 10, 13]) }),
    (b"TJ", Plan { code: 992, trunk: "", exit: "810", lengths: lengths(&[9]) }),
    (b"TK", Plan { code: 690, trunk: "", exit: "00", lengths: lengths(&[5, 6, 7]) }),
    (b"TL", Plan { code: 670, trunk: "", exit: "00", lengths: lengths(&[7, 8]) }),
    (b"TM", Plan { code: 993, trunk: "8", exit: "810", lengths: lengths(&[8]) }),
    (b"TN", Plan { code: 216, trunk: "", exit: "00", lengths: lengths(&[8]) }),
    (b"TO", Plan { code: 676, trunk: "", exit: "00", lengths: lengths(&[5, 7]) }),
    (b"TR", Plan { code: 90, trunk: "0", exit: "00", lengths: lengths(&[10, 12, 13]) }),
    (b"TT", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"TV", Plan { code: 688, trunk: "", exit: "00", lengths: lengths(&[5, 6, 7]) }),
    (b"TW", Plan { code: 886, trunk: "0", exit: "", lengths: lengths(&[7, 8, 9, 10, 11]) }),
    (b"TZ", Plan { code: 255, trunk: "0", exit: "", lengths: lengths(&[9]) }),
    (b"UA", Plan { code: 380, trunk: "0", exit: "00", lengths: lengths(&[9, 10]) }),
    (b"UG", Plan { code: 256, trunk: "0", exit: "", lengths: lengths(&[9]) }),
    (b"US", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (
        b"UY",
        Plan { code: 598, trunk: "0", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10, 11, 12, 13]) },
    ),
    (b"UZ", Plan { code: 998, trunk: "", exit: "00", lengths: lengths(&[9]) }),
    (b"VA", Plan { code: 39, trunk: "", exit: "00", lengths: lengths(&[6, 7, 8, 9, 10, 11]) }),
    (b"VC", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"VE", Plan { code: 58, trunk: "0", exit: "00", lengths: lengths(&[10]) }),
    (b"VG", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"VI", Plan { code: 1, trunk: "1", exit: "011", lengths: lengths(&[10]) }),
    (b"VN", Plan { code: 84, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10]) }),
    (b"VU", Plan { code: 678, trunk: "", exit: "00", lengths: lengths(&[5, 7]) }),
    (b"WF", Plan { code: 681, trunk: "", exit: "00", lengths: lengths(&[6, 9]) }),
    (b"WS", Plan { code: 685, trunk: "", exit: "", lengths: lengths(&[5, 6, 7, 10]) }),
    (b"XK", Plan { code: 383, trunk: "0", exit: "00", lengths: lengths(&[8, 9, 10, 11, 12]) }),
    (b"YE", Plan { code: 967, trunk: "0", exit: "00", lengths: lengths(&[7, 8, 9]) }),
    (b"YT", Plan { code: 262, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"ZA", Plan { code: 27, trunk: "0", exit: "00", lengths: lengths(&[5, 6, 7, 8, 9]) }),
    (b"ZM", Plan { code: 260, trunk: "0", exit: "00", lengths: lengths(&[9]) }),
    (b"ZW", Plan { code: 263, trunk: "0", exit: "00", lengths: lengths(&[7, 9, 10]) }),
];
