//! Words that platforms, carriers and phones send in place of a withheld number, in the languages of their users.
//!
//! All are compared without case, accents and punctuation. A text is one of these words with nouns such as *number* or
//! *caller* before or behind it, or one of the phrases; any other word makes it a name: `Private Dental Clinic`.

/// Words for a withheld number.
const WORDS: [&str; 112] = [
    // English, and what programs write.
    "anonymous",
    "unknown",
    "restricted",
    "private",
    "unavailable",
    "withheld",
    "blocked",
    "hidden",
    "suppressed",
    "unidentified",
    "undisclosed",
    "unlisted",
    "none",
    "null",
    "nil",
    "undefined",
    "nan",
    "n/a",
    // German.
    "anonym",
    "anonyme",
    "anonymer",
    "unbekannt",
    "unbekannte",
    "unbekannter",
    "unterdruckt",
    "unterdruckte",
    "unterdrueckt",
    "unterdrueckte",
    "privat",
    "privater",
    "verborgen",
    "verborgene",
    // French.
    "inconnu",
    "inconnue",
    "masque",
    "masquee",
    "prive",
    "privee",
    "indisponible",
    "confidentiel",
    // Spanish and Portuguese.
    "anonimo",
    "anonima",
    "desconocido",
    "desconocida",
    "oculto",
    "oculta",
    "privado",
    "privada",
    "restringido",
    "restringida",
    "bloqueado",
    "desconhecido",
    "desconhecida",
    "restrito",
    "confidencial",
    "indisponivel",
    // Italian.
    "sconosciuto",
    "sconosciuta",
    "privato",
    "privata",
    "riservato",
    "riservata",
    "nascosto",
    "nascosta",
    "oscurato",
    // Dutch.
    "onbekend",
    "onbekende",
    "anoniem",
    "anonieme",
    "afgeschermd",
    "afgeschermde",
    // Swedish, Norwegian and Danish.
    "okand",
    "okant",
    "hemligt",
    "dolt",
    "skyddat",
    "ukjent",
    "skjult",
    "hemmelig",
    "ukendt",
    "hemmeligt",
    // Finnish.
    "tuntematon",
    "salainen",
    "yksityinen",
    // Polish.
    "nieznany",
    "nieznana",
    "zastrzezony",
    "ukryty",
    "prywatny",
    "anonimowy",
    "anonimowe",
    // Czech.
    "neznamy",
    "nezname",
    "skryte",
    "soukrome",
    "anonymni",
    // Russian.
    "неизвестно",
    "неизвестныи",
    "неизвестен",
    "аноним",
    "анонимныи",
    "анонимно",
    "скрыт",
    "скрытыи",
    "засекречен",
    // Japanese.
    "非通知",
    "非通知設定",
    "通知不可能",
    "通知不可",
    "表示圏外",
    "公衆電話",
    "匿名",
];

/// Nouns that may stand before or behind one of [`WORDS`].
const NOUNS: [&str; 66] = [
    "number",
    "caller",
    "call",
    "callerid",
    "cli",
    "id",
    "name",
    "party",
    "user",
    "sender",
    "nummer",
    "rufnummer",
    "telefonnummer",
    "anrufer",
    "anruferin",
    "anruf",
    "teilnehmer",
    "numero",
    "appelant",
    "appel",
    "correspondant",
    "identite",
    "llamada",
    "llamante",
    "remitente",
    "chamada",
    "chamador",
    "chiamata",
    "chiamante",
    "utente",
    "beller",
    "oproep",
    "telefoonnummer",
    "uppringare",
    "samtal",
    "anrop",
    "innringer",
    "anroper",
    "opkald",
    "opkalder",
    "soittaja",
    "puhelu",
    "numer",
    "numeru",
    "rozmowca",
    "dzwoniacy",
    "abonent",
    "polaczenie",
    "cislo",
    "volajici",
    "hovor",
    "номер",
    "номера",
    "абонент",
    "звонок",
    "вызов",
    "番号",
    "発信者",
    "電話番号",
    "発信者番号",
    "着信",
    "telefono",
    "telefone",
    "telephone",
    "telefon",
    "phone",
];

/// Maximum number of nouns around a word.
const MAX_NOUNS: usize = 3;

