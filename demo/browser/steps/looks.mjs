// How every page looks: on a phone and a desk, light and dark, at 320 px, to a screen reader.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensure, equal } from "../claims.mjs";
import { crawl, fileName } from "../crawl.mjs";
import { NARROWEST_PX, SCHEMES, axeFaults } from "../faults.mjs";
import { TODAYS_LOT } from "../herd.mjs";
import { focusedElement, widths } from "../in_page.mjs";
import { PHONE } from "../visit.mjs";

const DESK = { width: 1280, height: 900 };
/** A desk at 400 %: as wide as the narrowest phone, and low. */
const ZOOMED = { width: NARROWEST_PX, height: 225 };
/** Pages that say that there is nothing. */
const MISSING = ["/search?q=no+such+tag", "/no/such/page"];

export async function run(walk, claim) {
  const person = await walk.owner();
  const found = [];
  rmSync(screenshots(walk), { recursive: true, force: true });
  mkdirSync(screenshots(walk), { recursive: true });

  await claim("every link leads to a page", async () => {
    const first = [...MISSING, `/batches/${TODAYS_LOT}`, "/search?q=101", "/payloads?status=error"];
    found.push(...(await crawl(person, first)));
    const wrong = found.filter(({ path, status }) => status !== (MISSING.includes(path) ? 404 : 200));
    equal("pages with another status", wrong, []);
    return `${found.length} pages`;
  });
  const paths = found.map(({ path }) => path);
  for (const [device, viewport] of Object.entries({ desk: DESK, phone: PHONE })) {
    await claim(`axe-core finds no fault on any page, light or dark: ${device}`, async () => {
      const faults = [];
      await visitAll(walk, { viewport }, paths, async (page, path) => {
        for (const scheme of SCHEMES) {
          await page.emulateMedia({ colorScheme: scheme });
          await page.screenshot({ path: screenshotPath(walk, path, viewport, scheme), fullPage: true });
          faults.push(...(await axeFaults(page, scheme)).map((fault) => `${scheme} ${path}: ${fault}`));
        }
      });
      equal("faults", summarize(faults), []);
      return `${paths.length} pages`;
    });
  }
  await claim("nothing overflows at 320 px, which is also a desk at 400 %", async () => {
    const wide = [];
    await visitAll(walk, { viewport: ZOOMED, deviceScaleFactor: 4 }, paths, async (page, path) => {
      const { beyond, cause } = await page.evaluate(widths);
      if (beyond > 0) wide.push(`${path}: by ${beyond} px, ${cause}`);
    });
    equal("pages that overflow", wide, []);
  });
  await claim("in forced colors, the focus can be seen on every page", async () => {
    await visitAll(walk, { forcedColors: "active", viewport: DESK }, paths, async (page, path) => {
      await page.keyboard.press("Tab");
      ensure((await page.evaluate(focusedElement)).isVisible, `the focus is invisible on ${path}`);
    });
  });
}

/** Opens each page in two windows: as the owner, and as somebody without a session. */
async function visitAll(walk, options, paths, visit) {
  const owner = await walk.owner(options);
  for (const path of paths) {
    await owner.startAt(path);
    await visit(owner.page, path);
  }
  const stranger = await walk.stranger(options);
  await stranger.startAt("/login");
  await visit(stranger.page, "/login");
  await owner.page.context().close();
  await stranger.page.context().close();
}

/** Keeps one page for each fault. */
function summarize(faults) {
  const rules = new Map();
  for (const fault of faults) {
    const [, rule] = fault.split(": ");
    if (!rules.has(rule)) rules.set(rule, fault);
  }
  return [...rules.values()];
}

function screenshots(walk) {
  return join(walk.output, "screenshots");
}

function screenshotPath(walk, path, { width }, scheme) {
  return join(screenshots(walk), `${fileName(path)}-${width}-${scheme}.png`);
}
