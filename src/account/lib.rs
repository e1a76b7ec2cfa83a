//! An account: settings, service accounts, roles and API keys, without a host.
