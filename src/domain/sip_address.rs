//! Numbers in SIP headers: who forwarded a call, and who a trunk says is calling.

use super::call::{Call, is_other_spelling};
use super::party::{NumberField, NumberFormat, ParsedParty, Party, without_display_name};

/// Headers that name the number from which a call was forwarded, in the order of preference.
const FORWARDING_HEADERS: [&str; 2] = [DIVERSION, HISTORY_INFO];
const DIVERSION: &str = "diversion";
const HISTORY_INFO: &str = "history-info";

/// Returns whether a header names the number from which a call was forwarded, in any case.
pub fn is_forwarding_header(name: &str) -> bool {
    FORWARDING_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Attribute with the number from which a call was forwarded, on platforms that send it in a field of their own.
pub const FORWARDED_FROM: &str = "forwarded_from";

/// Returns the number from which a call was forwarded: the platform's own field, which its requests have as the
/// attribute [`FORWARDED_FROM`], or else a SIP header.
pub fn forwarding_number(call: &Call<'_>) -> Option<Party> {
    let own = call.attribute(FORWARDED_FROM);
    let own = own.map(|text| NumberFormat::default().parse(Some(text)).party);
    let own = own.filter(|party| party.number().is_some());
    own.or_else(|| forwarded_from(&call.sip_headers(), call.to()))
}

/// Returns the number from which a call to `called` was forwarded: the first number in `Diversion` (RFC
/// 5806), which is the latest, or the first in `History-Info` (RFC 7044), which is the number that was
/// dialled. Repeated headers are read as one, in their order. A `History-Info` that has no number but the
/// called one tells of no forwarding.
///
/// ```
/// use switchboard::domain::party::Party;
/// use switchboard::domain::sip_address::forwarded_from;
///
/// let headers = [("diversion", "<sip:+12137770001@10.1.1.1;user=phone>;reason=no-answer")];
/// let forwarder = forwarded_from(&headers.into_iter(), &Party::Withheld);
/// assert_eq!(forwarder.unwrap().unmasked(), "+12137770001");
/// ```
pub fn forwarded_from<'h>(
    headers: &(impl Iterator<Item = (&'h str, &'h str)> + Clone),
    called: &Party,
) -> Option<Party> {
    let hops_of = |wanted| {
        let values = headers.clone().filter(move |(name, _)| *name == wanted);
        values.flat_map(|(_, value)| addresses(value))
    };
    let number = |address| {
        let parsed = NumberFormat::default().parse(Some(without_display_name(address)));
        Some(parsed.party).filter(|party| party.number().is_some())
    };
    hops_of(DIVERSION).find_map(number).or_else(|| {
        let mut hops: Vec<&str> = hops_of(HISTORY_INFO).collect();
        if hops.iter().all(|hop| hop_index(hop).is_some()) {
            hops.sort_by_cached_key(|hop| hop_index(hop));
        }
        let mut numbers = hops.into_iter().filter_map(number).peekable();
        let first = numbers.peek().cloned();
        first.filter(|_| numbers.any(|number| number != *called))
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
        NumberField::Sip(wanted) => {
            let last = |is_meant: &dyn Fn(&str) -> bool| {
                let meant = headers.clone().filter(|(name, _)| is_meant(name));
                meant.last().and_then(|(_, value)| number_in(value, numbers))
            };
            last(&|name| *name == **wanted)
                .or_else(|| last(&|name| is_other_spelling(name, wanted)))
        }
    });
    found.unwrap_or(own)
}

/// Returns the first number among the addresses of a header.
fn number_in(value: &str, numbers: &NumberFormat) -> Option<ParsedParty> {
    let mut parsed =
        addresses(value).map(|address| numbers.parse(Some(without_display_name(address))));
    parsed.find(|parsed| parsed.party.number().is_some())
}

