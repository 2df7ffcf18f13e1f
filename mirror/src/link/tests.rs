//! Claims about the link, against a real TLS server on loopback.
