//! Holds the country table against libphonenumber (`rlibphonenumber`), number by number.

use std::collections::BTreeSet;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};
use switchboard::domain::party::NumberFormat;
use switchboard::domain::phone_number::Country;

/// A block of numbers for which the table deliberately differs from the library.
struct Exception {
    prefix: &'static str,
    example: &'static str,
    library: &'static str,
    table: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    // Laayoune. The library assigns these blocks to EH, but returns MA, whose leading digits cover all
    // of +212.
    Exception { prefix: "2125288", example: "212528812345", library: "MA", table: "EH" },
    Exception { prefix: "2125289", example: "212528912345", library: "MA", table: "EH" },
    // Manx Telecom's mobiles. The library assigns the block to IM, but tries GB first.
    Exception { prefix: "447924", example: "447924123456", library: "GB", table: "IM" },
    // Premium rate numbers of the whole +44 plan: the library's GB pattern leaves these two blocks
    // out and its GG pattern does not.
    Exception { prefix: "44980", example: "449801234567", library: "GG", table: "GB" },
    Exception { prefix: "44981", example: "449811234567", library: "GG", table: "GB" },
    // Canada's seven-digit service numbers, dialled only within Canada, begin like numbers of Los
    // Angeles. Only the length differs.
    Exception { prefix: "1310", example: "13101234", library: "CA", table: "US" },
];

/// Ranges of calling codes that several countries share: the first digits, the number of digits to
/// enumerate after them, and the length of the number.
const SWEEPS: &[(&str, usize, usize)] = &[
    ("7", 4, 11),
    ("39", 5, 11),
    ("44", 4, 12),
    ("447", 4, 12),
    ("47", 4, 10),
    ("61", 4, 11),
    ("6185", 4, 11),
    ("6189", 4, 11),
    ("212", 4, 12),
    ("262", 4, 12),
    ("26270", 3, 12),
    ("290", 3, 8),
    ("358", 4, 12),
    ("590", 4, 12),
    ("590590", 2, 12),
    ("599", 3, 10),
    ("599", 3, 11),
];

const TYPES: &[PhoneNumberType] = &[
    PhoneNumberType::FixedLine,
    PhoneNumberType::Mobile,
    PhoneNumberType::TollFree,
    PhoneNumberType::PremiumRate,
    PhoneNumberType::SharedCost,
    PhoneNumberType::VoIP,
    PhoneNumberType::PersonalNumber,
    PhoneNumberType::Pager,
    PhoneNumberType::UAN,
    PhoneNumberType::VoiceMail,
];

/// Returns the country in the table for the digits of a number.
fn country(number: &str) -> Option<String> {
    let value = number.parse().expect("a number of digits only");
    let len = number.len().try_into().expect("a number of ordinary length");
    Country::from_digits(value, len).map(|country| country.to_string())
}

/// Returns the country in the library: `None` for an unknown number, `001` for codes of no country.
fn library_country(number: &PhoneNumber) -> Option<String> {
    PHONE_NUMBER_UTIL.get_region_for_number(number).map(|region| region.to_string())
}

/// Converts digits to the library's type. No calling code is a prefix of another.
fn library_number(digits: &str) -> PhoneNumber {
    let (calling_code, national) = PHONE_NUMBER_UTIL
        .get_supported_calling_codes()
        .find_map(|code| Some((code, digits.strip_prefix(&code.to_string())?)))
        .expect("a calling code that is in use");
    let zeros = national.len() - national.trim_start_matches('0').len();
    PhoneNumber {
        country_code: calling_code,
        national_number: national.parse().expect("a national number"),
        italian_leading_zero: (zeros > 0).then_some(true),
        number_of_leading_zeros: (zeros > 1).then_some(zeros as i32),
        ..PhoneNumber::default()
    }
}

fn digits(number: &PhoneNumber) -> String {
    let national = rlibphonenumber::get_national_significant_number_owned(number);
    format!("{}{national}", number.country_code)
}

/// Returns the expected country in the table if the library returns `library`.
fn expected(number: &str, library: &str) -> Option<String> {
    if library == "001" {
        return None;
    }
    let exception = EXCEPTIONS
        .iter()
        .find(|exception| number.starts_with(exception.prefix) && exception.library == library);
    Some(exception.map_or(library, |exception| exception.table).to_string())
}

