//! Claims about the grammar as a whole; what concerns one type stands beside it.