/// Further phrases for a withheld number, without the spaces.
const PHRASES: [&str; 53] = [
    "nocallerid",
    "nocallid",
    "nonumber",
    "noid",
    "na",
    "notavailable",
    "numbernotavailable",
    "calleridnotavailable",
    "notprovided",
    "numbernotprovided",
    "outofarea",
    "keinerufnummer",
    "keinenummer",
    "keineanruferid",
    "keinerufnummernanzeige",
    "ohnerufnummer",
    "ohnenummer",
    "nichtverfugbar",
    "nichtverfuegbar",
    "nummernichtverfugbar",
    "rufnummernichtverfugbar",
    "rufnummernichtverfuegbar",
    "rufnummernichtubermittelt",
    "sansnumero",
    "pasdenumero",
    "aucunnumero",
    "nondisponible",
    "numeronondisponible",
    "sinnumero",
    "nodisponible",
    "numeronodisponible",
    "sinidentificar",
    "semnumero",
    "naodisponivel",
    "numeronaodisponivel",
    "naoidentificado",
    "numeronaoidentificado",
    "senzanumero",
    "nessunnumero",
    "nondisponibile",
    "numeronondisponibile",
    "geennummer",
    "geennummerweergave",
    "nietbeschikbaar",
    "nummernietbeschikbaar",
    "ingetnummer",
    "ingennummer",
    "braknumeru",
    "ejtillganglig",
    "номернеопределен",
    "неопределен",
    "нетномера",
    "безномера",
];

/// Returns whether a text that is no number says that the number is withheld.
pub(super) fn is_withheld(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let text = text.split(';').next().unwrap_or_default();
    if !text.is_empty() && text.bytes().all(|byte| byte == b'0') {
        return true;
    }
    let text = folded(text);
    let words = text.split(|c: char| c.is_whitespace() || "_-.()[]\"'".contains(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    PHRASES.contains(&&*words.concat()) || is_word_with_nouns(&words)
}

/// Returns whether one of [`WORDS`] has nothing but nouns around it: `number withheld`, `PrivateNumber`.
fn is_word_with_nouns(words: &[&str]) -> bool {
    let are_nouns =
        |words: &[&str]| words.len() <= MAX_NOUNS && words.iter().all(|word| NOUNS.contains(word));
    let is_at_an_end = match words {
        [word, nouns @ ..] if WORDS.contains(word) => are_nouns(nouns),
        [nouns @ .., word] if WORDS.contains(word) => are_nouns(nouns),
        _ => false,
    };
    let is_one_word = |word: &str| {
        WORDS.iter().any(|known| word.strip_prefix(known).is_some_and(|noun| NOUNS.contains(&noun)))
    };
    is_at_an_end || matches!(words, [word] if is_one_word(word))
}

/// Returns a text in lower case, with the letters that people type in place of those with accents.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        folded.push(match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ą' => 'a',
            'é' | 'è' | 'ê' | 'ë' | 'ě' | 'ę' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
            'ú' | 'ù' | 'û' | 'ü' | 'ů' => 'u',
            'ý' => 'y',
            'ç' | 'ć' | 'č' => 'c',
            'ñ' | 'ń' | 'ň' => 'n',
            'ś' | 'š' => 's',
            'ż' | 'ź' | 'ž' => 'z',
            'ł' => 'l',
            'ř' => 'r',
            'ё' => 'е',
            'й' => 'и',
            // Accents of their own, behind the letter.
            '\u{300}'..='\u{36f}' => continue,
            c => c,
        });
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_each_language_are_known_in_any_spelling() {
        for text in [
            "NoCallerID",
            "PrivateNumber",
            "UNKNOWN_CALLER",
            "Caller ID withheld",
            "numero privado",
            "Número Privado",
            "nu\u{301}mero oculto",
            "llamada oculta",
            "número restrito",
            "Numero privato",
            "Numero sconosciuto",
            "Numero nascosto",
            "chiamante sconosciuto",
            "unbekannte Nummer",
            "Rufnummer unterdrückt",
            "RUFNUMMER UNTERDRUECKT",
            "Anonymer Anrufer",
            "keine Rufnummer",
            "Privat",
            "Appelant inconnu",
            "Appel masqué",
            "numéro masqué",
            "Identité masquée",
            "Nieznany numer",
            "Zastrzeżony",
            "Numer zastrzeżony",
            "Неизвестный номер",
            "Номер скрыт",
            "Аноним",
            "非通知設定",
            "番号 非通知",
            "Onbekend nummer",
            "geen nummer",
            "hemligt nummer",
            "skjult nummer",
            "Okänt nummer",
            "tuntematon numero",
            "neznámé číslo",
        ] {
            assert!(is_withheld(text), "{text}");
        }
    }

    #[test]
    fn names_are_not_withheld_numbers() {
        for text in [
            "Private Dental Clinic",
            "Privat Klinik",
            "Hidden Valley Vets",
            "Anna Unknown",
            "The Unknown Caller Show",
            "Number One Cars",
            "Nana",
            "Nilsson",
            "Privatbank",
            "No",
            "Call me",
            "client:anonymous",
            "Caller",
            "番号",
        ] {
            assert!(!is_withheld(text), "{text}");
        }
    }

    #[test]
    fn the_words_are_folded() {
        for word in WORDS.iter().chain(&NOUNS).chain(&PHRASES) {
            assert_eq!(&folded(word), word);
            assert!(!word.contains(' '), "{word}");
            let is_latin = word.is_ascii();
            assert!(is_latin || !word.contains(|c: char| c.is_ascii_alphabetic()), "{word}");
        }
    }
}
