// The same by keyboard alone: every stop of the focus can be seen, and what people come for is reached.

import { ensure, equal } from "../claims.mjs";
import { waitUntilApplied } from "../forms.mjs";
import { focusedElement } from "../in_page.mjs";
import { OWNER, PASSWORD } from "../visit.mjs";

/** Maximum number of stops from the top of a page to what is looked for. */
const MAX_STOPS = 150;

export async function run(walk, claim) {
  const { herd } = walk;
  await walk.prepare();
  const person = await walk.stranger();
  const { page } = person;
  const path = () => new URL(page.url()).pathname;

  await claim("the log-in", async () => {
    await person.startAt("/");
    await tabTo(person, /^name$/i);
    await person.type(OWNER);
    await tabTo(person, /^password$/i);
    await person.type(PASSWORD);
    await enter(person);
    equal("the page", path(), "/");
    return person.count;
  });
  await claim("the first stop skips to the content", async () => {
    await person.startAt("/");
    await person.press("Tab");
    ensure(/skip/i.test(await focusName(page)), `the first stop is "${await focusName(page)}"`);
    await person.press("Enter");
    equal("the address", new URL(page.url()).hash, "#main");
  });
  await claim("the search leads to an animal", async () => {
    await person.startAt("/");
    await tabTo(person, /last digits|tag|find/i, "input");
    await person.type(herd.of("24-119")[30].lf);
    await enter(person);
    ensure(/\/animals\/\d+$/.test(path()), page.url());
    return person.count;
  });
  await claim("a correction", async () => {
    await tabTo(person, /move to a pen/i, "summary");
    await person.press("Enter");
    await tabTo(person, /^pen$/i);
    await person.type("P25");
    await tabTo(person, /^reason$/i);
    await person.type("by keyboard");
    await enter(person);
    await waitUntilApplied(person);
    ensure((await person.text()).includes("by keyboard"), "the reason is not on the page");
    return person.count;
  });
  await claim("every stop of the focus on the first page and on an animal can be seen", async () => {
    const hidden = [];
    for (const start of ["/", path()]) {
      await person.startAt(start);
      const first = await nextStop(person);
      for (let stop = first, count = 0; count < MAX_STOPS; count += 1) {
        if (!stop.isVisible) hidden.push(`${start}: ${stop.name}`);
        stop = await nextStop(person);
        if (stop.isBody || stop.name === first.name) break;
      }
    }
    equal("stops that cannot be seen", hidden, []);
  });
  await claim("the log-out", async () => {
    await person.startAt("/");
    await tabTo(person, new RegExp(OWNER), "summary");
    await person.press("Enter");
    await tabTo(person, /^log out$/i, "button");
    await enter(person);
    await person.startAt("/");
    equal("the page", path(), "/login");
  });
}

/** Presses Tab until the focus is on an element with this name. */
async function tabTo(person, name, tag = "") {
  for (let stops = 0; stops < MAX_STOPS; stops += 1) {
    const stop = await nextStop(person);
    if (name.test(stop.name) && stop.tag.includes(tag)) return;
    if (stop.isBody) break;
  }
  throw new Error(`${MAX_STOPS} stops do not reach ${name} on ${person.page.url()}`);
}

async function nextStop(person) {
  await person.press("Tab");
  return person.page.evaluate(focusedElement);
}

async function focusName(page) {
  return (await page.evaluate(focusedElement)).name;
}

/** Presses Enter, and waits for the page that it leads to. */
async function enter(person) {
  await Promise.all([person.page.waitForEvent("load"), person.press("Enter")]);
}
