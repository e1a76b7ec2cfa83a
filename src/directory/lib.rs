//! A SCIM server and replica over any SQLite, without a host.
