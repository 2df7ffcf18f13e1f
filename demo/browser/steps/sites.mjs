// Two barns at one office: both in one list, and the links of before go on working.

import { ensure, equal } from "../claims.mjs";
import { hasNoFaults } from "../faults.mjs";
import { LATER_MS, until } from "../wait.mjs";

/** Name of the second barn at the office. */
const SECOND = "south-yard";

export async function run(walk, claim) {
  const { yard, herd, calendar } = walk;
  const person = await walk.owner();
  const { page } = person;
  const { lf, epc } = herd.of("24-119")[1];
  let old;

  await claim("with a second barn, the first page lists both with today's figures", async () => {
    await person.startAt(`/search?q=${lf}`);
    old = new URL(page.url()).pathname;
    const at_us = calendar.at(0, "09:00");
    const reads = [`hxb:24-300:${lf}:${epc}`, "hxb:24-300:124000999000001:E28011606000020444AAAA01"];
    const barn = await yard.addBarn(SECOND, reads.map((payload) => ({ at_us, channel: "chute", payload, rssi_dbm: -80 })));
    await person.startAt("/pair");
    await person.fill(page.getByLabel("Pairing line"), barn.secret(["pair"]));
    await person.fill(page.getByLabel("Reason"), "the yard of the south");
    await person.follow(page.getByRole("button", { name: "Pair" }));
    await until("both are listed", async () => {
      await person.startAt("/");
      const text = await person.text();
      return text.includes("north-yard") && text.includes(SECOND);
    }, LATER_MS);
    await hasNoFaults(person);
  });
  await claim("each site has its own pages, and the bar leads from one to the other", async () => {
    await person.follow(page.locator("main").getByRole("link", { name: SECOND }));
    ensure(page.url().includes(`/sites/${SECOND}`), page.url());
    await person.click(page.locator("details.sites summary"));
    await person.follow(page.locator("details.sites").getByRole("link", { name: "north-yard" }));
    ensure(page.url().includes("/sites/north-yard"), page.url());
  });
  await claim("a link from before the second barn still leads to its animal", async () => {
    const response = await person.startAt(old);
    equal("status", response.status(), 200);
    ensure((await person.text()).includes(epc), `${old} is not the animal`);
  });
  await claim("an animal links to itself at the other site, by its tag", async () => {
    await person.startAt(`/sites/north-yard${old}`);
    await hasNoFaults(person);
    const link = page.locator(`main a[href*="/sites/${SECOND}/animals/"]`);
    await person.follow(link);
    ensure((await person.text()).includes(epc), `${page.url()} is not the animal`);
  });
  await claim("the search finds an animal at whichever site it is", async () => {
    await person.startAt("/");
    await person.search("124000999000001");
    ensure(new RegExp(`/sites/${SECOND}/animals/\\d+$`).test(page.url()), page.url());
    await person.startAt("/");
    await person.search(lf);
    const links = await page.locator("main a[href*='/animals/']").evaluateAll((all) => all.map((link) => link.pathname));
    const sites = new Set(links.map((path) => path.split("/")[2]));
    equal("sites of the animal", [...sites].sort(), ["north-yard", SECOND]);
    await hasNoFaults(person);
  });
}
