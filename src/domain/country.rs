//! Country of an E.164 number, determined from its leading digits.
//!
//! For routing by country, based on a table compiled into the program. It does not tell whether a
//! number is valid, assigned or reachable, and does not follow ported numbers.

use std::fmt;

/// A country or territory by its ISO 3166-1 alpha-2 code (`GB`, never `UK`), along with the three
/// codes in common use outside that list: `AC` (Ascension), `TA` (Tristan da Cunha), `XK` (Kosovo).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Returns the country with this code (two capital letters, ISO 3166-1 alpha-2), or `None` if no
    /// number can belong to it: `UK` is not a code, `AQ` has no numbers.
    pub fn from_code(code: &str) -> Option<Country> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        TABLE.binary_search_by(|(known, _)| (*known).cmp(&code)).ok()?;
        Some(Country(code))
    }

    /// Returns the country of an E.164 number, given as its value and number of digits
    /// (`12137771234`, `11`). The longest prefix in the table decides. Returns `None` for calling codes
    /// of no country (+800, +870, +883 and others), for unassigned codes, and if `value` does not have
    /// `len` digits.
    pub fn from_digits(value: u64, len: u8) -> Option<Country> {
        let digits = u32::from(len);
        if value.checked_ilog10()? + 1 != digits {
            return None;
        }
        let key = match digits.checked_sub(KEY_DIGITS) {
            Some(surplus) => value / 10_u64.pow(surplus),
            None => value * 10_u64.pow(KEY_DIGITS - digits),
        };
        // Spans nest like brackets, so the last span that starts at or before the key either contains
        // the key or lies inside every other span that does.
        let mut at = SPANS.partition_point(|span| span.first <= key).checked_sub(1);
        while let Some(index) = at {
            let span = &SPANS[index];
            if key <= span.last && digits >= span.digits {
                return Some(span.country);
            }
            at = span.outer;
        }
        None
    }

    /// Returns the country of all numbers with a prefix, given as its value and number of digits, or
    /// `None` if they belong to several countries or some of them to none.
    pub fn from_prefix(value: u64, len: u32) -> Option<Country> {
        let country = Country::from_digits(value, u8::try_from(len).ok()?)?;
        let Some(width) = KEY_DIGITS.checked_sub(len) else {
            return Some(country); // longer than any prefix in the table
        };
        let first = value * 10_u64.pow(width);
        let last = first + 10_u64.pow(width) - 1;
        let from = SPANS.partition_point(|span| span.first < first);
        let inside = SPANS[from..].iter().take_while(|span| span.first <= last);
        inside.into_iter().all(|span| span.country == country).then_some(country)
    }

    /// Returns the countries all of whose numbers begin with the digits of `prefix`, those with the
    /// shortest codes first.
    pub fn all_within(prefix: u64) -> Vec<Country> {
        let digits = prefix.to_string();
        let has_prefix = |number: &u32| number.to_string().starts_with(&digits);
        let mut within: Vec<_> =
            TABLE.iter().filter(|(_, prefixes)| prefixes.iter().all(has_prefix)).collect();
        // `US` has the whole of +1, and the others a part of it.
        within.sort_by_key(|(_, prefixes)| prefixes.iter().min());
        within.into_iter().map(|(code, _)| Country(**code)).collect()
    }

    /// Returns one of the country's prefixes, for example numbers.
    pub fn example_prefix(&self) -> u32 {
        TABLE.iter().find(|(code, _)| **code == self.0).map_or(0, |(_, prefixes)| prefixes[0])
    }

    /// Returns a unique key for hash tables.
    pub fn key(&self) -> u64 {
        u64::from(u16::from_be_bytes(self.0))
    }

    /// Returns the two-letter code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // always two ASCII letters
    }

    /// Iterates over all countries in the table in alphabetical order.
    pub fn all() -> impl Iterator<Item = Country> {
        TABLE.iter().map(|(code, _)| Country(**code))
    }
}

