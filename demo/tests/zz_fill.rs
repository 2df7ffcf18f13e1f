//! tmp
#![allow(clippy::unwrap_used)]
#[test]
fn fill() {
    let dir = std::env::var("FILL_DIR").unwrap();
    let mut store = demo::bench::store::source(std::path::Path::new(&dir)).unwrap();
    demo::bench::store::fill(&mut store, 11, 999_999, demo::bench::Budget::of(std::time::Duration::from_secs(900)))
        .unwrap();
    let of = store.reader().snapshot().unwrap();
    println!("{:?}", of.totals().unwrap());
}
