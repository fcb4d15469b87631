//! Generated calls, recorded and replayed with the same table.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use switchboard::domain::call::Call;
use switchboard::settings::{NumberStorage, Purpose};

use super::SETTINGS;
use super::model::{self, TableModel, any_call, any_table};
use crate::properties::{any_party, any_text, cases};
use crate::replay::{record, replay};
use crate::support::app;

/// Adds a first rule that sets every key that can be combined with `continue`.
fn with_full_rule(model: &TableModel, number: f64) -> String {
    let rule = format!(
        r#"
[[rule]]
name = "full"
continue = true
variables = {{ caller = "${{from}}", dialled = "${{to}}", tier = "${{sip.x-tier?}}" }}
metadata = {{ number = {number:?}, deep = {{ caller = "${{from}}" }} }}
agent_override = {{ agent = {{ voice_speed = {number:?} }} }}
say = "Hello ${{sip.x-tier|there}}"
sip_headers = {{ X-Caller = "${{from}}", X-Tier = "${{sip.x-tier?}}" }}
delay_ms = 250

[[rule]]
"#
    );
    model.to_toml().replacen("\n[[rule]]\n", &rule, 1)
}

#[test]
fn replaying_calls_with_the_same_table_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, report) = app::load_settings(SETTINGS, Purpose::Inspect);
    let settings = settings.unwrap_or_else(|| panic!("{report}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let generated = (any_call(), prop::option::weighted(0.3, any_party()));
    let header = prop::option::weighted(0.2, any_text());
    let generated_calls = prop::collection::vec((generated, header, 0..60_000_i64), 1..12);
    let number = any::<f64>().prop_filter("JSON has finite numbers only", |one| one.is_finite());
    let input = (any_table(), generated_calls, number, any::<bool>());
    proptest!(cases(), |((model, generated_calls, number, stamp) in input)| {
        let loaded = model.load_text(with_full_rule(&model, number), folder.path());
        let table = loaded.table.ok_or_else(|| TestCaseError::fail(loaded.report.to_string()))?;
        let calls = generated_calls.into_iter().map(|((generated, stranger), header, ms)| {
            let (from, to) = generated.parties(&model);
            let from = stranger.unwrap_or(from);
            let call = model::call(&from, &to, &generated.context);
            let (source, platform) = (model::SOURCES[generated.context.source].0, call.platform());
            let mut fields = call.into_fields();
            fields.sip.extend(header.map(|value| ("x-tier".into(), value.into())));
            let call = Call::synthetic(source, platform, fields);
            (call, generated.context.at + jiff::SignedDuration::from_millis(ms))
        });
        let calls: Vec<(Call<'_>, Timestamp)> = calls.collect();
        let records = tempfile::tempdir_in(folder.path()).unwrap();
        let file = records.path().join("records.db");
        let report = runtime.block_on(async {
            record(&file, NumberStorage::Full, stamp, &table, &calls).await;
            replay(&file, &table, &settings.sources).await
        });
        prop_assert!(report["replayed"].as_u64() > Some(0) || report["left_out"] != json!([]));
        prop_assert_eq!(&report["unchanged"], &report["replayed"], "{:#}", &report);
        // No store keeps NUL characters.
        let has_lost_characters = |(call, _): &(Call<'_>, Timestamp)| {
            [call.from(), call.to()].iter().any(|party| party.unmasked().contains(['\0', '\u{fffd}']))
        };
        prop_assert!(report["left_out"] == json!([]) || calls.iter().any(has_lost_characters), "{:#}", &report);
    });
}
