// Paper and sheets: a lot to print on two sizes of paper, and files that spreadsheets and importers take.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensure, equal } from "../claims.mjs";
import { LARGE_LOT, TODAYS_LOT } from "../herd.mjs";

/** Most sheets of paper that a lot of 180 head may take. */
const MAX_SHEETS = 6;

/** What the browser's dialog leaves free on each side. */
const MARGIN = "1cm";

export async function run(walk, claim) {
  const { yard, herd, output } = walk;
  const person = await walk.owner();
  const { page } = person;
  const openLot = async (lot) => {
    const response = await person.startAt(`/lots/${lot}`);
    equal(`/lots/${lot}`, response.status(), 200);
  };

  for (const format of ["Letter", "A4"]) {
    await claim(`180 head print on at most ${MAX_SHEETS} sheets: ${format}`, async () => {
      await openLot(LARGE_LOT);
      const margin = { top: MARGIN, right: MARGIN, bottom: MARGIN, left: MARGIN };
      const pdf = await page.pdf({ format, margin, printBackground: false });
      writeFileSync(join(output, `lot-${format}.pdf`), pdf);
      const sheets = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
      ensure(sheets <= MAX_SHEETS, `it takes ${sheets} sheets`);
      return `${sheets} sheets`;
    });
  }
  await claim("paper has all head, repeated heads, totals and signatures, and no search box", async () => {
    await openLot(LARGE_LOT);
    await page.emulateMedia({ media: "print", colorScheme: "light" });
    const paper = await page.evaluate(() => {
      const isShown = (element) => element.checkVisibility() && element.getBoundingClientRect().height > 0;
      const shown = (selector) => [...document.querySelectorAll(selector)].filter(isShown).length;
      const clipped = (element) => {
        for (let part = element; part; part = part.parentElement) {
          if (getComputedStyle(part).overflowX === "auto") return true;
        }
        return false;
      };
      const table = document.querySelector("main table");
      return {
        head: shown("main tbody tr"),
        headsRepeat: getComputedStyle(table.tHead).display === "table-header-group" && !clipped(table),
        totals: shown("main tfoot tr"),
        controls: [...document.querySelectorAll("header, nav, [role=search], button, input:not([type=hidden]), #live")]
          .filter(isShown)
          .map((element) => element.outerHTML.slice(0, 60)),
      };
    });
    equal("paper", paper, { head: 180, headsRepeat: true, totals: 1, controls: [] });
    ensure((await page.locator("main").innerText()).match(/counted by|received by|signature/i), "there is no signature line");
  });
  await page.emulateMedia({ media: null, colorScheme: null });
  const places = {
    "a lot": `/lots/${TODAYS_LOT}`,
    "the list of animals": "/animals",
    "an animal": `/search?q=${herd.whole.lf}`,
    "what a search found": "/search?q=101",
  };
  for (const [place, path] of Object.entries(places)) {
    await claim(`a tag is copied as 15 digits from ${place}`, async () => {
      await person.startAt(path);
      const tag = await person.find(page.locator("main .eid, main .tag"));
      const copied = await tag.evaluate((element) => {
        getSelection().selectAllChildren(element);
        return getSelection().toString();
      });
      ensure(/^\d{15}$/.test(copied.trim()), `on ${page.url()} it is copied as "${copied}"`);
    });
  }
  await claim("the sheet of a lot is complete, and a spreadsheet keeps its ids as text", async () => {
    await openLot(LARGE_LOT);
    const { text } = await person.download(page.getByRole("link", { name: /CSV/ }));
    const lines = text.trimEnd().split(/\r?\n/);
    equal("lines", lines.length - 1, 180);
    for (const { lf } of herd.of(LARGE_LOT)) ensure(text.includes(lf), `${lf} is not in the sheet`);
    return lines[0];
  });
  await claim("importers get a plain sheet", async () => {
    const response = await page.request.get(`${yard.address}/animals.csv?lot=${LARGE_LOT}&form=plain`);
    equal("status", response.status(), 200);
    const text = await response.text();
    ensure(!text.includes('="'), "it has formulas");
    equal("lines", text.trimEnd().split(/\r?\n/).length - 1, 180);
  });
  await claim("the list of EIDs has 15 digits a line, and counts the head without one", async () => {
    const response = await page.request.get(`${yard.address}/animals/eids.txt?lot=${TODAYS_LOT}`);
    equal("status", response.status(), 200);
    const lines = (await response.text()).trimEnd().split(/\r?\n/);
    equal("lines that are no EID", lines.filter((line) => !/^\d{15}$/.test(line)), []);
    equal("EIDs", lines.length, herd.facts.headInToday - 1);
    equal("head without one", response.headers()["herdlinx-without-eid"], "1");
  });
}
