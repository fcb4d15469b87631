//! Phone numbers and number patterns. A number keeps its digits, and masked text shows at most four of
//! them in a row.

use super::text;
use switchboard::domain::party::Party;
use switchboard::domain::phone_number::{PhoneNumber, mask_numbers};
use switchboard::rules::NumberPattern;

/// Runs one input.
pub fn run(data: &[u8]) {
    let text = text(data);
    if let Ok(number) = PhoneNumber::parse(text) {
        let whole = number.unmasked();
        assert_eq!(PhoneNumber::parse(&whole), Ok(number));
        assert_eq!(PhoneNumber::from_key(number.key()), Some(number));
        assert_eq!(number.digits(), whole.trim_start_matches('+').len());
        number.country();
    }
    let party = Party::parse(Some(text)).party;
    if let Some(number) = party.number() {
        let (whole, masked) = (number.unmasked(), party.masked());
        let digits = whole.trim_start_matches('+').as_bytes();
        assert!(!digits.windows(5).any(|five| masked.as_bytes().windows(5).any(|m| m == five)));
    }
    mask_numbers(text);
    drop(NumberPattern::parse(text));
}
