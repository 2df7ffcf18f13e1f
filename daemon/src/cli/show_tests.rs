//! What `show` prints of a barn's store.

use crate::disk::DiskGauge;
use crate::worlds::World;
use herd::change::Origin;
use herd::clock::Clock as _;
use herd::decide::Rules;
use herd::position::Sequence;
use herd::show::{PageRequest, ShowError, ShowRequest, StatusFilter, print_table, show};
use herd::store::Incoming;

const FIRST: PageRequest = PageRequest { limit: 2, next: None };

async fn world() -> World {
    let world = World::new(Rules::default(), DiskGauge::plenty());
    for text in ["hxb:LOT1:LF1:UHF1", "hxb:LOT1:LF2:UHF2", "noise\u{1b}[2J", "hxb:LOT2:LF3:UHF3"] {
        let origin = Origin { channel: "gate".into(), reader_group: "main".into(), ..Origin::default() };
        let payload = Incoming { raw: text.into(), origin, at: world.clock.read() };
        world.recorder.record(payload).await.unwrap();
    }
    world
}

fn printed(world: &World, asked: &ShowRequest) -> String {
    let mut out = Vec::new();
    print_table(asked, &show(&world.reader, asked).unwrap(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_request_stands_beside_its_command_on_the_socket() {
    let text = r#"{"command":"show","what":"payloads","status":"error","limit":2,"next":7}"#;
    let page = PageRequest { limit: 2, next: Some(7) };
    let expected = ShowRequest::Payloads { status: Some(StatusFilter::Error), page };
    assert_eq!(serde_json::from_str::<ShowRequest>(text).unwrap(), expected);
    let text = r#"{"command":"show","what":"change","sequence":3}"#;
    assert_eq!(serde_json::from_str::<ShowRequest>(text).unwrap(), ShowRequest::Change { sequence: 3 });
    assert!(serde_json::from_str::<ShowRequest>(r#"{"what":"everything"}"#).is_err());
}

#[tokio::test]
async fn a_list_is_a_table_that_says_how_it_goes_on() {
    let world = world().await;
    let text = printed(&world, &ShowRequest::Batches(FIRST));
    assert_eq!(
        text,
        "ID  BATCH  SOURCE      CATTLE  MEMBERS  OPEN  UPDATED\n\
         5   LOT2   Barn (HXB)  1       1        yes   2024-01-15T10:35:20.000Z\n\
         2   LOT1   Barn (HXB)  2       2        yes   2024-01-15T10:35:20.000Z\n"
    );
    let text = printed(&world, &ShowRequest::Animals(FIRST));
    assert!(text.ends_with("More: --next 3\n"), "{text}");
    let rest = printed(&world, &ShowRequest::Animals(PageRequest { next: Some(3), ..FIRST }));
    assert!(rest.lines().nth(1).is_some_and(|line| line.starts_with("5   active  LF3  UHF3")), "{rest}");
}

/// Catches a payload off the air that clears the screen of whoever looks at it.
#[tokio::test]
async fn no_control_character_reaches_the_terminal() {
    let world = world().await;
    let error = ShowRequest::Payloads { status: Some(StatusFilter::Error), page: FIRST };
    for asked in [error, ShowRequest::Change { sequence: 4 }] {
        let text = printed(&world, &asked);
        assert!(text.contains("noise") && !text.contains('\u{1b}'), "{text:?}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_there_is_told_with_the_head() {
    let world = world().await;
    for sequence in [0, 6, u64::MAX] {
        let error = show(&world.reader, &ShowRequest::Change { sequence }).unwrap_err();
        assert!(matches!(error, ShowError::NoChange { head: Sequence(5), .. }), "{error}");
    }
    let page = PageRequest { limit: 1001, next: None };
    assert!(show(&world.reader, &ShowRequest::Batches(page)).is_err());
}
