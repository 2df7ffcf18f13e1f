//! A chip made of software, register by register, and the air between several of them.
