//! Recorded calls of all kinds, through the table that answered them.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use switchboard::domain::call::Call;
use switchboard::settings::{NumberStorage, Purpose};

use super::SETTINGS;
use super::sheet::{self, Sheet, any_ring, any_sheet};
use crate::properties::{any_party, any_text, cases};
use crate::replay::{record, replayed};
use crate::support::app;

/// The table with one more rule, before all others, that says as much as a rule can.
fn outspoken(sheet: &Sheet, number: f64) -> String {
    let rule = format!(
        r#"
[[rule]]
name = "outspoken"
continue = true
variables = {{ caller = "${{from}}", dialled = "${{to}}", tier = "${{sip.x-tier?}}" }}
metadata = {{ number = {number:?}, deep = {{ caller = "${{from}}" }} }}
agent_override = {{ agent = {{ voice_speed = {number:?} }} }}
delay_ms = 250

[[rule]]
"#
    );
    sheet.to_toml().replacen("\n[[rule]]\n", &rule, 1)
}

#[test]
fn the_table_that_answered_answers_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, report) = app::load_settings(SETTINGS, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ring = (any_ring(), prop::option::weighted(0.3, any_party()));
    let header = prop::option::weighted(0.2, any_text());
    let rings = prop::collection::vec((ring, header, 0..60_000_i64), 1..12);
    let number = any::<f64>().prop_filter("TOML has others, JSON has not", |one| one.is_finite());
    let anything = (any_sheet(), rings, number, any::<bool>());
    proptest!(cases(), |((sheet, rings, number, stamp) in anything)| {
        let loaded = sheet.load_as(outspoken(&sheet, number), folder.path());
        let table = loaded.table.ok_or_else(|| TestCaseError::fail(loaded.report.to_string()))?;
        let calls = rings.into_iter().map(|((ring, stranger), header, ms)| {
            let (from, to) = ring.parties(&sheet);
            let from = stranger.unwrap_or(from);
            let call = sheet::call(&from, &to, &ring.setting);
            let (source, platform) = (sheet::SOURCES[ring.setting.source].0, call.platform());
            let mut fields = call.into_fields();
            fields.sip.extend(header.map(|value| ("x-tier".into(), value.into())));
            let call = Call::synthetic(source, platform, fields);
            (call, ring.setting.at + jiff::SignedDuration::from_millis(ms))
        });
        let calls: Vec<(Call<'_>, Timestamp)> = calls.collect();
        let records = tempfile::tempdir_in(folder.path()).unwrap();
        let file = records.path().join("records.db");
        let told = runtime.block_on(async {
            record(&file, NumberStorage::Full, stamp, &table, &calls).await;
            replayed(&file, &table, &settings.sources).await
        });
        prop_assert!(told["replayed"].as_u64() > Some(0) || told["left_out"] != json!([]));
        prop_assert_eq!(&told["unchanged"], &told["replayed"], "{:#}", &told);
        // No store keeps the character 0.
        let is_odd = |(call, _): &(Call<'_>, Timestamp)| {
            [call.from(), call.to()].iter().any(|party| party.unmasked().contains(['\0', '\u{fffd}']))
        };
        prop_assert!(told["left_out"] == json!([]) || calls.iter().any(is_odd), "{:#}", &told);
    });
}
