//! Modules whose RESET or DIO0 is not wired: settings say so, and nothing is reported as broken.

use super::barn::{BEGIN, Barn, listening, packet, start};
use radio::board::{Board, BoardError, EdgeLine, LineError, Wake, Wiring};
use radio::emulator::{Board02, Dio0, Faults, StuckLine};
use radio::lora::Modulation;
use radio::sx127x::{LineCheck, Settings, examine};
use radio::{Health, Radio};
use std::time::Duration;

/// A board with missing lines. The emulated lines are there, but dead.
struct BareBoard {
    board: Board02,
    has_reset: bool,
    has_dio0: bool,
}

/// A DIO0 that may be missing. Waits take the time of the emulated board.
struct BareDio0 {
    line: Dio0,
    is_wired: bool,
}

impl EdgeLine for BareDio0 {
    fn wait(&mut self, at_most: Duration) -> Result<Wake, LineError> {
        self.line.wait(at_most)
    }

    fn is_wired(&self) -> bool {
        self.is_wired
    }
}

impl Board for BareBoard {
    type Bus = <Board02 as Board>::Bus;
    type BusError = <Board02 as Board>::BusError;
    type Reset = <Board02 as Board>::Reset;
    type Dio0 = BareDio0;
    type Delay = <Board02 as Board>::Delay;

    fn connect(&mut self) -> Result<Wiring<Self>, BoardError> {
        let Wiring { bus, reset, dio0, delay } = self.board.connect()?;
        Ok(Wiring { bus, reset, dio0: BareDio0 { line: dio0, is_wired: self.has_dio0 }, delay })
    }

    fn has_reset(&self) -> bool {
        self.has_reset
    }
}

fn bare(barn: &Barn, has_reset: bool, has_dio0: bool) -> BareBoard {
    let stuck_dio0 = (!has_dio0).then_some(StuckLine::Low);
    barn.chip.set_faults(Faults { dead_reset: !has_reset, stuck_dio0, ..Faults::default() });
    BareBoard { board: barn.chip.board(), has_reset, has_dio0 }
}

#[tokio::test]
async fn a_module_without_lines_receives_everything_and_reports_nothing() {
    for (has_reset, has_dio0) in [(false, true), (true, false), (false, false)] {
        let barn = Barn::new(1);
        let mut radio = start(bare(&barn, has_reset, has_dio0), Modulation::default(), None);
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
    for (has_reset, has_dio0) in [(false, true), (true, false), (false, false)] {
        let barn = Barn::new(1);
        let found = examine(&mut bare(&barn, has_reset, has_dio0), &settings).unwrap();
        let check = |is_wired| if is_wired { LineCheck::Works } else { LineCheck::NotWired };
        assert_eq!((found.reset, found.dio0), (check(has_reset), check(has_dio0)));
    }
}
