//! A RAK3172 at a pseudo terminal: its commands, its banner, and both forms of its reports.

use super::modem::{Modem, PortPath, fails_with, receive, wait_for_health};
use radio::serial::framing::Framing;
use radio::{Health, Radio, RadioCounters, Serial, SerialSettings};

const COMMANDS: [&str; 3] = ["AT+PRECV=0", "AT+P2P=915000000:7:125:0:8:14", "AT+PRECV=65534"];

fn modem_with_commands(port: &PortPath) -> (Modem, Serial) {
    let init = COMMANDS.iter().map(|command| (*command).to_owned()).collect();
    let settings = SerialSettings { init, ..port.settings(Framing::Rak, false) };
    (port.plug_in(), settings.open().unwrap())
}

/// Answers every command with `OK`, on a thread: reading blocks, and the radio writes meanwhile.
fn accept_all(mut modem: Modem) -> std::thread::JoinHandle<Modem> {
    std::thread::spawn(move || {
        for expected in COMMANDS {
            assert_eq!(modem.command(), expected);
            modem.write(b"OK\r\n");
        }
        modem
    })
}

async fn listening(radio: &mut Serial) {
    wait_for_health(radio, |health| *health == Health::Listening).await;
}

#[tokio::test]
async fn commands_are_sent_when_the_port_opens_when_the_modem_starts_and_when_it_stops_receiving() {
    let port = PortPath::new();
    let (modem, mut radio) = modem_with_commands(&port);
    let accepting = accept_all(modem);
    listening(&mut radio).await;
    let mut modem = accepting.join().unwrap();
    modem.write(b"+EVT:RXP2P RECEIVE TIMEOUT\r\n");
    wait_for_health(&mut radio, fails_with("stopped receiving")).await;
    let accepting = accept_all(modem);
    listening(&mut radio).await;
    let mut modem = accepting.join().unwrap();
    modem.write(b"RAKwireless RAK3172\r\nVersion:RUI_4.0.5\r\nCurrent Work Mode: LoRa P2P.\r\n");
    wait_for_health(&mut radio, |health| matches!(health, Health::Starting(_))).await;
    let accepting = accept_all(modem);
    listening(&mut radio).await;
    let mut modem = accepting.join().unwrap();
    modem.write(b"+EVT:RXP2P:-60:11:48656C6C6F\r\n");
    assert_eq!(receive(&mut radio).await.bytes, b"Hello");
    assert_eq!(radio.counters().read(), RadioCounters { received: 1, ..RadioCounters::default() });
}

#[tokio::test]
async fn both_forms_of_a_report_are_one_frame_each() {
    let port = PortPath::new();
    let (mut modem, mut radio) = (port.plug_in(), port.radio(Framing::Rak, false));
    modem.write(b"+EVT:RXP2P, RSSI -33, SNR 10\r\n+EVT:48454C4C4F\r\n+EVT:RXP2P:-60:11:4142\r\n");
    modem.write(b"+EVT:RXP2P, RSSI -121, SNR -7\r\n+EVT:00\r\n");
    for (payload, rssi_dbm, snr_quarter_db) in [(b"HELLO".as_slice(), -33, 40), (b"AB", -60, 44), (b"\x00", -121, -28)]
    {
        let packet = receive(&mut radio).await;
        let found = (packet.bytes.as_slice(), packet.rssi_dbm, packet.snr_quarter_db);
        assert_eq!(found, (payload, Some(rssi_dbm), Some(snr_quarter_db)));
    }
    assert_eq!(radio.counters().read(), RadioCounters { received: 3, ..RadioCounters::default() });
}

#[tokio::test]
async fn a_wrong_crc_on_the_air_counts_as_one_and_a_refused_command_is_named() {
    let port = PortPath::new();
    let (mut modem, mut radio) = modem_with_commands(&port);
    modem.write(b"+EVT:RXP2P RECEIVE ERROR\r\n+EVT:RXP2P_RECEIVE_ERROR\r\n+EVT:RXP2P:-60:11:4142\r\n");
    assert_eq!(receive(&mut radio).await.bytes, b"AB");
    let expected = RadioCounters { received: 1, crc_errors: 2, ..RadioCounters::default() };
    assert_eq!(radio.counters().read(), expected);
    let answering = std::thread::spawn(move || {
        assert_eq!(modem.command(), COMMANDS[0]);
        modem.write(b"AT_PARAM_ERROR\r\n");
        modem
    });
    wait_for_health(&mut radio, fails_with("refused `AT+PRECV=0` of `init` with AT_PARAM_ERROR")).await;
    let _modem = answering.join().unwrap();
}
