//! HTTP/2 frames (RFC 9113) of a client that opens no window.

/// First bytes of a client.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Entries of HPACK's static table (RFC 7541, appendix A): whole headers with the top bit, and names without it.
const METHOD_GET: u8 = 0x82;
const SCHEME_HTTPS: u8 = 0x87;
const PATH: u8 = 4;
const AUTHORITY: u8 = 1;

/// Returns the beginning of a connection with `count` requests, whose answers have no room to be sent.
pub(crate) fn requests_with_zero_windows(path: &str, count: u32) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    let no_window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    frame(&mut bytes, SETTINGS, 0, 0, &no_window);
    frame(&mut bytes, SETTINGS, ACK, 0, &[]);
    let mut headers = vec![METHOD_GET, SCHEME_HTTPS];
    literal(&mut headers, PATH, path);
    literal(&mut headers, AUTHORITY, "localhost");
    // A client's streams have odd numbers.
    for stream in (0..count).map(|number| 2 * number + 1) {
        frame(&mut bytes, HEADERS, END_STREAM_AND_HEADERS, stream, &headers);
    }
    bytes
}

/// Appends a header whose name is an entry of the static table and whose value is not.
fn literal(to: &mut Vec<u8>, name: u8, value: &str) {
    to.push(name);
    // Lengths above 126 need more than one byte.
    to.push(u8::try_from(value.len()).ok().filter(|length| *length < 127).unwrap());
    to.extend_from_slice(value.as_bytes());
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}
