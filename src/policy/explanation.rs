//! Explanations: every check of a token, for operators.

use crate::refusal::Refusal;
use crate::rule::TrustRule;
use crate::verify::{Host, Step, Verified, explain};
use serde_json::{Value, json};

/// What a verification did, check by check.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The checks, in order; also those behind the first that did not hold.
    pub steps: Vec<Step>,
    /// What the token was found to be.
    pub outcome: Result<Verified, Refusal>,
}

impl Explanation {
    /// Verifies a token and keeps every check.
    pub async fn of<H: Host>(host: &H, rules: &[TrustRule], token: &str, now_ms: i64) -> Self {
        let (steps, outcome) = explain(host, rules, token, now_ms).await;
        Self { steps, outcome }
    }

    /// `{"allow", "rule", "serviceAccount"}` or `{"allow", "reason", "detail"}`, with `"steps": [{"rule", "check",
    /// "ok", "expected", "found"}` or `{"rule", "check", "ok", "expected", "reason", "detail"}]`.
    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| match &step.outcome {
                Ok(found) => json!({ "rule": step.rule, "check": step.check, "ok": true,
                    "expected": step.expected, "found": found }),
                Err(refusal) => json!({ "rule": step.rule, "check": step.check, "ok": false,
                    "expected": step.expected, "reason": refusal.reason.code(), "detail": refusal.detail }),
            })
            .collect();
        match &self.outcome {
            Ok(verified) => json!({ "allow": true, "rule": verified.rule(),
                "serviceAccount": verified.service_account(), "steps": steps }),
            Err(refusal) => json!({ "allow": false, "reason": refusal.reason.code(),
                "detail": refusal.detail, "steps": steps }),
        }
    }
}
