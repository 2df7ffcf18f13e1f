// Opens an event stream, closes it after the first message, and prints the close code: events.mjs URL READ_KEY.

import WebSocket from "ws";

const [url, key] = process.argv.slice(2);
const socket = new WebSocket(url, { headers: { "X-API-Key": key } });
socket.on("message", () => socket.close(1000));
socket.on("close", (code) => {
  console.log(`closed ${code}`);
  process.exit(0);
});
socket.on("error", (error) => {
  console.log(String(error));
  process.exit(1);
});
