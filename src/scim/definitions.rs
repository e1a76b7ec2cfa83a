//! The schemas of RFC 7643 §4 and §8.7, and the attributes common to all resources (§3.1).
//!
//! Beyond the RFC: `primary` in `addresses` and `display` in `members`, which §2.4 allows for every
//! multi-valued attribute and every client sends.

use crate::schema::{Attribute, Mutability, Returned, Schema, Type, Uniqueness};

/// URN of the core user schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the core group schema.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the enterprise user extension.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn attribute(name: &str, kind: Type, description: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind,
        multi_valued: false,
        description: description.to_owned(),
        required: false,
        canonical_values: Vec::new(),
        case_exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        reference_types: Vec::new(),
        sub_attributes: Vec::new(),
    }
}

fn string(name: &str, description: &str) -> Attribute {
    attribute(name, Type::String, description)
}

fn reference(name: &str, to: &[&str], description: &str) -> Attribute {
    let reference_types = to.iter().map(|&name| name.to_owned()).collect();
    Attribute { case_exact: true, reference_types, ..attribute(name, Type::Reference, description) }
}

fn complex(name: &str, description: &str, sub_attributes: Vec<Attribute>) -> Attribute {
    Attribute { sub_attributes, ..attribute(name, Type::Complex, description) }
}

fn canonical(values: &[&str], attribute: Attribute) -> Attribute {
    Attribute { canonical_values: values.iter().map(|&value| value.to_owned()).collect(), ..attribute }
}

fn with(mutability: Mutability, attribute: Attribute) -> Attribute {
    Attribute { mutability, ..attribute }
}

/// A multi-valued attribute with RFC 7643 §2.4's sub-attributes around the given `value`.
fn plural(name: &str, description: &str, value: Attribute, types: &[&str]) -> Attribute {
    let sub_attributes = vec![
        value,
        string("display", "What people are shown"),
        canonical(types, string("type", "What the value is for")),
        attribute("primary", Type::Boolean, "Whether this is the preferred value; at most one is"),
    ];
    Attribute { multi_valued: true, ..complex(name, description, sub_attributes) }
}

/// The attributes that every resource has.
pub(crate) fn common() -> Vec<Attribute> {
    let read_only = |attribute| with(Mutability::ReadOnly, attribute);
    let exact = |attribute| Attribute { case_exact: true, ..attribute };
    vec![
        Attribute {
            multi_valued: true,
            required: true,
            case_exact: false,
            returned: Returned::Always,
            ..reference("schemas", &["uri"], "The URNs of the schemas that the resource has attributes of")
        },
        Attribute {
            returned: Returned::Always,
            uniqueness: Uniqueness::Server,
            ..read_only(exact(string("id", "The resource's identifier, given by the server")))
        },
        exact(string("externalId", "The resource's identifier, given by the client")),
        read_only(complex(
            "meta",
            "What the server knows of the resource",
            vec![
                read_only(exact(string("resourceType", "The name of its resource type"))),
                read_only(attribute("created", Type::DateTime, "When it was created")),
                read_only(attribute("lastModified", Type::DateTime, "When it was last changed")),
                read_only(reference("location", &["uri"], "Its URL")),
                read_only(exact(string("version", "Its ETag"))),
            ],
        )),
    ]
}

