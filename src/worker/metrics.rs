//! Counters of this isolate, in Prometheus' text format, and points for Analytics Engine where it is bound.
//!
//! There are many isolates, and each begins at zero: a scrape sees the one that answered it, and its
//! `isolate` label says which. Sums over all of them are Analytics Engine's to make.

use crate::environment::{Environment, new_uuid};
use js_sys::{Array, Function, Object, Reflect};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wasm_bindgen::{JsCast, JsValue};

/// Upper bounds of the latency histogram, in milliseconds.
const BOUNDS_MS: [u32; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000];

/// A request that was answered.
pub(crate) struct Answered {
    pub operation: &'static str,
    pub status: u16,
    pub reason: Option<&'static str>,
    /// Whether the directory's own tables answered; none where no directory was asked.
    pub is_hit: Option<bool>,
    pub origin_ms: Option<u32>,
    pub took_ms: u32,
}

#[derive(Default)]
struct Histogram {
    counts: [u64; BOUNDS_MS.len()],
    count: u64,
    sum_ms: u64,
}

impl Histogram {
    fn add(&mut self, milliseconds: u32) {
        for (bound, count) in BOUNDS_MS.iter().zip(&mut self.counts) {
            if milliseconds <= *bound {
                *count = count.saturating_add(1);
            }
        }
        self.count = self.count.saturating_add(1);
        self.sum_ms = self.sum_ms.saturating_add(u64::from(milliseconds));
    }
}

