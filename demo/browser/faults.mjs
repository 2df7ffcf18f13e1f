// What a page must not do on any window: break a rule of axe-core, or overflow.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { equal } from "./claims.mjs";
import { widths } from "./in_page.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const SCHEMES = ["light", "dark"];
/** Rules of axe-core that depend on colors. */
const COLOR_RULES = ["color-contrast", "link-in-text-block"];
/** Width of the narrowest phone, and of a desk at 400 %. */
export const NARROWEST_PX = 320;

/** Returns the violations of all rules of axe-core, in a line each. Dark pages differ from light ones in their colors only. */
export async function axeFaults(page, scheme) {
  await page.evaluate(AXE);
  const options = { resultTypes: ["violations"], ...(scheme === "dark" ? { runOnly: COLOR_RULES } : {}) };
  const { violations } = await page.evaluate((options) => window.axe.run(document, options), options);
  return violations.map(({ id, nodes }) => `${id} (${nodes.length}): ${nodes[0].target.join(" ")}`);
}

/** Claims of the page that is open, which no link leads to, that it has no faults. Its window stays as it was. */
export async function hasNoFaults(person) {
  const { page } = person;
  const [window, faults] = [page.viewportSize(), []];
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme });
    faults.push(...(await axeFaults(page, scheme)).map((fault) => `${scheme}: ${fault}`));
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ ...window, width: NARROWEST_PX });
  const { beyond, cause } = await page.evaluate(widths);
  if (beyond > 0) faults.push(`overflows by ${beyond} px, ${cause}`);
  await page.setViewportSize(window);
  equal(`faults of ${new URL(page.url()).pathname}`, faults, []);
}
