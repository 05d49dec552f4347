//! Spans as OTLP has them in JSON.
use super::context::Context;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What one request, or one connection of a tcp site, came to.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) context: Context,
    /// Who asked; None: the trace begins here.
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    pub(crate) ended: SystemTime,
    pub(crate) took: Duration,
    pub(crate) attributes: Vec<Attribute>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// A fact of a span. A fact that is empty is left out.
pub(crate) type Attribute = (&'static str, Fact);

/// What a fact is made of.
#[derive(Debug)]
pub(crate) enum Fact {
    Text(String),
    Number(u64),
    Is(bool),
}

impl From<&str> for Fact {
    fn from(text: &str) -> Fact {
        Fact::Text(text.to_owned())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Fact {
        Fact::Text(text)
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Fact {
        Fact::Number(number)
    }
}

impl From<bool> for Fact {
    fn from(is: bool) -> Fact {
        Fact::Is(is)
    }
}

/// `SPAN_KIND_SERVER`, `STATUS_CODE_ERROR` of opentelemetry-proto's trace.proto.
const SERVER: u8 = 2;
const ERROR: u8 = 2;

/// The body of an export: all spans of one service.
pub(crate) fn export(service: &str, spans: &[Span]) -> Vec<u8> {
    let resource = [
        ("service.name", Fact::from(service)),
        ("telemetry.sdk.language", "rust".into()),
        ("process.pid", u64::from(std::process::id()).into()),
    ];
    let request = Request {
        resource_spans: [ResourceSpans {
            resource: Resource {
                attributes: resource.iter().filter_map(key_value).collect(),
            },
            scope_spans: [ScopeSpans {
                scope: Scope {
                    name: "portcullis",
                    version: env!("CARGO_PKG_VERSION"),
                },
                spans: spans.iter().map(told).collect(),
            }],
        }],
    };
    serde_json::to_vec(&request).expect("structs of strings and numbers are JSON")
}

fn told(span: &Span) -> Told<'_> {
    let ended = span.ended.duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = ended.saturating_sub(span.took);
    Told {
        trace_id: format!("{:032x}", span.context.trace),
        span_id: format!("{:016x}", span.context.span),
        parent_span_id: span.parent.map(|parent| format!("{parent:016x}")),
        name: &span.name,
        kind: SERVER,
        start_time_unix_nano: began.as_nanos().to_string(),
        end_time_unix_nano: ended.as_nanos().to_string(),
        attributes: span.attributes.iter().filter_map(key_value).collect(),
        status: span.error.as_deref().map(|message| Status { code: ERROR, message }),
    }
}

fn key_value((key, fact): &Attribute) -> Option<KeyValue<'_>> {
    let value = match fact {
        Fact::Text(text) if text.is_empty() => return None,
        Fact::Text(text) => AnyValue::Text(text),
        // 64 bits are strings in proto3's JSON
        Fact::Number(number) => AnyValue::Number(number.to_string()),
        Fact::Is(is) => AnyValue::Is(*is),
    };
    Some(KeyValue { key, value })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Is(bool),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_span_has_the_form_of_otlp() {
        let span = Span {
            context: Context {
                trace: 0x4bf9,
                span: 0xb7,
                is_sampled: true,
            },
            parent: Some(0xf067),
            name: "GET /api/".into(),
            ended: UNIX_EPOCH + Duration::from_nanos(1_793_000_000_123_456_789),
            took: Duration::from_nanos(456_789),
            attributes: vec![
                ("http.request.method", "GET".into()),
                ("http.response.status_code", 502.into()),
                ("tls.resumed", false.into()),
                ("server.address", "".into()),
            ],
            error: Some("connect: refused".into()),
        };
        let body: Value = serde_json::from_slice(&export("edge", &[span])).unwrap();
        let resource = &body["resourceSpans"][0]["resource"]["attributes"][0];
        assert_eq!(
            resource,
            &json!({"key": "service.name", "value": {"stringValue": "edge"}})
        );
        assert_eq!(
            body["resourceSpans"][0]["scopeSpans"][0]["spans"],
            json!([{
                "traceId": "00000000000000000000000000004bf9",
                "spanId": "00000000000000b7",
                "parentSpanId": "000000000000f067",
                "name": "GET /api/",
                "kind": 2,
                "startTimeUnixNano": "1793000000123000000",
                "endTimeUnixNano": "1793000000123456789",
                "attributes": [
                    {"key": "http.request.method", "value": {"stringValue": "GET"}},
                    {"key": "http.response.status_code", "value": {"intValue": "502"}},
                    {"key": "tls.resumed", "value": {"boolValue": false}},
                ],
                "status": {"code": 2, "message": "connect: refused"},
            }])
        );
    }
}
