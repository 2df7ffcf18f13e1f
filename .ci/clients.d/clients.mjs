// Calls a barn with Node's own fetch, undici and ws: clients.mjs ADDRESS INGEST_KEY READ_KEY.

import { Agent, request } from "undici";
import WebSocket from "ws";

const [address, ingest, read] = process.argv.slice(2);
const url = `https://${address}/api/lora/receive`;
const large = "x".repeat(3_000_000);

function expect(what, found, wanted) {
  if (found !== wanted) {
    console.error(`${what}: ${found} instead of ${wanted}`);
    process.exit(1);
  }
  console.log(`  ${what.padEnd(60)} ${found}`);
}

function send(key, body) {
  const headers = { "Content-Type": "application/json", "X-API-Key": key };
  return fetch(url, { method: "POST", headers, body });
}

expect("fetch: a payload", (await send(ingest, '{"payload":"hxb:JS:LF21:UHF21"}')).status, 201);
expect("fetch: a large body", (await (await send(ingest, large)).json()).error, "payload_too_large");
expect("fetch: a large body with a wrong key", (await (await send("hxb_no", large)).json()).error, "unauthorized");

const dispatcher = new Agent({ allowH2: true });
for (let attempt = 0; attempt < 20; attempt++) {
  const headers = { "content-type": "application/json", "x-api-key": "hxb_no" };
  const answer = await request(url, { method: "POST", headers, body: large, dispatcher });
  const { error } = await answer.body.json();
  if (error !== "unauthorized") expect("undici over HTTP/2", error, "unauthorized");
}
expect("undici over HTTP/2: twenty large bodies with a wrong key", "unauthorized", "unauthorized");

function closeCode(protocols, headers) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://${address}/api/events`, protocols, { headers });
    socket.on("message", () => socket.close(1000));
    socket.on("close", resolve);
    socket.on("error", reject);
  });
}

expect("ws: the close code", await closeCode([], { "X-API-Key": read }), 1000);
expect("ws: the key as a subprotocol", await closeCode(["herdlinx", read], {}), 1000);
process.exit(0);
