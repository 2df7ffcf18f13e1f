// The pictures of the pages in docs/, made from the herd of the walk.

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { until } from "./wait.mjs";

const DESK = { width: 1200, height: 720 };
const PHONE = { width: 360, height: 700 };

/** Name, window, color scheme, and the way to the page. */
const PICTURES = [
  { name: "today", viewport: DESK, scheme: "light", open: (person) => person.startAt("/") },
  { name: "animal", viewport: DESK, scheme: "dark", open: openAnimal },
  { name: "today-phone", viewport: PHONE, scheme: "dark", open: (person) => person.startAt("/") },
  { name: "animals-phone", viewport: PHONE, scheme: "light", open: (person) => person.startAt("/animals") },
];

/** Most bytes of a picture: they are part of the repository. */
const MAX_BYTES = 120_000;

async function openAnimal(person, { herd }) {
  await person.startAt(`/search?q=${herd.of("24-118")[3].lf}`);
}

/** Takes the pictures, and returns true if all of them are small. */
export async function takePictures(walk, directory) {
  mkdirSync(directory, { recursive: true });
  let areSmall = true;
  for (const { name, viewport, scheme, open } of PICTURES) {
    const person = await walk.owner({ viewport, colorScheme: scheme, timezoneId: walk.calendar.zone });
    await open(person, walk);
    await until("the page is live", async () => /^live/i.test(await person.page.locator("#live .mark").first().innerText()));
    const path = join(directory, `${name}.png`);
    await person.page.screenshot({ path });
    const bytes = statSync(path).size;
    console.log(`${path}: ${bytes} bytes`);
    areSmall &&= bytes <= MAX_BYTES;
  }
  if (!areSmall) console.log(`a picture has more than ${MAX_BYTES} bytes`);
  await walk.closeWindows();
  return areSmall;
}
