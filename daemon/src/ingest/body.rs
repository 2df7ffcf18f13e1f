//! Request bodies of the payload route: one payload, or an array.

use axum::extract::{FromRequest as _, Request};
use axum::http::StatusCode;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use service::door::reply::{ApiError, RawJson};
use std::fmt;

/// Maximum size of a body with one payload.
pub const MAX_SINGLE_BODY_BYTES: usize = 4 * 1024;
/// Maximum size of a body with an array of payloads.
pub const MAX_ARRAY_BODY_BYTES: usize = 512 * 1024;
/// Maximum length of an array.
pub const MAX_PAYLOADS: usize = crate::recorder::GROUP_PAYLOADS;

/// The payloads of a request.
#[derive(Debug)]
pub(super) enum Payloads {
    Single(String),
    Array(Vec<Item>),
}

/// An element of the array.
#[derive(Debug)]
pub(super) enum Item {
    Text(String),
    /// Any other JSON value. It is not kept, so that a body cannot grow in memory.
    NotText,
}

/// The JSON body. Other keys are ignored: readers in the field send extra keys of their makers.
#[derive(serde::Deserialize)]
struct Body {
    payload: Option<String>,
    payloads: Option<Items>,
}

#[derive(Default)]
struct Items {
    items: Vec<Item>,
    /// Number of all elements; those beyond [`MAX_PAYLOADS`] are only counted.
    count: usize,
}

/// Reads the body, and checks its form and its size.
pub(super) async fn read(request: Request) -> Result<Payloads, ApiError> {
    let RawJson { bytes, value: body } = RawJson::<Body>::from_request(request, &()).await?;
    match body {
        Body { payload: Some(_), payloads: Some(_) } => {
            Err(ApiError::bad_request("send either `payload` or `payloads`, not both"))
        }
        Body { payload: Some(_), .. } if bytes.len() > MAX_SINGLE_BODY_BYTES => {
            let message = format!("a body with one payload has at most {MAX_SINGLE_BODY_BYTES} bytes");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message))
        }
        Body { payload: Some(text), .. } => Ok(Payloads::Single(text)),
        Body { payloads: Some(Items { count, .. }), .. } if count > MAX_PAYLOADS => {
            let message = format!("{count} payloads are too many: send at most {MAX_PAYLOADS} in one call");
            Err(ApiError::bad_request(message))
        }
        Body { payloads: Some(Items { items, .. }), .. } => Ok(Payloads::Array(items)),
        Body { payload: None, payloads: None } => {
            Err(ApiError::bad_request("the body needs `payload`, a string, or `payloads`, an array of them"))
        }
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of payloads")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Items, A::Error> {
                let mut all = Items::default();
                while all.count < MAX_PAYLOADS {
                    let Some(item) = array.next_element()? else { return Ok(all) };
                    all.items.push(item);
                    all.count += 1;
                }
                while array.next_element::<IgnoredAny>()?.is_some() {
                    all.count += 1;
                }
                Ok(all)
            }
        }
        from.deserialize_seq(ItemsVisitor)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a payload")
            }
            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<Item, E> {
                Ok(Item::NotText)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Item, E> {
                Ok(Item::NotText)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
                Ok(Item::NotText)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
                Ok(Item::NotText)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
                Ok(Item::NotText)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Item, A::Error> {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Item::NotText)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Item::NotText)
            }
        }
        from.deserialize_any(ItemVisitor)
    }
}
