//! Discovery (RFC 7644 §4, RFC 7643 §5 to §7): what this deployment does, told from the definitions
//! that do it.

use crate::endpoint::Kind;
use crate::schema::{Schema, Schemas};
use serde_json::{Value, json};

/// The message schema of lists.
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// What a deployment announces.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// Whether resources can be patched (RFC 7644 §3.5.2).
    pub patch: bool,
    /// Whether there are bulk requests (RFC 7644 §3.7).
    pub bulk: bool,
    /// Whether lists are filtered (RFC 7644 §3.4.2.2).
    pub filter: bool,
    /// Whether lists are sorted (RFC 7644 §3.4.2.3).
    pub sort: bool,
    /// Whether resources have versions (RFC 7644 §3.14).
    pub etag: bool,
    /// Whether lists are paged by cursor (RFC 9865).
    pub cursor: bool,
    /// The most operations of a bulk request.
    pub bulk_operations: usize,
    /// The longest bulk request, in bytes.
    pub bulk_bytes: usize,
    /// The most resources in one answer.
    pub max_results: usize,
    /// The page size where a client names none.
    pub default_page_size: usize,
}

/// `/ServiceProviderConfig` (RFC 7643 §5, RFC 9865 §4). `base` is the account's SCIM base.
pub fn service_provider_config(features: &Features, base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": features.patch },
        "bulk": {
            "supported": features.bulk,
            "maxOperations": features.bulk_operations,
            "maxPayloadSize": features.bulk_bytes,
        },
        "filter": { "supported": features.filter, "maxResults": features.max_results },
        "changePassword": { "supported": false },
        "sort": { "supported": features.sort },
        "etag": { "supported": features.etag },
        "pagination": {
            "cursor": features.cursor,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": features.default_page_size,
            "maxPageSize": features.max_results,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "A JWT of the account's identity provider, or a service account's key",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// `/ResourceTypes` (RFC 7643 §6).
pub fn resource_types(schemas: &Schemas, base: &str) -> Vec<Value> {
    Kind::ALL.into_iter().map(|kind| resource_type(kind, schemas, base)).collect()
}

fn resource_type(kind: Kind, schemas: &Schemas, base: &str) -> Value {
    let extensions: Vec<Value> = schemas
        .extensions(kind)
        .map(|extension| json!({ "schema": extension.id, "required": false }))
        .collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.name(),
        "name": kind.name(),
        "description": schemas.core(kind).description,
        "endpoint": format!("/{}", kind.segment()),
        "schema": schemas.core(kind).id,
        "schemaExtensions": extensions,
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base}/ResourceTypes/{}", kind.name()),
        },
    })
}

/// `/Schemas` (RFC 7643 §7).
pub fn schemas(schemas: &Schemas, base: &str) -> Vec<Value> {
    schemas.all().map(|schema| schema_resource(schema, base)).collect()
}

/// One schema as a resource.
pub fn schema_resource(schema: &Schema, base: &str) -> Value {
    let mut resource = schema.to_json();
    if let Some(members) = resource.as_object_mut() {
        let meta = json!({ "resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id) });
        members.insert("meta".into(), meta);
    }
    resource
}

/// A list that is whole.
pub fn list(resources: Vec<Value>) -> Value {
    json!({
        "schemas": [LIST_RESPONSE],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}
