//! The activity of the last 24 hours, in buckets of five minutes.
//!
//! The bucket under way is in memory and is stored once a minute: a restart loses what came since.

use crate::sql::{Sql, SqlError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long a bucket is, in milliseconds.
pub const BUCKET_MS: i64 = 300_000;

/// How many buckets there are.
const BUCKETS: i64 = 288;

/// How often the bucket under way is stored, in milliseconds.
const STORE_MS: i64 = 60_000;

/// The upper bounds of the classes that times are counted in, in milliseconds; one more class is for
/// what is longer.
pub const BOUNDS_MS: [u32; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// Counts of times by class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(Vec<u64>);

impl Times {
    /// Counts a time.
    pub fn add(&mut self, milliseconds: u32) {
        let class = BOUNDS_MS.iter().position(|bound| milliseconds <= *bound).unwrap_or(BOUNDS_MS.len());
        self.0.resize(BOUNDS_MS.len().saturating_add(1), 0);
        if let Some(count) = self.0.get_mut(class) {
            *count = count.saturating_add(1);
        }
    }

    /// The bound that a part (in hundredths) of the times stays within; none where none was counted.
    pub fn percentile(&self, hundredths: u64) -> Option<u32> {
        let total: u64 = self.0.iter().fold(0, |sum, count| sum.saturating_add(*count));
        let wanted = total.saturating_mul(hundredths).div_ceil(100);
        let mut sum = 0_u64;
        for (class, count) in self.0.iter().enumerate() {
            sum = sum.saturating_add(*count);
            if total > 0 && sum >= wanted {
                return Some(BOUNDS_MS.get(class).copied().unwrap_or(60_000));
            }
        }
        None
    }
}

/// What happened in one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Bucket {
    requests: u64,
    refused: u64,
    failed: u64,
    times: Times,
}

/// The bucket under way.
#[derive(Debug, Default)]
pub struct Activity {
    start: i64,
    stored_at: i64,
    bucket: Bucket,
}

/// What there is to count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Happened<'a> {
    /// Requests that came in.
    pub requests: u64,
    /// Requests that were not let through.
    pub refused: u64,
    /// Requests that failed (5xx).
    pub failed: u64,
    /// How long requests took, in milliseconds.
    pub times: &'a [u32],
}

impl Activity {
    /// Counts.
    pub fn add<S: Sql>(&mut self, sql: &S, happened: Happened<'_>, now_ms: i64) -> Result<(), SqlError> {
        let start = now_ms.saturating_sub(now_ms.rem_euclid(BUCKET_MS));
        if start != self.start {
            if self.start != 0 {
                self.store(sql, now_ms)?;
            }
            let before = start.saturating_sub(BUCKET_MS.saturating_mul(BUCKETS));
            sql.query("DELETE FROM activity WHERE bucket <= ?", &[before.into()])?;
            let rows = sql.query("SELECT body FROM activity WHERE bucket = ?", &[start.into()])?;
            let stored = rows.into_iter().next().map(|mut row| row.text()).transpose()?;
            self.bucket = stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            (self.start, self.stored_at) = (start, now_ms);
        }
        let bucket = &mut self.bucket;
        bucket.requests = bucket.requests.saturating_add(happened.requests);
        bucket.refused = bucket.refused.saturating_add(happened.refused);
        bucket.failed = bucket.failed.saturating_add(happened.failed);
        for milliseconds in happened.times {
            bucket.times.add(*milliseconds);
        }
        if now_ms.saturating_sub(self.stored_at) >= STORE_MS {
            self.store(sql, now_ms)?;
        }
        Ok(())
    }

    fn store<S: Sql>(&mut self, sql: &S, now_ms: i64) -> Result<(), SqlError> {
        self.stored_at = now_ms;
        let body = serde_json::to_string(&self.bucket).unwrap_or_default();
        let text = "INSERT INTO activity (bucket, body) VALUES (?, ?)
            ON CONFLICT (bucket) DO UPDATE SET body = excluded.body";
        sql.query(text, &[self.start.into(), body.as_str().into()])?;
        Ok(())
    }

    /// The last 24 hours as JSON: the buckets in which something happened, in order.
    pub fn shown<S: Sql>(&self, sql: &S, now_ms: i64) -> Result<Value, SqlError> {
        let from = now_ms.saturating_sub(BUCKET_MS.saturating_mul(BUCKETS));
        let rows = sql.query(
            "SELECT bucket, body FROM activity WHERE bucket > ? AND bucket <> ? ORDER BY bucket",
            &[from.into(), self.start.into()],
        )?;
        let mut buckets = Vec::new();
        for mut row in rows {
            let start = row.integer()?;
            let bucket: Bucket = serde_json::from_str(&row.text()?).unwrap_or_default();
            buckets.push((start, bucket));
        }
        if self.start > from {
            buckets.push((self.start, self.bucket.clone()));
        }
        let shown: Vec<Value> = buckets
            .iter()
            .map(|(start, bucket)| {
                json!({
                    "at": start,
                    "requests": bucket.requests,
                    "refused": bucket.refused,
                    "failed": bucket.failed,
                    "millisecondsP50": bucket.times.percentile(50),
                    "millisecondsP95": bucket.times.percentile(95),
                })
            })
            .collect();
        Ok(json!({ "bucketSeconds": BUCKET_MS / 1000, "buckets": shown }))
    }
}
