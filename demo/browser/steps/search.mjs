// The search box: eight ways of writing one animal, and texts with several meanings.

import { ensure, equal } from "../claims.mjs";
import { TODAYS_LOT } from "../herd.mjs";

/** Returns ways of writing an animal, each with its kind. Each of them means this animal alone. */
function spellings({ lf, epc, visual }) {
  const grouped = [lf.slice(0, 3), lf.slice(3, 6), lf.slice(6, 9), lf.slice(9)];
  return [
    ["15 digits", lf],
    ["with blanks", grouped.join(" ")],
    ["with hyphens", grouped.join("-")],
    ["with dots", grouped.join(".")],
    ["with a leading 0", `0${lf}`],
    ["the last 6 digits", lf.slice(-6)],
    ["the last 4 digits", lf.slice(-4)],
    ["the visual tag", visual],
    ["the visual tag in small letters", visual.toLowerCase()],
    ["the EPC", epc],
    ["the tail of the EPC", epc.slice(-6)],
  ];
}

/** Returns the number of the animal with this lid: each makes three changes, and the first change is not of an animal. */
function idOfLid(lid) {
  return 3 * (lid - 1) + 2;
}

export async function run(walk, claim) {
  const { whole } = walk.herd;
  const person = await walk.owner();
  const { page } = person;
  for (const [kind, text] of spellings(whole)) {
    await claim(`${kind} leads to the animal`, async () => {
      await person.startAt("/");
      await person.search(text);
      ensure(/\/animals\/\d+$/.test(new URL(page.url()).pathname), `"${text}" leads to ${page.url()}`);
      ensure((await person.text()).includes(whole.epc), `"${text}" leads to another animal: ${page.url()}`);
      return `"${text}", ${person.count}`;
    });
  }
  await claim("a lot leads to its page, or is listed with it", async () => {
    await person.startAt("/");
    await person.search(TODAYS_LOT);
    ensure((await person.text()).includes(TODAYS_LOT), `${TODAYS_LOT} is not on ${page.url()}`);
  });
  await claim("a text with several meanings lists all of them", async () => {
    await person.startAt("/");
    // The lid of an animal in the second lot, and the number of one in the first.
    await person.search("101");
    const links = await page.locator("main a[href*='/animals/']").evaluateAll((all) => all.map((link) => link.pathname));
    ensure(new Set(links).size >= 2, `"101" leads to ${page.url()}, with ${links.length} animals`);
    ensure(links.some((path) => path.endsWith("/101")), `animal 101 is not among ${links.join(" ")}`);
    ensure(links.some((path) => path.endsWith(`/${idOfLid(101)}`)), `the animal with lid 101 is not among ${links.join(" ")}`);
  });
  await claim("a text without a meaning says so", async () => {
    await person.startAt("/");
    await person.search("no such tag");
    equal("the field still has it", await page.getByRole("searchbox").inputValue(), "no such tag");
  });
}
