//! JWS signatures checked by jwt-simple, for hosts without WebCrypto.
