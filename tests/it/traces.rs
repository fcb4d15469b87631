//! Traces: what a collector receives over OTLP, and what happens without one.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use crate::support::app::{retell_call, sign};
use crate::support::program::{self, Served, program};
use crate::support::wait;

/// A collector on loopback, which stores the bodies that it receives.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    /// Starts a collector. Returns it with its base URL.
    pub(crate) async fn start() -> (Collector, String) {
        let collector = Collector::default();
        let store = async |State(collector): State<Collector>, body: Bytes| {
            collector.0.lock().unwrap().push(body);
        };
        let router = Router::new().route("/v1/traces", post(store)).with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        (collector, url)
    }

    /// Returns the bodies that arrived.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.0.lock().unwrap().clone()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.bodies().into_iter();
        let requests = requests.map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let scopes = requests
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn serve_with_traces(endpoint: &str) -> Served {
    let mut serve = program();
    serve.env("SWITCHBOARD__TRACES__OTLP_ENDPOINT", endpoint);
    Served::new(program::start_with(serve, &[]))
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn client() -> reqwest::Client {
    // Fails if another test has installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

/// Posts a body, signed with the key of `serve --dev`. Returns the status.
async fn send(to: &Served, path: &str, body: &str, parent: Option<&str>) -> u16 {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(client);
    #[expect(clippy::disallowed_methods, reason = "the program uses the system's clock")]
    let now = jiff::Timestamp::now();
    let (name, value) = sign("retell", body.as_bytes(), now.as_millisecond(), "dev");
    let url = format!("{}{path}", to.url);
    let request = CLIENT.post(url).header(name, value).body(body.to_owned());
    let request = parent.into_iter().fold(request, |to, parent| to.header("traceparent", parent));
    request.send().await.unwrap().status().as_u16()
}

/// Attributes of a span, as text.
fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let attributes = span.attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        let text = match value {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key.as_str(), text)
    });
    attributes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_receives_a_span_for_the_request_and_one_for_each_step() {
    let (collector, url) = Collector::start().await;
    let served = serve_with_traces(&url);
    let call = retell_call("+12137771234", "+12137771235");
    assert_eq!(send(&served, "/inbound/retell", &call, Some(PARENT)).await, 200);
    let event = r#"{"event":"call_ended","call":{"call_id":"call_1"}}"#;
    assert_eq!(send(&served, "/events/retell", event, None).await, 200);
    let (code, log) = served.terminate();
    assert_eq!(code, Some(0));

    let spans = collector.spans();
    let roots: Vec<_> = spans.iter().filter(|span| span.kind() == SpanKind::Server).collect();
    let [call, event] = roots[..] else { panic!("not two requests: {spans:#?}") };
    assert_eq!((call.name.as_str(), event.name.as_str()), ("POST /inbound", "POST /events"));
    assert_eq!(hex::encode(&call.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex::encode(&call.parent_span_id), "b7ad6b7169203331");
    assert!(event.parent_span_id.is_empty() && event.trace_id != call.trace_id);
    let expected = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("kind", "call"),
        ("outcome", "agent"),
        ("source", "retell"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(attributes(call), BTreeMap::from(expected));
    for (root, expected) in [
        (call, ["authenticate", "parse", "decide", "render", "record"].as_slice()),
        (event, &["authenticate", "parse", "record"]),
    ] {
        let mut steps: Vec<_> =
            spans.iter().filter(|span| span.parent_span_id == root.span_id).collect();
        steps.sort_by_key(|span| span.start_time_unix_nano);
        let names: Vec<_> = steps.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, expected);
        for step in steps {
            assert_eq!(step.trace_id, root.trace_id);
            assert_eq!(attributes(step), BTreeMap::new());
            assert!(step.events.is_empty() && step.end_time_unix_nano <= root.end_time_unix_nano);
        }
        let trace_id = format!("trace_id=\"{}\"", hex::encode(&root.trace_id));
        assert!(log.contains(&trace_id), "no {trace_id} in\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_its_parent_does_not_sample_is_not_exported() {
    let (collector, url) = Collector::start().await;
    let served = serve_with_traces(&url);
    let parent = PARENT.replace("-01", "-00");
    let call = retell_call("+12137771234", "+12137771235");
    assert_eq!(send(&served, "/inbound/retell", &call, Some(&parent)).await, 200);
    assert_eq!(send(&served, "/inbound/retell", &call, Some("00-nonsense")).await, 200);
    assert_eq!(served.terminate().0, Some(0));
    let roots = collector.spans().into_iter().filter(|span| span.kind() == SpanKind::Server);
    let roots: Vec<_> = roots.collect();
    assert_eq!(roots.len(), 1, "only the request without a valid parent: {roots:#?}");
    assert_eq!(attributes(&roots[0])["outcome"], "retry");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_cannot_be_exported_are_counted() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut serve = program();
    // The exporter's own variable: a batch after 20 ms.
    serve.env("SWITCHBOARD__TRACES__OTLP_ENDPOINT", endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "20");
    let served = Served::new(program::start_with(serve, &[]));
    let dropped = || {
        let (_, metrics) = program::admin_request(&served.admin, "GET /metrics", "");
        let value = metrics.split("\nswitchboard_spans_dropped_total ").nth(1);
        value.and_then(|rest| rest.lines().next()?.parse::<f64>().ok()).expect("the metric")
    };
    let before = dropped();
    let call = retell_call("+12137771234", "+12137771235");
    assert_eq!(send(&served, "/inbound/retell", &call, None).await, 200);
    // The request and its five steps.
    assert!(wait::until(|| dropped() >= before + 6.0), "{} dropped", dropped());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_and_the_process_ends_without_a_collector() {
    // The kernel accepts connections to the first; nothing answers. The second refuses them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let [silent_url, closed_url] =
        [&silent, &closed].map(|at| format!("http://{}", at.local_addr().unwrap()));
    drop(closed);
    for (endpoint, reports) in [(silent_url, 0..=1), (closed_url, 1..=1)] {
        let served = serve_with_traces(&endpoint);
        for number in 0..20 {
            let call = retell_call("+12137771234", &format!("+121377712{number:02}"));
            assert_eq!(send(&served, "/inbound/retell", &call, None).await, 200);
        }
        let (code, log) = served.terminate();
        assert_eq!(code, Some(0), "{log}");
        let lines = log.matches("traces cannot be exported, spans are dropped").count();
        assert!(reports.contains(&lines), "{log}");
    }
}
