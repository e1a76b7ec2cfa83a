//! Who may do what: tokens, keys, trust rules and permissions, without a host.
