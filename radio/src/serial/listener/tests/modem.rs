//! The commands of a modem: sent, accepted, refused, and sent again.

use super::*;
use tokio::io::{AsyncBufReadExt as _, BufReader};

const COMMANDS: [&str; 3] = ["AT+PRECV=0", "AT+P2P=915000000:7:125:0:8:14", "AT+PRECV=65534"];

/// Returns the next command that the modem reads.
async fn command(modem: &mut BufReader<DuplexStream>) -> String {
    let mut line = String::new();
    timeout(LONG, modem.read_line(&mut line)).await.expect("no command came").unwrap();
    line
}

/// Accepts every command, and checks that the radio listens only after the last one.
async fn accept_all(modem: &mut BufReader<DuplexStream>, bench: &mut Bench) {
    for expected in COMMANDS {
        assert_eq!(command(modem).await, format!("{expected}\r\n"));
        assert_ne!(*bench.health.borrow(), Health::Listening, "{expected}");
        send(modem.get_mut(), b"\r\nOK\r\n").await;
    }
    bench.wait_for(|health| *health == Health::Listening).await;
}

#[tokio::test(start_paused = true)]
async fn a_modem_is_set_up_when_the_port_opens_when_it_starts_and_when_it_stops_receiving() {
    let (far, near) = line();
    let mut bench = Bench::with(Framing::Rak, SILENCE, &COMMANDS, [near]);
    let mut modem = BufReader::new(far);
    accept_all(&mut modem, &mut bench).await;

    let banner = b"RAKwireless RAK3172\r\nVersion:RUI_4.0.5\r\nCurrent Work Mode: LoRa P2P.\r\n";
    send(modem.get_mut(), banner).await;
    accept_all(&mut modem, &mut bench).await;

    send(modem.get_mut(), b"+EVT:RXP2P RECEIVE TIMEOUT\r\n").await;
    bench.wait_for(fails_with("stopped receiving")).await;
    accept_all(&mut modem, &mut bench).await;
    send(modem.get_mut(), b"+EVT:RXP2P:-60:11:48\r\n").await;
    assert_eq!(bench.payload().await, b"H");
    assert_eq!(bench.counts(), RadioCounters::default());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_refused_or_not_answered_is_named_and_sent_again() {
    for (answer, named) in [
        (b"AT_PARAM_ERROR\r\n".as_slice(), "refused `AT+PRECV=0` of `init` with AT_PARAM_ERROR"),
        (b"AT_BUSY_ERROR\r\n", "with AT_BUSY_ERROR"),
        (b"", "did not answer `AT+PRECV=0`"),
    ] {
        let (far, near) = line();
        let mut bench = Bench::with(Framing::Rak, SILENCE, &COMMANDS, [near]);
        let mut modem = BufReader::new(far);
        command(&mut modem).await;
        send(modem.get_mut(), answer).await;
        bench.wait_for(fails_with(named)).await;
        send(modem.get_mut(), b"+EVT:RXP2P:-60:11:48\r\n").await;
        assert_eq!(bench.payload().await, b"H", "packets are delivered meanwhile");
        accept_all(&mut modem, &mut bench).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_modem_that_stops_receiving_without_commands_is_reported_until_a_packet_comes() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Rak, [near]);
    send(&mut far, b"+EVT:RXP2P RECEIVE TIMEOUT\r\n").await;
    bench.wait_for(fails_with("`init = [\"AT+PRECV=65534\"]`")).await;
    send(&mut far, b"+EVT:RXP2P, RSSI -33, SNR 10\r\n+EVT:48454C4C4F\r\n").await;
    assert_eq!(bench.payload().await, b"HELLO");
    bench.wait_for(|health| *health == Health::Listening).await;
    send(&mut far, b"+EVT:RXP2P RECEIVE ERROR\r\n+EVT:RXP2P:-60:11:48\r\n").await;
    assert_eq!(bench.payload().await, b"H");
    assert_eq!(bench.counts(), RadioCounters { crc_errors: 1, ..RadioCounters::default() });
}