/// All labels are names of the gateway's own: their number is bounded.
#[derive(Default)]
struct Counters {
    isolate: String,
    requests: BTreeMap<(&'static str, u16), u64>,
    refusals: BTreeMap<&'static str, u64>,
    reads: BTreeMap<&'static str, u64>,
    tokens: BTreeMap<&'static str, u64>,
    badges: BTreeMap<&'static str, u64>,
    key_fetches: BTreeMap<&'static str, u64>,
    brake: BTreeMap<&'static str, u64>,
    took: Histogram,
    origin: Histogram,
}

thread_local! {
    static COUNTERS: RefCell<Counters> = RefCell::default();
}

fn one<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// Counts a request.
pub(crate) fn count(answered: &Answered) {
    COUNTERS.with_borrow_mut(|counters| {
        one(&mut counters.requests, (answered.operation, answered.status / 100));
        if let Some(reason) = answered.reason {
            one(&mut counters.refusals, reason);
        }
        if let Some(is_hit) = answered.is_hit {
            one(&mut counters.reads, if is_hit { "hit" } else { "forwarded" });
        }
        counters.took.add(answered.took_ms);
        if let Some(milliseconds) = answered.origin_ms {
            counters.origin.add(milliseconds);
        }
    });
}

/// Counts a token that was known, or that had to be verified.
pub(crate) fn count_token(was_known: bool) {
    let which = if was_known { "hit" } else { "verified" };
    COUNTERS.with_borrow_mut(|counters| one(&mut counters.tokens, which));
}

/// Counts a request that a badge let through, for a token or for an API key.
pub(crate) fn count_badge(is_token: bool) {
    let credentials = if is_token { "token" } else { "key" };
    COUNTERS.with_borrow_mut(|counters| one(&mut counters.badges, credentials));
}

/// Counts a request for an issuer's keys.
pub(crate) fn count_key_fetch(succeeded: bool) {
    let which = if succeeded { "ok" } else { "failed" };
    COUNTERS.with_borrow_mut(|counters| one(&mut counters.key_fetches, which));
}

/// Counts what the brake did: it stopped removals, found an origin suspicious, or an operator let removals through.
pub(crate) fn count_brake(event: &'static str) {
    COUNTERS.with_borrow_mut(|counters| one(&mut counters.brake, event));
}

/// Everything in Prometheus' text format, version 0.0.4.
pub(crate) fn text() -> String {
    COUNTERS.with_borrow_mut(|counters| {
        if counters.isolate.is_empty() {
            counters.isolate = new_uuid().unwrap_or_default().chars().take(8).collect();
        }
        let mut text = String::new();
        let isolate = counters.isolate.as_str();
        let by = |counts: &BTreeMap<&'static str, u64>, label: &str| -> Vec<(String, u64)> {
            counts.iter().map(|(name, count)| (format!(r#"{label}="{name}""#), *count)).collect()
        };
        let requests: Vec<(String, u64)> = counters
            .requests
            .iter()
            .map(|((operation, class), count)| {
                (format!(r#"operation="{operation}",status="{class}xx""#), *count)
            })
            .collect();
        let families = [
            ("scim_edge_requests_total", "Requests by operation and class of status.", requests),
            ("scim_edge_refusals_total", "Requests not let through.", by(&counters.refusals, "reason")),
            ("scim_edge_directory_answers_total", "Who answered.", by(&counters.reads, "from")),
            ("scim_edge_tokens_total", "Tokens known or verified.", by(&counters.tokens, "cache")),
            ("scim_edge_badges_total", "Reads let through as the last one was.", by(&counters.badges, "of")),
            ("scim_edge_key_fetches_total", "Requests for keys.", by(&counters.key_fetches, "outcome")),
            ("scim_edge_brake_total", "Alarms of the brake on removals.", by(&counters.brake, "event")),
        ];
        for (name, help, samples) in families {
            let _ = writeln!(text, "# HELP {name} {help} Of this isolate.\n# TYPE {name} counter");
            for (labels, count) in samples {
                let _ = writeln!(text, r#"{name}{{isolate="{isolate}",{labels}}} {count}"#);
            }
        }
        let histograms = [
            ("scim_edge_request_duration_seconds", "How long requests took.", &counters.took),
            ("scim_edge_origin_duration_seconds", "How long origins took.", &counters.origin),
        ];
        for (name, help, histogram) in histograms {
            write_histogram(&mut text, isolate, name, help, histogram);
        }
        text
    })
}

fn write_histogram(text: &mut String, isolate: &str, name: &str, help: &str, histogram: &Histogram) {
    let _ = writeln!(text, "# HELP {name} {help} Of this isolate.\n# TYPE {name} histogram");
    for (bound, count) in BOUNDS_MS.iter().zip(histogram.counts) {
        let seconds = f64::from(*bound) / 1000.0;
        let _ = writeln!(text, r#"{name}_bucket{{isolate="{isolate}",le="{seconds}"}} {count}"#);
    }
    let _ = writeln!(text, r#"{name}_bucket{{isolate="{isolate}",le="+Inf"}} {}"#, histogram.count);
    let (whole, rest) = (histogram.sum_ms / 1000, histogram.sum_ms % 1000);
    let _ = writeln!(text, r#"{name}_sum{{isolate="{isolate}"}} {whole}.{rest:03}"#);
    let _ = writeln!(text, r#"{name}_count{{isolate="{isolate}"}} {}"#, histogram.count);
}

/// Writes a point to Analytics Engine, where it is bound as `ANALYTICS`. It is no one's duty: what goes
/// wrong there is nobody's error.
pub(crate) fn write_point(environment: &Environment, account: Option<&str>, answered: &Answered) {
    let Some(binding) = environment.binding("ANALYTICS") else { return };
    let written = (|| -> Result<(), JsValue> {
        let write: Function = Reflect::get(&binding, &"writeDataPoint".into())?.dyn_into()?;
        let account = JsValue::from_str(account.unwrap_or_default());
        let class = JsValue::from_str(&format!("{}xx", answered.status / 100));
        let reason = JsValue::from_str(answered.reason.unwrap_or_default());
        let source = answered.is_hit.map_or("", |is_hit| if is_hit { "hit" } else { "forwarded" });
        let blobs = Array::of4(&account, &answered.operation.into(), &class, &reason);
        blobs.push(&source.into());
        let origin = f64::from(answered.origin_ms.unwrap_or(0));
        let doubles = Array::of2(&f64::from(answered.took_ms).into(), &origin.into());
        let point = Object::new();
        Reflect::set(&point, &"indexes".into(), &Array::of1(&account))?;
        Reflect::set(&point, &"blobs".into(), &blobs)?;
        Reflect::set(&point, &"doubles".into(), &doubles)?;
        write.call1(&binding, &point)?;
        Ok(())
    })();
    drop(written);
}
