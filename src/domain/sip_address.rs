//! Numbers in SIP headers: who forwarded a call, and who a trunk says is calling.

use super::party::{NumberField, NumberFormat, ParsedParty, Party};

/// Headers that name the number from which a call was forwarded, in the order of preference.
const FORWARDING_HEADERS: [&str; 2] = ["diversion", "history-info"];

/// Returns whether a header names the number from which a call was forwarded, in any case.
pub fn is_forwarding_header(name: &str) -> bool {
    FORWARDING_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Returns the number from which a call was forwarded: the first number in `Diversion` (RFC 5806), which is
/// the latest, or the first in `History-Info` (RFC 7044), which is the number that was dialled. The last of
/// repeated headers counts.
///
/// ```
/// use switchboard::domain::sip_address::forwarded_from;
///
/// let headers = [("diversion", "<sip:+12137770001@10.1.1.1;user=phone>;reason=no-answer")];
/// assert_eq!(forwarded_from(&headers.into_iter()).unwrap().unmasked(), "+12137770001");
/// ```
pub fn forwarded_from<'h>(
    headers: &(impl Iterator<Item = (&'h str, &'h str)> + Clone),
) -> Option<Party> {
    let numbers = NumberFormat::default();
    FORWARDING_HEADERS.into_iter().find_map(|wanted| {
        let (_, value) = headers.clone().filter(|(name, _)| *name == wanted).last()?;
        number_in(value, &numbers).map(|parsed| parsed.party)
    })
}

/// Returns the party of the first of `fields` that has a number, or `own`, the party in the platform's own
/// field.
pub fn select_party<'h>(
    fields: &[NumberField],
    own: ParsedParty,
    headers: &(impl Iterator<Item = (&'h str, &'h str)> + Clone),
    numbers: &NumberFormat,
) -> ParsedParty {
    let found = fields.iter().find_map(|field| match field {
        NumberField::Own => own.party.number().map(|_| own.clone()),
        NumberField::Sip(wanted) => headers
            .clone()
            .filter(|(name, _)| **name == **wanted)
            .last()
            .and_then(|(_, value)| number_in(value, numbers)),
    });
    found.unwrap_or(own)
}

/// Returns the first number among the addresses of a header, which commas separate.
fn number_in(value: &str, numbers: &NumberFormat) -> Option<ParsedParty> {
    let mut is_inside = false;
    let is_separator = move |c: char| {
        match c {
            '<' => is_inside = true,
            '>' => is_inside = false,
            _ => {}
        }
        c == ',' && !is_inside
    };
    let addresses = value.split(is_separator).map(|address| numbers.parse(Some(address)));
    addresses.into_iter().find(|parsed| parsed.party.number().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<&str>) {
        let found = forwarded_from(&headers.iter().copied());
        assert_eq!(found.map(|party| party.unmasked().into_owned()).as_deref(), expected);
    }

    #[test]
    fn finds_the_number_that_forwarded_a_call() {
        let diversion = ("diversion", "<sip:+12137770001@10.1.1.1;user=phone>;reason=no-answer");
        let history = (
            "history-info",
            "<sip:office@pbx.example.com>;index=1, <sip:+12137770002@host>;index=1.1,<tel:+12137770003>",
        );
        check(&[diversion], Some("+12137770001"));
        check(&[history], Some("+12137770002"));
        check(&[history, diversion], Some("+12137770001"));
        check(&[("diversion", "\"Smith, Ann\" <tel:+1-213-777-0001>")], Some("+12137770001"));
        check(&[("diversion", "<sip:anonymous@anonymous.invalid>"), history], Some("+12137770002"));
        check(&[("diversion", "<sip:1001@pbx>")], None);
        check(&[("x-diversion", "+12137770001")], None);
        check(&[], None);
    }

    #[test]
    fn the_first_field_with_a_number_counts() {
        let numbers = NumberFormat::default();
        let asserted = [("p-asserted-identity", "<sip:+13125550177@sipgate.example>")];
        let fields = [NumberField::Sip("p-asserted-identity".into()), NumberField::Own];
        let select = |fields: &[NumberField], own: &str, headers: &[(&str, &str)]| {
            let own = numbers.parse(Some(own));
            select_party(fields, own, &headers.iter().copied(), &numbers)
                .party
                .unmasked()
                .into_owned()
        };
        assert_eq!(select(&fields, "2345678e0", &asserted), "+13125550177");
        assert_eq!(select(&fields, "+12137771234", &[]), "+12137771234");
        assert_eq!(select(&fields, "anonymous", &[]), "withheld");
        // The caller withheld the number, and the settings do not name the header.
        assert_eq!(select(&[], "anonymous", &asserted), "withheld");
        let own_first = [NumberField::Own, NumberField::Sip("p-asserted-identity".into())];
        assert_eq!(select(&own_first, "+12137771234", &asserted), "+12137771234");
        assert_eq!(select(&own_first, "anonymous", &asserted), "+13125550177");
    }
}
