//! What is asked of the gateway itself and concerns no account: whether it is there, its counters, its
//! documents.

use crate::environment::Environment;
use crate::http::{Request, Response, answer};
use crate::metrics;
use scim_edge_policy::route::ServiceRoute;
use serde_json::json;
use worker::{Result, Url};

/// The API of operators and administrators.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Where the metadata of a protected resource are: this, and the resource's own path (RFC 9728 §3.1).
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Answers.
pub(crate) async fn handle(
    request: &Request,
    environment: &Environment,
    route: &ServiceRoute,
) -> Result<Response> {
    if !matches!(request.method(), "GET" | "HEAD") {
        return text(405, "this path has the methods GET and HEAD\n", &[("allow", "GET, HEAD")]);
    }
    match route {
        ServiceRoute::Health => text(200, "ok\n", &[]),
        ServiceRoute::Ready if environment.is_ready().await => text(200, "ready\n", &[]),
        ServiceRoute::Ready => text(503, "not ready\n", &[("retry-after", "5")]),
        ServiceRoute::Metrics => {
            let headers = request.headers();
            let bearer = headers.get("authorization")?.unwrap_or_default();
            let bearer = bearer.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let key = headers.get("x-api-key")?.or_else(|| Some(bearer?.1.trim().to_owned()));
            if !key.is_some_and(|key| environment.is_root_key(&key)) {
                let challenge = [("www-authenticate", r#"Bearer realm="scim-edge""#)];
                return text(401, "the counters are shown to whoever has the root key\n", &challenge);
            }
            let headers = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
            answer(200, &headers, Some(metrics::text()))
        }
        ServiceRoute::OpenApi => {
            let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=300")];
            answer(200, &headers, Some(OPENAPI.to_owned()))
        }
        ServiceRoute::ProtectedResource(path) => {
            // The same for every account, whether it exists or not.
            let origin = request.origin();
            let body = json!({
                "resource": format!("{origin}{path}"),
                "resource_name": "SCIM 2.0",
                "bearer_methods_supported": ["header"],
                "resource_documentation": format!("{origin}/openapi.json"),
            });
            let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=300")];
            answer(200, &headers, Some(body.to_string()))
        }
    }
}

/// Where the metadata of an account's SCIM API are, for challenges (RFC 9728 §5.1).
pub(crate) fn metadata_url(base: &str) -> Option<String> {
    let url = Url::parse(base).ok()?;
    Some(format!("{}{METADATA}{}", url.origin().ascii_serialization(), url.path()))
}

fn text(status: u16, body: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let mut all = vec![("content-type", "text/plain; charset=utf-8")];
    all.extend_from_slice(headers);
    answer(status, &all, Some(body.to_owned()))
}