/// Returns the code of the country that a text probably means: `UK`, `usa`, `de`.
pub(crate) fn suggested_country(text: &str) -> Option<String> {
    let upper = text.trim().to_ascii_uppercase();
    let code = match &*upper {
        "UK" | "EN" | "GBR" => "GB",
        "USA" => "US",
        "CAN" => "CA",
        "UAE" => "AE",
        code => code,
    };
    Country::from_code(code).map(|_| code.to_owned())
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The numbers with one prefix, as a range of keys: numbers truncated or zero-padded to `KEY_DIGITS`
/// digits.
#[derive(Clone, Copy)]
struct PrefixSpan {
    first: u64,
    last: u64,
    /// Number of digits of the prefix. A shorter number does not have the prefix, whatever its key.
    digits: u32,
    country: Country,
    /// Index in `SPANS` of the longest prefix that contains this one.
    outer: Option<usize>,
}

/// Maximum number of digits of a prefix, enforced by `spans`.
const KEY_DIGITS: u32 = 8;

/// Search form of `TABLE`, built at compile time and sorted by `order`.
static SPANS: [PrefixSpan; prefix_count()] = spans();

const fn prefix_count() -> usize {
    let mut count = 0;
    let mut row = 0;
    while row < TABLE.len() {
        count += TABLE[row].1.len();
        row += 1;
    }
    count
}

const fn spans() -> [PrefixSpan; prefix_count()] {
    let empty = PrefixSpan { first: 0, last: 0, digits: 0, country: Country([0; 2]), outer: None };
    let mut spans = [empty; prefix_count()];
    let mut filled = 0;
    let mut row = 0;
    while row < TABLE.len() {
        let (code, prefixes) = TABLE[row];
        assert!(row == 0 || letters(TABLE[row - 1].0) < letters(code), "rows are alphabetical");
        let mut column = 0;
        while column < prefixes.len() {
            let digits = prefixes[column].ilog10() + 1;
            assert!(digits <= KEY_DIGITS, "a prefix is longer than the key");
            let width = 10_u64.pow(KEY_DIGITS - digits);
            let first = prefixes[column] as u64 * width;
            let span = PrefixSpan {
                first,
                last: first + width - 1,
                digits,
                country: Country(*code),
                ..empty
            };
            let mut at = filled;
            while at > 0 && order(&spans[at - 1]) > order(&span) {
                spans[at] = spans[at - 1];
                at -= 1;
            }
            assert!(at == 0 || order(&spans[at - 1]) < order(&span), "a prefix is listed twice");
            spans[at] = span;
            filled += 1;
            column += 1;
        }
        row += 1;
    }
    let mut index = 0;
    while index < spans.len() {
        let mut outer = index.checked_sub(1);
        while let Some(before) = outer {
            if spans[before].last >= spans[index].last {
                break;
            }
            outer = spans[before].outer;
        }
        spans[index].outer = outer;
        index += 1;
    }
    spans
}

/// Sorts by `first`, and of the spans that open together the shorter prefix before the longer.
const fn order(span: &PrefixSpan) -> u64 {
    span.first * 10 + span.digits as u64
}

const fn letters(code: &[u8; 2]) -> u16 {
    u16::from_be_bytes(*code)
}

/// Each country and the prefixes of its numbers, calling code included. Where countries share a
/// calling code, the one with the bare code (`US` 1, `GB` 44 ...) has all that the others have not.
/// The prefixes are those of libphonenumber (9.0.43), with these departures:
/// - `CA` also has the area codes set aside for Canada and not in use (387, 644, 655, 677, 688);
/// - `KZ` also has 76, set aside for it and not in use;
/// - `EH` has 5288 and 5289, Laayoune, which libphonenumber knows as its own but answers `MA`;
/// - `IM` has 7924, Manx Telecom, which libphonenumber knows as its own but answers `GB`;
/// - `GB` keeps the premium rates 980 and 981, which libphonenumber's patterns leave to `GG`;
/// - `DO` lacks 18001, with which no valid number begins.
const TABLE: &[(&[u8; 2], &[u32])] = &[
    (b"AC", &[247]),
    (b"AD", &[376]),
    (b"AE", &[971]),
    (b"AF", &[93]),
    (b"AG", &[1268]),
    (b"AI", &[1264]),
    (b"AL", &[355]),
    (b"AM", &[374]),
    (b"AO", &[244]),
    (b"AR", &[54]),
    (b"AS", &[1684]),
    (b"AT", &[43]),
    (b"AU", &[61]),
    (b"AW", &[297]),
    (b"AX", &[35818]),
    (b"AZ", &[994]),
    (b"BA", &[387]),
    (b"BB", &[1246]),
    (b"BD", &[880]),
    (b"BE", &[32]),
    (b"BF", &[226]),
    (b"BG", &[359]),
    (b"BH", &[973]),
    (b"BI", &[257]),
    (b"BJ", &[229]),
    (b"BL", &[59059027, 59059029, 59059051, 59059052, 59059087]),
    (b"BM", &[1441]),
    (b"BN", &[673]),
    (b"BO", &[591]),
    (b"BQ", &[5993, 5994, 5997]),
    (b"BR", &[55]),
    (b"BS", &[1242]),
    (b"BT", &[975]),
    (b"BW", &[267]),
    (b"BY", &[375]),
    (b"BZ", &[501]),
    (
        b"CA",
        &[
            1204, 1226, 1236, 1249, 1250, 1257, 1263, 1273, 1289, 1306, 1343, 1354, 1365, 1367,
            1368, 1382, 1387, 1403, 1416, 1418, 1428, 1431, 1437, 1438, 1450, 1468, 1474, 1506,
            1514, 1519, 1548, 1579, 1581, 1584, 1587, 1600, 1604, 1613, 1622, 1633, 1639, 1644,
            1647, 1655, 1672, 1677, 1683, 1688, 1705, 1709, 1742, 1753, 1778, 1780, 1782, 1807,
            1819, 1825, 1867, 1873, 1879, 1902, 1905, 1942,
        ],
    ),
    (
        b"CC",
        &[61851002, 61851031, 61851060, 61851089, 61851118, 61851176, 61851223, 6189162, 61891703],
    ),
    (b"CD", &[243]),
    (b"CF", &[236]),
    (b"CG", &[242]),
    (b"CH", &[41]),
    (b"CI", &[225]),
    (b"CK", &[682]),
    (b"CL", &[56]),
    (b"CM", &[237]),
    (b"CN", &[86]),
    (b"CO", &[57]),
    (b"CR", &[506]),
    (b"CU", &[53]),
    (b"CV", &[238]),
    (b"CW", &[599]),
    (
        b"CX",
        &[
            61851001, 61851030, 61851059, 61851088, 61851117, 61851146, 61851175, 61851222,
            61851235, 6189164, 61891958,
        ],
    ),
    (b"CY", &[357]),
    (b"CZ", &[420]),
    (b"DE", &[49]),
    (b"DJ", &[253]),
    (b"DK", &[45]),
    (b"DM", &[1767]),
    (b"DO", &[1809, 1829, 1849]),
    (b"DZ", &[213]),
    (b"EC", &[593]),
    (b"EE", &[372]),
    (b"EG", &[20]),
    (b"EH", &[2125288, 2125289]),
    (b"ER", &[291]),
    (b"ES", &[34]),
    (b"ET", &[251]),
    (b"FI", &[358]),
    (b"FJ", &[679]),
    (b"FK", &[500]),
    (b"FM", &[691]),
    (b"FO", &[298]),
    (b"FR", &[33]),
    (b"GA", &[241]),
    (b"GB", &[44]),
    (b"GD", &[1473]),
    (b"GE", &[995]),
    (b"GF", &[594]),
    (b"GG", &[441481, 447781, 447839, 4479111, 4479117]),
    (b"GH", &[233]),
    (b"GI", &[350]),
    (b"GL", &[299]),
    (b"GM", &[220]),
    (b"GN", &[224]),
    (b"GP", &[590]),
    (b"GQ", &[240]),
    (b"GR", &[30]),
    (b"GT", &[502]),
    (b"GU", &[1671]),
    (b"GW", &[245]),
    (b"GY", &[592]),
    (b"HK", &[852]),
    (b"HN", &[504]),
    (b"HR", &[385]),
    (b"HT", &[509]),
    (b"HU", &[36]),
    (b"ID", &[62]),
    (b"IE", &[353]),
    (b"IL", &[972]),
    (b"IM", &[441624, 4474576, 447524, 447624, 447924]),
    (b"IN", &[91]),
    (b"IO", &[246]),
    (b"IQ", &[964]),
    (b"IR", &[98]),
    (b"IS", &[354]),
    (b"IT", &[39]),
    (b"JE", &[441534, 447509, 4477003, 4477007, 4477008, 447797, 447829, 447937]),
    (b"JM", &[1658, 1876]),
    (b"JO", &[962]),
    (b"JP", &[81]),
    (b"KE", &[254]),
    (b"KG", &[996]),
    (b"KH", &[855]),
    (b"KI", &[686]),
    (b"KM", &[269]),
    (b"KN", &[1869]),
    (b"KP", &[850]),
    (b"KR", &[82]),
    (b"KW", &[965]),
    (b"KY", &[1345]),
    (b"KZ", &[76, 77]),
    (b"LA", &[856]),
    (b"LB", &[961]),
    (b"LC", &[1758]),
    (b"LI", &[423]),
    (b"LK", &[94]),
    (b"LR", &[231]),
    (b"LS", &[266]),
    (b"LT", &[370]),
    (b"LU", &[352]),
    (b"LV", &[371]),
    (b"LY", &[218]),
    (b"MA", &[212]),
    (b"MC", &[377]),
    (b"MD", &[373]),
    (b"ME", &[382]),
    (
        b"MF",
        &[
            59059000, 59059007, 59059009, 59059013, 59059030, 59059043, 59059050, 59059056,
            59059058, 59059077, 59059079,
        ],
    ),
    (b"MG", &[261]),
    (b"MH", &[692]),
    (b"MK", &[389]),
    (b"ML", &[223]),
    (b"MM", &[95]),
    (b"MN", &[976]),
    (b"MO", &[853]),
    (b"MP", &[1670]),
    (b"MQ", &[596]),
    (b"MR", &[222]),
    (b"MS", &[1664]),
    (b"MT", &[356]),
    (b"MU", &[230]),
    (b"MV", &[960]),
    (b"MW", &[265]),
    (b"MX", &[52]),
    (b"MY", &[60]),
    (b"MZ", &[258]),
    (b"NA", &[264]),
    (b"NC", &[687]),
    (b"NE", &[227]),
    (b"NF", &[672]),
    (b"NG", &[234]),
    (b"NI", &[505]),
    (b"NL", &[31]),
    (b"NO", &[47]),
    (b"NP", &[977]),
    (b"NR", &[674]),
    (b"NU", &[683]),
    (b"NZ", &[64]),
    (b"OM", &[968]),
    (b"PA", &[507]),
    (b"PE", &[51]),
    (b"PF", &[689]),
    (b"PG", &[675]),
    (b"PH", &[63]),
    (b"PK", &[92]),
    (b"PL", &[48]),
    (b"PM", &[508]),
    (b"PR", &[1787, 1939]),
    (b"PS", &[970]),
    (b"PT", &[351]),
    (b"PW", &[680]),
    (b"PY", &[595]),
    (b"QA", &[974]),
    (b"RE", &[262]),
    (b"RO", &[40]),
    (b"RS", &[381]),
    (b"RU", &[7]),
    (b"RW", &[250]),
    (b"SA", &[966]),
    (b"SB", &[677]),
    (b"SC", &[248]),
    (b"SD", &[249]),
    (b"SE", &[46]),
    (b"SG", &[65]),
    (b"SH", &[290]),
    (b"SI", &[386]),
    (b"SJ", &[4779]),
    (b"SK", &[421]),
    (b"SL", &[232]),
    (b"SM", &[378]),
    (b"SN", &[221]),
    (b"SO", &[252]),
    (b"SR", &[597]),
    (b"SS", &[211]),
    (b"ST", &[239]),
    (b"SV", &[503]),
    (b"SX", &[1721]),
    (b"SY", &[963]),
    (b"SZ", &[268]),
    (b"TA", &[2908]),
    (b"TC", &[1649]),
    (b"TD", &[235]),
    (b"TG", &[228]),
    (b"TH", &[66]),
    (b"TJ", &[992]),
    (b"TK", &[690]),
    (b"TL", &[670]),
    (b"TM", &[993]),
    (b"TN", &[216]),
    (b"TO", &[676]),
    (b"TR", &[90]),
    (b"TT", &[1868]),
    (b"TV", &[688]),
    (b"TW", &[886]),
    (b"TZ", &[255]),
    (b"UA", &[380]),
    (b"UG", &[256]),
    (b"US", &[1]),
    (b"UY", &[598]),
    (b"UZ", &[998]),
    (b"VA", &[3906698]),
    (b"VC", &[1784]),
    (b"VE", &[58]),
    (b"VG", &[1284]),
    (b"VI", &[1340]),
    (b"VN", &[84]),
    (b"VU", &[678]),
    (b"WF", &[681]),
    (b"WS", &[685]),
    (b"XK", &[383]),
    (b"YE", &[967]),
    (b"YT", &[2622689, 262269, 262639, 2627093, 2629398, 2629478, 2629769]),
    (b"ZA", &[27]),
    (b"ZM", &[260]),
    (b"ZW", &[263]),
];
