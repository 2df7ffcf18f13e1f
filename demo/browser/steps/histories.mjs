// A barn that was started with the card of before: the office shows both histories, and an owner chooses.

import { ensure, equal } from "../claims.mjs";
import { hasNoFaults } from "../faults.mjs";
import { LATER_MS, until } from "../wait.mjs";

/** Name of the barn at the office. */
const SITE = "west-yard";
/** Reads that only the office has after the barn got its old card back. */
const LOST = ["hxb:W-2:124000888000011:E28011606000020444AAAB11", "hxb:W-2:124000888000012:E28011606000020444AAAB12"];

export async function run(walk, claim) {
  const { yard, calendar } = walk;
  const person = await walk.owner();
  const { page } = person;
  const at_us = calendar.at(0, "09:00");
  const payload = "hxb:W-1:124000888000001:E28011606000020444AAAB01";
  const barn = await yard.addBarn(SITE, [{ at_us, channel: "chute", payload, rssi_dbm: -80 }]);
  await person.startAt("/pair");
  await person.fill(page.getByLabel("Pairing line"), barn.secret(["pair"]));
  await person.fill(page.getByLabel("Reason"), "the yard of the west");
  await person.follow(page.getByRole("button", { name: "Pair" }));
  const status = `/sites/${SITE}/status`;
  const shows = (words, limitMs = LATER_MS) =>
    until(`the page says "${words}"`, async () => {
      await person.startAt(status);
      return (await person.text()).includes(words);
    }, limitMs);
  const choose = async (reason, button) => {
    await person.fill(page.getByLabel("Reason"), reason);
    await person.follow(page.getByRole("button", { name: button }));
  };

  await claim("a barn with an old card: its page has both sides' figures, and the old copy is shown", async () => {
    await yard.copyFiles(barn);
    for (const lost of LOST) equal("the barn's answer", (await yard.deliver(lost, barn)).status, 201);
    await until("the office has them", async () => {
      const response = await person.startAt(`/sites/${SITE}/search?q=124000888000012`);
      return response.status() === 200 && page.url().includes("/animals/");
    }, LATER_MS);
    const since = "hxb:W-3:124000888000031:E28011606000020444AAAB31";
    await yard.putOldFilesBack(barn, [{ at_us, channel: "chute", payload: since, rssi_dbm: -80 }]);
    await shows("Two histories");
    const rows = await page.locator("#divergence tbody tr").allInnerTexts();
    ensure(rows.length === 2 && rows.every((row) => /\d/.test(row)), rows.join(" | "));
    await hasNoFaults(person);
    await person.startAt(`/sites/${SITE}/search?q=124000888000012`);
    ensure(page.url().includes("/animals/"), "the old copy is not shown");
  });
  await claim("a choice without a reason is not sent, and to keep the old copy changes nothing", async () => {
    await person.startAt(status);
    await person.click(page.getByRole("button", { name: "Keep showing the old copy" }));
    equal("the page", new URL(page.url()).pathname, status);
    await choose("look first", "Keep showing the old copy");
    ensure((await person.text()).includes("Two histories"), "the histories are gone");
  });
  await claim("an owner accepts the barn's history, and the page counts what only the office has", async () => {
    await person.startAt(status);
    await choose("the card was replaced", "Accept the barn’s history, and keep what only this office has");
    const { count } = person;
    await shows("Only here");
    ensure(!(await person.text()).includes("Two histories"), "there are still two histories");
    await hasNoFaults(person);
    await shows("Live");
    await person.startAt(`/sites/${SITE}/search?q=124000888000031`);
    ensure(page.url().includes("/animals/"), "what the barn has now is not shown");
    return count;
  });
}
