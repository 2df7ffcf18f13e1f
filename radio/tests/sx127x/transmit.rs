//! Transmitting: off by default, received by another chip, bounded in time, and back to listening whatever the outcome.

use super::barn::{BEGIN, Barn, PATIENCE, failing, listening, packet, start};
use radio::Radio;
use radio::emulator::{DeadBus, Faults, Register};
use radio::lora::{AirTimeBudget, AirTimeError, Bandwidth, Limit, Modulation};
use radio::sx127x::{Settings, StartError, Sx127x, TransmitError, TransmitSettings};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn a_radio_transmits_only_if_its_settings_allow_it() {
    let barn = Barn::new(1);
    let radio = barn.radio(Modulation::default());
    listening(&radio).await;
    assert_eq!(radio.transmitter().transmit(b"no").await, Err(TransmitError::Off));
}

#[tokio::test]
async fn a_transmission_is_received_whole_at_the_configured_power() {
    for bandwidth in [Bandwidth::Khz125, Bandwidth::Khz41_7, Bandwidth::Khz500] {
        let barn = Barn::new(1);
        let modulation = Modulation { bandwidth, ..Modulation::default() };
        let neighbor = barn.air.chip("neighbor");
        let mut listener = start(neighbor.board(), modulation, None);
        let radio = start(barn.chip.board(), modulation, Some(TransmitSettings { power_dbm: 14 }));
        listening(&radio).await;
        listening(&listener).await;
        for length in [1, 128, 129, 255] {
            let payload: Vec<u8> = (1..=length).collect();
            radio.transmitter().transmit(&payload).await.unwrap();
            let received = packet(&mut listener).await;
            assert_eq!(received.bytes, payload);
            // 14 dBm less a path loss of 90 dB.
            let strength_dbm = received.rssi_dbm.unwrap();
            assert!((-77..=-75).contains(&strength_dbm), "{strength_dbm} dBm");
        }
    }
}

#[tokio::test]
async fn a_radio_receives_again_after_a_transmission() {
    let barn = Barn::new(1);
    let mut radio = barn.transmitting_radio();
    listening(&radio).await;
    for round in 0..5_u8 {
        radio.transmitter().transmit(b"to whom it may concern").await.unwrap();
        barn.send_in(BEGIN, &[round; 30]);
        assert_eq!(packet(&mut radio).await.bytes, [round; 30]);
    }
    assert_eq!(radio.counters().read().rebuilt, 0);
}

#[tokio::test]
async fn a_transmission_that_never_finishes_is_an_error_and_the_radio_receives_again() {
    let barn = Barn::new(1);
    let mut radio = barn.transmitting_radio();
    listening(&radio).await;
    barn.chip.set_faults(Faults { no_tx_done: true, ..Faults::default() });
    let outcome = timeout(PATIENCE, radio.transmitter().transmit(b"stuck")).await.expect("the call returns");
    // 5 bytes take 30.9 ms on the air, plus a leeway of 100 ms.
    assert_eq!(outcome, Err(TransmitError::TimedOut { within_ms: 130 }));
    barn.send_in(BEGIN, b"after all");
    assert_eq!(packet(&mut radio).await.bytes, b"after all");
}

#[tokio::test]
async fn a_request_to_a_failing_chip_is_answered() {
    let barn = Barn::new(1);
    let radio = barn.transmitting_radio();
    listening(&radio).await;
    barn.chip.set_faults(Faults { dead_bus: Some(DeadBus::Ones), ..Faults::default() });
    let transmitter = radio.transmitter();
    let outcome = timeout(PATIENCE, transmitter.transmit(b"hello?")).await.expect("the request is answered");
    assert!(matches!(outcome, Err(TransmitError::NotListening(_))), "{outcome:?}");
    failing(&radio).await;
    let outcome = timeout(PATIENCE, transmitter.transmit(b"still?")).await.expect("the request is answered");
    assert!(matches!(outcome, Err(TransmitError::NotListening(_))), "{outcome:?}");
    drop(radio);
    assert_eq!(transmitter.transmit(b"anyone?").await, Err(TransmitError::Ended));
}

#[tokio::test]
async fn impossible_lengths_and_powers_are_refused() {
    let barn = Barn::new(1);
    let transmitter = barn.transmitting_radio().transmitter();
    for bytes in [0, 256] {
        assert_eq!(transmitter.transmit(&vec![0; bytes]).await, Err(TransmitError::Length { bytes }));
    }
    for power_dbm in [0, 1, 18, 19, 21, 255] {
        let transmit = Some(TransmitSettings { power_dbm });
        let settings = Settings { transmit, ..Settings::listening(Modulation::default()) };
        let refused = Sx127x::start("strong", barn.chip.board(), settings);
        assert!(matches!(refused, Err(StartError::Power { .. })), "{power_dbm} dBm");
    }
}

#[tokio::test]
async fn requests_beyond_the_queue_are_refused_at_once() {
    let barn = Barn::new(1);
    let radio = barn.transmitting_radio();
    listening(&radio).await;
    let transmitter = radio.transmitter();
    let requests: Vec<_> = (0..40_u8)
        .map(|number| {
            let transmitter = transmitter.clone();
            tokio::spawn(async move { transmitter.transmit(&[number; 200]).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for request in requests {
        outcomes.push(timeout(PATIENCE, request).await.expect("the request is answered").unwrap());
    }
    assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(TransmitError::Busy)), "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(TransmitError::Busy))), "{outcomes:?}");
    assert!(radio.last_error().borrow().is_none());
}

#[tokio::test]
async fn air_time_beyond_the_budget_is_refused_and_the_rest_is_reported() {
    let barn = Barn::new(1);
    let modulation = Modulation::default();
    let settings = Settings { transmit: Some(TransmitSettings { power_dbm: 14 }), ..Settings::listening(modulation) };
    // Room for two packets of 50 bytes but not for three. The window is longer than this test, so nothing is regained.
    let allowed = modulation.air_time(50) * 5 / 2;
    let limit = Limit { allowed, window: Duration::from_secs(3_600), law: "a test" };
    let budget = AirTimeBudget::new(vec![limit]);
    let radio = Sx127x::start_with_budget("within a budget", barn.chip.board(), settings, budget).unwrap();
    listening(&radio).await;
    let transmitter = radio.transmitter();
    assert_eq!(transmitter.air_time_left().unwrap().air_time, allowed);
    let mut sent = 0;
    let refused = loop {
        assert!(sent < 3, "the budget has no effect");
        match transmitter.transmit(&[1; 50]).await {
            Ok(()) => sent += 1,
            // The air of this test runs faster than the clock of the budget.
            Err(TransmitError::AirTime(AirTimeError::Wait { wait, .. })) if wait < Duration::from_secs(1) => {
                tokio::time::sleep(wait).await;
            }
            outcome => break outcome,
        }
    };
    assert_eq!(sent, 2);
    assert!(matches!(refused, Err(TransmitError::AirTime(AirTimeError::Wait { law: "a test", .. }))), "{refused:?}");
    assert!(transmitter.air_time_left().unwrap().air_time < modulation.air_time(50));
    assert_eq!(barn.chip.register(Register::OpMode) & 0x87, 0x85);
}
