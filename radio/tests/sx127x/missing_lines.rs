//! Modules whose RESET or DIO0 is not wired: settings say so, and nothing is reported as broken.

use super::barn::{BEGIN, Barn, listening, packet, start};
use radio::emulator::WiredLines;
use radio::lora::Modulation;
use radio::sx127x::{LineCheck, Settings, examine};
use radio::{Health, Radio};
use std::time::Duration;

#[tokio::test]
async fn a_module_without_lines_receives_everything_and_reports_nothing() {
    for wired in WiredLines::PARTIAL {
        let barn = Barn::new(1);
        let mut radio = start(barn.chip.board_with(wired), Modulation::default(), None);
        listening(&radio).await;
        for number in 0..40_u8 {
            barn.send_in(BEGIN + Duration::from_millis(150) * u32::from(number), &[number; 50]);
        }
        for number in 0..40_u8 {
            assert_eq!(packet(&mut radio).await.bytes, [number; 50]);
        }
        let counts = radio.counters().read();
        assert_eq!((counts.received, counts.rescued, counts.rebuilt), (40, 0, 0));
        assert!(radio.last_error().borrow().is_none() && *radio.health().borrow() == Health::Listening);
    }
}

#[test]
fn an_examination_does_not_try_lines_that_are_not_wired() {
    let settings = Settings::listening(Modulation::default());
    for wired in WiredLines::PARTIAL {
        let barn = Barn::new(1);
        let found = examine(&mut barn.chip.board_with(wired), &settings).unwrap();
        let check = |is_wired| if is_wired { LineCheck::Works } else { LineCheck::NotWired };
        assert_eq!((found.reset, found.dio0), (check(wired.reset), check(wired.dio0)));
    }
}
