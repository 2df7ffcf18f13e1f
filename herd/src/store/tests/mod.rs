//! Claims about a store's files that need its private parts.

mod damage;
mod log_damage;
mod log_pages;
mod mending;
mod opening;
mod reads;
mod survey;