/// Iterates over the addresses of a header, which commas separate. A comma in a quoted name or in angle
/// brackets separates nothing.
fn addresses(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped, mut is_bracketed) = (false, false, false);
    value.split(move |c: char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match c {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !is_bracketed && !was_escaped => is_quoted = !is_quoted,
            '<' if !is_quoted => is_bracketed = true,
            '>' if !is_quoted => is_bracketed = false,
            _ => {}
        }
        c == ',' && !is_quoted && !is_bracketed
    })
}

/// Returns the position of a hop of `History-Info`: its parameter `index=1.2`.
fn hop_index(address: &str) -> Option<Vec<u32>> {
    let address = without_display_name(address);
    let parameters = address.rsplit_once('>').map_or(address, |(_, parameters)| parameters);
    let index = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("index").then_some(value.trim())
    });
    index?.split('.').map(|step| step.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what the headers of a call to +12135550100 tell.
    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<&str>) {
        let called = NumberFormat::default().parse(Some("+12135550100")).party;
        let found = forwarded_from(&headers.iter().copied(), &called);
        assert_eq!(found.map(|party| party.unmasked().into_owned()).as_deref(), expected);
    }

    #[test]
    fn finds_the_number_that_forwarded_a_call() {
        let diversion = ("diversion", "<sip:+12137770001@10.1.1.1;user=phone>;reason=no-answer");
        let history = (
            "history-info",
            "<sip:office@pbx.example.com>;index=1, <sip:+12137770002@host>;index=1.1,<tel:+12137770003>;index=1.2",
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
    fn the_first_hop_with_a_number_counts() {
        let anonymous = "<sip:anonymous@anonymous.invalid>;privacy=full";
        let both = format!("{anonymous}, <tel:+12137770001>;reason=unconditional");
        check(&[("diversion", &both)], Some("+12137770001"));
        let first = ("diversion", "<tel:+12137770001>;counter=1");
        let second = ("diversion", "<tel:+12137770002>;counter=2");
        check(&[first, second], Some("+12137770001"));
        check(&[("diversion", anonymous), second], Some("+12137770002"));
        check(&[("diversion", "TEL:+12137770001;reason=deflection")], Some("+12137770001"));
        check(
            &[("diversion", "sip:+12137770001@host, sip:+12137770002@host")],
            Some("+12137770001"),
        );
    }

    #[test]
    fn a_quoted_name_is_no_address() {
        for name in [
            r#""+1 213 777 0009, Ann""#,
            r#""a <+12137770009> b""#,
            r#""a \" <tel:+12137770009>, b""#,
            r#""\\""#,
        ] {
            check(&[("diversion", &format!("{name} <tel:+12137770001>"))], Some("+12137770001"));
            let after = format!("<sip:anonymous@host>, {name} <tel:+12137770001>;reason=\"x,y\"");
            check(&[("diversion", &after)], Some("+12137770001"));
        }
    }

    #[test]
    fn the_hops_of_a_history_are_in_the_order_of_their_indexes() {
        let later = ("history-info", "<tel:+12137770003>;index=1.10, <tel:+12137770002>;index=1.9");
        let dialled = ("history-info", "<sip:+12137770001@host?Reason=SIP%3Bcause%3D302>;index=1");
        check(&[later, dialled], Some("+12137770001"));
        check(&[later], Some("+12137770002"));
        let one_without_index = ("history-info", "<tel:+12137770004>");
        check(&[later, one_without_index], Some("+12137770003"));
    }

    /// Networks add the number that was dialled to a call that nobody forwarded, too.
    #[test]
    fn a_history_of_the_called_number_alone_is_no_forwarding() {
        let called = "<sip:+12135550100@host>;index=1";
        check(&[("history-info", called)], None);
        check(&[("history-info", &format!("{called}, <sip:+12135550100@pbx>;index=1.1"))], None);
        let forwarded = format!("<tel:+12137770001>;index=1, {called}.1");
        check(&[("history-info", &forwarded)], Some("+12137770001"));
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