/// The core user schema.
pub(crate) fn user() -> Schema {
    let read_only = |attribute| with(Mutability::ReadOnly, attribute);
    let value = |description| string("value", description);
    Schema {
        id: USER.to_owned(),
        name: "User".to_owned(),
        description: "User Account".to_owned(),
        attributes: vec![
            Attribute {
                required: true,
                uniqueness: Uniqueness::Server,
                ..string("userName", "The name that the user signs in with")
            },
            complex(
                "name",
                "The parts of the user's name",
                vec![
                    string("formatted", "The whole name, as shown"),
                    string("familyName", "The family name"),
                    string("givenName", "The given name"),
                    string("middleName", "The middle names"),
                    string("honorificPrefix", "What stands before the name"),
                    string("honorificSuffix", "What stands behind the name"),
                ],
            ),
            string("displayName", "What people are shown"),
            string("nickName", "What the user is called"),
            reference("profileUrl", &["external"], "A page about the user"),
            string("title", "The user's title in the organisation"),
            string("userType", "The user's relation to the organisation"),
            string("preferredLanguage", "The languages the user prefers, as in Accept-Language"),
            string("locale", "Where the user is, for formats of dates and numbers"),
            string("timezone", "The user's time zone, as in the IANA database"),
            attribute("active", Type::Boolean, "Whether the user may sign in"),
            Attribute {
                returned: Returned::Never,
                ..with(Mutability::WriteOnly, string("password", "Accepted and not kept"))
            },
            plural("emails", "E-mail addresses", value("The address"), &["work", "home", "other"]),
            plural(
                "phoneNumbers",
                "Telephone numbers",
                value("The number"),
                &["work", "home", "mobile", "fax", "pager", "other"],
            ),
            plural(
                "ims",
                "Instant messaging addresses",
                value("The address"),
                &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"],
            ),
            plural(
                "photos",
                "Pictures",
                reference("value", &["external"], "The picture's URL"),
                &["photo", "thumbnail"],
            ),
            Attribute {
                multi_valued: true,
                ..complex(
                    "addresses",
                    "Postal addresses",
                    vec![
                        string("formatted", "The whole address, as written on a letter"),
                        string("streetAddress", "Street and house"),
                        string("locality", "City"),
                        string("region", "State or region"),
                        string("postalCode", "Postal code"),
                        string("country", "Country, as in ISO 3166-1 alpha-2"),
                        canonical(&["work", "home", "other"], string("type", "What the address is for")),
                        attribute(
                            "primary",
                            Type::Boolean,
                            "Whether this is the preferred address; at most one is",
                        ),
                    ],
                )
            },
            Attribute {
                multi_valued: true,
                ..read_only(complex(
                    "groups",
                    "The groups that the user is in",
                    vec![
                        read_only(Attribute { case_exact: true, ..string("value", "The group's id") }),
                        read_only(reference("$ref", &["Group"], "The group's URL")),
                        read_only(string("display", "The group's name")),
                        read_only(canonical(
                            &["direct", "indirect"],
                            string("type", "Whether by itself or by a group"),
                        )),
                    ],
                ))
            },
            plural("entitlements", "What the user is entitled to", value("The entitlement"), &[]),
            plural("roles", "The user's roles", value("The role"), &[]),
            plural(
                "x509Certificates",
                "Certificates of the user",
                Attribute {
                    case_exact: true,
                    ..attribute("value", Type::Binary, "A certificate, DER in base64")
                },
                &[],
            ),
        ],
    }
}

/// The enterprise user extension.
pub(crate) fn enterprise_user() -> Schema {
    Schema {
        id: ENTERPRISE_USER.to_owned(),
        name: "EnterpriseUser".to_owned(),
        description: "Enterprise User".to_owned(),
        attributes: vec![
            string("employeeNumber", "What the organisation numbers the user by"),
            string("costCenter", "The cost centre"),
            string("organization", "The organisation"),
            string("division", "The division"),
            string("department", "The department"),
            complex(
                "manager",
                "The user's manager",
                vec![
                    Attribute { case_exact: true, ..string("value", "The manager's id") },
                    reference("$ref", &["User"], "The manager's URL"),
                    with(Mutability::ReadOnly, string("displayName", "The manager's name")),
                ],
            ),
        ],
    }
}

/// The core group schema.
pub(crate) fn group() -> Schema {
    let immutable = |attribute| with(Mutability::Immutable, attribute);
    Schema {
        id: GROUP.to_owned(),
        name: "Group".to_owned(),
        description: "Group".to_owned(),
        attributes: vec![
            Attribute { required: true, ..string("displayName", "The group's name") },
            Attribute {
                multi_valued: true,
                ..complex(
                    "members",
                    "The users and groups that are in the group",
                    vec![
                        immutable(Attribute { case_exact: true, ..string("value", "The member's id") }),
                        immutable(reference("$ref", &["User", "Group"], "The member's URL")),
                        immutable(string("display", "The member's name")),
                        immutable(canonical(
                            &["User", "Group"],
                            string("type", "The member's resource type"),
                        )),
                    ],
                )
            },
        ],
    }
}