/// Compares table and library for each number with a country in the library. Returns how many were
/// compared.
fn compare(numbers: impl IntoIterator<Item = PhoneNumber>) -> usize {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for number in numbers {
        let Some(library) = library_country(&number) else {
            continue;
        };
        let digits = digits(&number);
        compared += 1;
        if country(&digits) != expected(&digits, &library) {
            wrong.push(format!("+{digits}: library {library}, table {:?}", country(&digits)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
    compared
}

#[test]
fn every_example_number_of_the_library_has_the_same_country() {
    let regions: Vec<Region> = PHONE_NUMBER_UTIL.get_supported_regions().collect();
    let examples = regions.iter().flat_map(|region| {
        TYPES.iter().filter_map(|kind| {
            PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(*region, *kind).ok()
        })
    });
    let compared = compare(examples);
    assert!(compared > 1000, "only {compared} example numbers");
}

#[test]
fn every_north_american_area_code_has_the_same_country() {
    let numbers = (200..1000).flat_map(|area| {
        ["5550123", "2345678", "2012345", "9876543"]
            .map(|subscriber| library_number(&format!("1{area}{subscriber}")))
    });
    let compared = compare(numbers);
    assert!(compared > 1500, "only {compared} numbers in known area codes");
}

#[test]
fn an_unused_area_code_is_american_unless_reserved_for_canada() {
    for area in 200..1000 {
        let number = format!("1{area}2345678");
        if library_country(&library_number(&number)).is_none() {
            let is_reserved = matches!(area, 387 | 644 | 655 | 677 | 688);
            let expected = if is_reserved { "CA" } else { "US" };
            assert_eq!(country(&number).as_deref(), Some(expected), "+{number}");
        }
    }
}

#[test]
fn countries_that_share_a_calling_code_are_distinguished() {
    for (start, free, len) in SWEEPS {
        let numbers = (0..10_usize.pow(*free as u32)).flat_map(|block| {
            ["1", "5"].map(|filler| {
                let head = format!("{start}{block:0free$}");
                library_number(&format!("{head}{}", filler.repeat(len - head.len())))
            })
        });
        assert!(compare(numbers) > 0, "the library knows no number in +{start}");
    }
}

#[test]
fn every_exception_is_still_needed() {
    for Exception { prefix, example, library, table } in EXCEPTIONS {
        assert!(example.starts_with(prefix));
        let answer = library_country(&library_number(example));
        assert_eq!(answer.as_deref(), Some(*library), "country of +{example} in the library");
        assert_eq!(country(example).as_deref(), Some(*table), "country of +{example} in the table");
    }
}

#[test]
fn international_and_unassigned_calling_codes_have_no_country() {
    let regions: Vec<(String, Region)> = PHONE_NUMBER_UTIL
        .get_supported_calling_codes()
        .filter_map(|code| {
            Some((code.to_string(), PHONE_NUMBER_UTIL.get_region_for_country_code(code)?))
        })
        .collect();
    // No calling code is a prefix of another, and none is longer than three digits.
    for start in 100..1000 {
        let number = format!("{start}222222222");
        let region = regions.iter().find(|(code, _)| number.starts_with(code));
        let has_country = region.is_some_and(|(_, region)| *region != Region::World);
        assert_eq!(country(&number).is_some(), has_country, "+{number}");
    }
    for number in ["80012345678", "870773111632", "883510012345", "882341234567", "979123456789"] {
        assert_eq!(country(number), None, "+{number}");
    }
}

#[test]
fn manually_verified_numbers_have_their_country() {
    for (number, expected) in [
        ("12137771234", "US"),  // Los Angeles
        ("18005550123", "US"),  // toll free
        ("14165550123", "CA"),  // Toronto
        ("12572345678", "CA"),  // British Columbia, 2025
        ("19422345678", "CA"),  // Toronto, 2025
        ("12732345678", "CA"),  // Quebec
        ("18762345678", "JM"),  // Kingston
        ("18492345678", "DO"),  // Santo Domingo
        ("17872345678", "PR"),  // San Juan
        ("74951234567", "RU"),  // Moscow
        ("77271234567", "KZ"),  // Almaty
        ("442079460123", "GB"), // London
        ("441481960194", "GG"), // Guernsey
        ("441534960123", "JE"), // Jersey
        ("447700900123", "GB"), // mobile, next to Jersey's
        ("447700300123", "JE"), // mobile
        ("447624300123", "IM"), // Isle of Man mobile
        ("390612345678", "IT"), // Rome
        ("390669812345", "VA"), // Vatican
        ("4721234567", "NO"),   // Oslo
        ("4779021234", "SJ"),   // Longyearbyen
        ("3581812345", "AX"),   // Mariehamn
        ("61891621234", "CC"),  // Cocos Islands
        ("61891641234", "CX"),  // Christmas Island
        ("61891234567", "AU"),  // Perth
        ("38328123456", "XK"),  // Pristina
        ("4930123456", "DE"),   // Berlin
        ("2908999", "TA"),      // Tristan da Cunha, short
        ("29022158", "SH"),     // Jamestown
    ] {
        assert_eq!(country(number).as_deref(), Some(expected), "+{number}");
    }
}

#[test]
fn a_number_with_the_wrong_digit_count_has_no_country() {
    assert_eq!(Country::from_digits(0, 0), None);
    assert_eq!(Country::from_digits(0, 1), None);
    assert_eq!(Country::from_digits(12_137_771_234, 10), None);
    assert_eq!(Country::from_digits(12_137_771_234, 12), None);
    assert_eq!(Country::from_digits(u64::MAX, 20), Country::from_code("US"));
    assert_eq!(Country::from_digits(u64::MAX, 255), None);
    assert_eq!(Country::from_digits(u64::MAX, 1), None);
}

#[test]
fn a_prefix_has_a_country_only_if_it_identifies_one() {
    let code = |country: Option<Country>| country.map(|country| country.to_string());
    assert_eq!(code(Country::from_digits(1, 1)).as_deref(), Some("US"));
    assert_eq!(code(Country::from_digits(3, 1)), None);
    assert_eq!(code(Country::from_digits(50, 2)), None); // +500 is FK, +50 unassigned
    assert_eq!(code(Country::from_digits(500, 3)).as_deref(), Some("FK"));
    assert_eq!(code(Country::from_digits(590_590, 6)).as_deref(), Some("GP"));
    assert_eq!(code(Country::from_digits(59_059_000, 8)).as_deref(), Some("MF"));
}

#[test]
fn a_country_is_named_by_its_two_capital_letters() {
    assert_eq!(Country::from_code("DE").map(|country| country.to_string()).as_deref(), Some("DE"));
    assert_eq!(Country::from_code("GB").as_ref().map(Country::as_str), Some("GB"));
    for name in ["UK", "AQ", "ZZ", "001", "de", "D", "DEU", "", "É", "D "] {
        assert_eq!(Country::from_code(name), None, "{name:?}");
    }
}

#[test]
fn the_list_of_countries_is_that_of_the_library_sorted_without_duplicates() {
    let all: Vec<Country> = Country::all().collect();
    assert!(all.is_sorted_by(|one, next| one < next));
    assert!(all.is_sorted_by(|one, next| one.as_str() < next.as_str()));
    assert!(all.iter().all(|country| Country::from_code(country.as_str()) == Some(*country)));
    let known: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    let library: BTreeSet<String> =
        PHONE_NUMBER_UTIL.get_supported_regions().map(|region| region.to_string()).collect();
    assert_eq!(known, library);
}

/// Countries whose national format has digits that are not dialled from abroad.
const OTHER_NATIONAL_FORMATS: [&str; 2] = ["AR", "MX"];

#[test]
fn national_numbers_are_read_as_the_library_reads_them() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for country in
        Country::all().filter(|country| !OTHER_NATIONAL_FORMATS.contains(&country.as_str()))
    {
        let Ok(region) = country.as_str().parse::<Region>() else { continue };
        for kind in [PhoneNumberType::FixedLine, PhoneNumberType::Mobile] {
            let Ok(example) =
                PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind)
            else {
                continue;
            };
            if example.national_number < 100_000 {
                continue; // shorter than a text that is read as a number
            }
            let national = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::National);
            let format = NumberFormat { country: Some(country), ..NumberFormat::default() };
            let read = format.parse(Some(&national)).party.unmasked().into_owned();
            compared += 1;
            if read != format!("+{}", digits(&example)) {
                wrong.push(format!("{country} {national}: {read}, not +{}", digits(&example)));
            }
        }
    }
    assert!(compared > 400, "only {compared} numbers");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}

/// National numbers that begin with the digits of the calling code, so that they could lack a `+`, too.
const BEGIN_WITH_THE_CODE: [&str; 1] = ["BR"];

#[test]
fn numbers_without_a_plus_keep_their_calling_code() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    let countries = Country::all();
    for country in countries.filter(|country| !BEGIN_WITH_THE_CODE.contains(&country.as_str())) {
        let Ok(region) = country.as_str().parse::<Region>() else { continue };
        for kind in [PhoneNumberType::FixedLine, PhoneNumberType::Mobile] {
            let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind);
            let Ok(example) = example else { continue };
            let digits = digits(&example);
            if digits.len() < 8 {
                continue; // shorter than a text that is read as a number
            }
            let format = NumberFormat { country: Some(country), ..NumberFormat::default() };
            let read = format.parse(Some(&digits)).party.unmasked().into_owned();
            let is_right = read == format!("+{digits}") || digits.starts_with("521");
            compared += 1;
            if !is_right {
                wrong.push(format!("{country} {digits}: {read}"));
            }
        }
    }
    assert!(compared > 400, "only {compared} numbers");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
}
