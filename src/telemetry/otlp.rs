//! Exports spans to a collector over OTLP (HTTP, protobuf).
//!
//! A thread of the SDK exports in batches. What it cannot send in time it drops: a slow or missing collector
//! delays no call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::spans::{TARGET, count_dropped};

/// Maximum time for one request to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for the last spans when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The exporter of spans. Dropping it exports the remaining spans.
pub(super) struct TraceExporter(SdkTracerProvider);

/// Starts the exporter. `endpoint` is the base URL of the collector.
pub(super) fn start_exporter(endpoint: &Url) -> anyhow::Result<TraceExporter> {
    // Fails if a provider is installed already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(EXPORT_TIMEOUT)
        .build()?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let exporter = ReportingExporter { exporter, is_failing: AtomicBool::new(false) };
    let resource = Resource::builder_empty()
        .with_service_name("switchboard")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    Ok(TraceExporter(provider))
}

impl TraceExporter {
    /// Returns the layer that passes spans, and nothing else, to the exporter.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("switchboard"))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, Level::INFO))
    }
}

impl Drop for TraceExporter {
    fn drop(&mut self) {
        // The failure has been logged, and there is nothing left to do.
        drop(self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
    }
}

/// Logs when the collector becomes unavailable, and when it is back.
#[derive(Debug)]
struct ReportingExporter {
    exporter: opentelemetry_otlp::SpanExporter,
    is_failing: AtomicBool,
}

impl SpanExporter for ReportingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        if result.is_err() {
            count_dropped(spans);
        }
        match (&result, self.is_failing.swap(result.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(reason = %error, "traces cannot be exported, spans are dropped");
            }
            (Ok(()), true) => tracing::info!("trace collector is back"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
