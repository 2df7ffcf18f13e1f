// Keeps an open page current: the live line by a stream of events, and the figures by fetching the page again.
// The pages work without it. They then say as of when they are.
"use strict";

// The server sends a heartbeat every 5 s. Without one for this long, the page is not connected.
const SILENCE_MS = 12000;
// Time between two tries to open the stream anew. After a sleep, a browser may wait for a dead one for long.
const RETRY_MS = 10000;
// Minimum time between two fetches of the page.
const REFRESH_MS = 2000;

const line = document.getElementById("live");
const said = document.getElementById("said");

document.documentElement.classList.add("script");
document.querySelector("header nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// ---- Ages -------------------------------------------------------------------------------------------------------------

function inWords(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400).toLocaleString("en-US")} days ago`;
}

// Remembers when an age was zero, by this computer's clock.
function noteAges(within) {
  for (const age of within.querySelectorAll("[data-age]")) age.since = Date.now() - Number(age.dataset.age) * 1000;
}

function showAges() {
  for (const age of document.querySelectorAll("[data-age]")) {
    const text = inWords(Math.max(0, Math.floor((Date.now() - age.since) / 1000)));
    if (age.textContent !== text) age.textContent = text;
  }
}

noteAges(document);

// ---- The page again ---------------------------------------------------------------------------------------------------

let shownAsOf = line?.dataset.asOf;
let fetchedAt = Date.now();
// Time to the next fetch: the minimum, or what an office that is busy has asked for.
let restMs = REFRESH_MS;
let wanted = false;
let fetching = false;

// A page is left alone while somebody writes, reads what they unfolded, or marks text.
function isInUse(main) {
  const active = document.activeElement;
  if (main.contains(active) && active.matches("input, select, textarea")) return true;
  if (main.querySelector("details[open], dialog[open]")) return true;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && main.contains(selection.anchorNode)) return true;
  for (const field of main.querySelectorAll("input, textarea")) {
    if (field.type !== "hidden" && field.value !== field.defaultValue) return true;
  }
  return false;
}

async function refresh() {
  const main = document.getElementById("main");
  if (!wanted || fetching || document.hidden || Date.now() - fetchedAt < restMs || isInUse(main)) return;
  wanted = false;
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.redirected) return location.reload();
    if (!answer.ok) {
      // The office is starting, or busy: nothing else may come that asks again. 501 stays as it is.
      if (answer.status >= 500 && answer.status !== 501) wanted = true;
      restMs = Math.max(REFRESH_MS, Number(answer.headers.get("Retry-After")) * 1000 || 0);
      return;
    }
    restMs = REFRESH_MS;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("main");
    if (!next || isInUse(main)) { wanted = true; return; }
    const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    main.replaceWith(document.adoptNode(next));
    noteAges(next);
    document.title = page.title;
    if (focused !== null) next.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  } catch {
    wanted = true;
  } finally {
    fetching = false;
    fetchedAt = Date.now();
  }
}

// ---- The live line ----------------------------------------------------------------------------------------------------

let stream = null;
let heardAt = Date.now();
let askedAt = 0;
let isCut = false;

function say(text) {
  if (said && said.textContent !== text) said.textContent = text;
}

// Formats a time as the office does, in its zone. A browser may not know the zone.
function clockTime(at) {
  try {
    return new Date(at).toLocaleTimeString("en-GB", { timeZone: line.dataset.zone });
  } catch {
    return new Date(at).toLocaleTimeString("en-GB");
  }
}

function cut(why) {
  if (!line || isCut) return;
  isCut = true;
  const mark = line.querySelector(".mark");
  const time = clockTime(heardAt);
  if (mark) {
    mark.className = "mark cut";
    mark.textContent = `${why} since ${time}`;
  }
  say(`${why} since ${time}`);
}

function showLine(html) {
  const focused = line.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  line.innerHTML = html;
  noteAges(line);
  if (focused !== null) line.querySelector("a")?.focus({ preventScroll: true });
  say(line.querySelector(".mark")?.textContent ?? "");
}

function heard(asOf) {
  heardAt = Date.now();
  if (asOf === shownAsOf) return;
  shownAsOf = asOf;
  if (document.getElementById("main").hasAttribute("data-live")) wanted = true;
}

function connect() {
  stream?.close();
  askedAt = Date.now();
  stream = new EventSource(line.dataset.stream);
  stream.addEventListener("line", (event) => {
    isCut = false;
    showLine(event.data);
    heard(event.lastEventId);
    refresh();
  });
  stream.addEventListener("heartbeat", (event) => {
    // After a cut, the line is shown anew by a new stream.
    if (isCut) return connect();
    heard(event.data);
  });
  stream.addEventListener("end", (event) => {
    stream.close();
    cut(event.data === "logged_out" ? "Logged out" : "Not connected");
    // The log-in page leads back here.
    if (event.data === "logged_out" && !isInUse(document.getElementById("main"))) location.reload();
  });
  stream.addEventListener("error", () => cut("Not connected"));
}

function tick() {
  const now = Date.now();
  showAges();
  const every = Number(document.getElementById("main").dataset.every) * 1000;
  if (every && now - fetchedAt > every) wanted = true;
  refresh();
  if (!line) return;
  if (now - heardAt > SILENCE_MS) cut("Not connected");
  if (isCut && now - askedAt > RETRY_MS) connect();
}

if (line) {
  connect();
  // A page that comes back from the browser's memory is as old as it was.
  window.addEventListener("pageshow", (event) => { if (event.persisted) { cut("Not connected"); connect(); } });
  document.addEventListener("visibilitychange", tick);
}
setInterval(tick, 1000);
