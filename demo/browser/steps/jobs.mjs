// Fifteen jobs that people come to the office for, each from Today, with a count of clicks and keys.
//
// Typing is keys. A click is whatever the hand goes to the mouse for: a link, a fold, a field that the focus is not in yet.

import { ensure, equal } from "../claims.mjs";
import { unfold, waitUntilApplied } from "../forms.mjs";
import { LARGE_LOT, TODAYS_LOT } from "../herd.mjs";
import { OWNER, PHONE } from "../visit.mjs";

/** Most clicks from Today that a job may take. */
const MAX_CLICKS = 3;

export async function run(walk, claim) {
  const { herd } = walk;
  const { facts } = herd;
  const person = await walk.owner();
  const { page } = person;
  const section = (name) => page.getByRole("navigation", { name: /sections/i }).getByRole("link", { name, exact: true });
  const isAnimal = () => /\/animals\/\d+$/.test(new URL(page.url()).pathname);

  const job = (name, attempt) =>
    claim(name, async () => {
      await person.startAt("/");
      const note = await attempt();
      ensure(person.clicks <= MAX_CLICKS, `it takes ${person.count}`);
      return note ? `${person.count}; ${note}` : person.count;
    });

  await job("head in today, by lot and pen", async () => {
    equal("head in", await figure(person, /head in$/), facts.headInToday);
    equal("head out", await figure(person, /head out$/), facts.headOutToday);
    equal("on the yard", await figure(person, /on the yard$/), facts.onTheYard);
    equal("weighed", await figure(person, /weighed$/), facts.weighedToday);
    equal("with a tag missing", await figure(person, /tag missing$/), facts.missingToday);
    for (const [pen, head] of Object.entries(facts.byPenToday)) {
      const row = await person.find(page.getByRole("row").filter({ hasText: TODAYS_LOT }).filter({ hasText: pen }));
      ensure(cells(await row.innerText()).includes(String(head)), `${pen} has not ${head} head: ${await row.innerText()}`);
    }
  });
  await job("an animal by the last 6 digits of its tag", async () => {
    await person.search(herd.whole.lf.slice(-6));
    ensure(isAnimal() && (await person.text()).includes(herd.whole.epc), page.url());
  });
  await job("an animal by its visual tag", async () => {
    await person.search(herd.whole.visual);
    ensure(isAnimal() && (await person.text()).includes(herd.whole.epc), page.url());
  });
  await job("head with a tag missing", async () => {
    await person.follow(page.getByRole("link", { name: /tag missing$/i }));
    equal("head on the list", await rows(person), facts.missingToday);
  });
  await job("a sheet of a batch to print and sign", async () => {
    await person.follow(page.getByRole("link", { name: TODAYS_LOT }));
    equal("head on the sheet", await rows(person), facts.headInToday);
    await person.find(page.getByRole("button", { name: "Print" }));
  });
  await job("a list of EIDs for the national database", async () => {
    await person.follow(page.getByRole("link", { name: TODAYS_LOT }));
    const { text, name } = await person.download(page.getByRole("link", { name: /EIDs/ }));
    const eids = text.split(/\r?\n/).filter((line) => /^\d{15}$/.test(line));
    equal("EIDs", eids.length, facts.headInToday - 1);
    return name;
  });
  await job("a wrong weight", async () => {
    const { visual, kg } = herd.tenthWeight;
    await person.search(visual);
    await unfold(person, "Correct a weight");
    // The only weighing is chosen already.
    for (const text of ["", kg.toFixed(1), "a digit was lost"]) {
      await person.press("Tab");
      await person.type(text);
    }
    await Promise.all([page.waitForEvent("load"), person.press("Enter")]);
    await waitUntilApplied(person);
    ensure((await person.text()).includes(kg.toFixed(1)), `${kg} is not on the page`);
  });
  await job("who changed what", async () => {
    await person.follow(section("Log"));
    const row = await page.getByRole("row").filter({ hasText: "a digit was lost" }).innerText();
    const { kg } = herd.tenthWeight;
    for (const part of [OWNER, kg.toFixed(1), (kg / 10).toFixed(1)]) ensure(row.includes(part), `"${part}" is not in: ${row}`);
  });
  await job("yesterday afternoon", async () => {
    await person.follow(page.getByRole("link", { name: "The day before" }));
    equal("head in", await figure(person, /head in$/), facts.headInYesterday);
    equal("head out", await figure(person, /head out$/), facts.headOutYesterday);
    const hours = await page.getByRole("img", { name: /read/i }).getAttribute("aria-label");
    ensure(/\b14\b/.test(hours), `the chart says no hour: ${hours}`);
    await person.follow(page.getByRole("link", { name: /^[\d,]+ reads$/ }));
    ensure((await person.text()).includes(walk.calendar.date(-1)), "the reads are of another day");
  });
  await job("bad signal, by reader", async () => {
    await person.follow(section("Reads"));
    await person.choose(page.getByLabel("Reader"), "ramp");
    await person.click(page.getByLabel(/Signal below/));
    await person.type("-110");
    await Promise.all([page.waitForEvent("load"), person.press("Enter")]);
    const readers = await page.locator("main tbody tr").allInnerTexts();
    equal("reads", readers.length, facts.headOutToday + facts.headOutYesterday);
    ensure(readers.every((row) => row.includes("ramp") && /-1[12]\d/.test(row)), `others are among: ${readers[0]}`);
  });
  await job("the manager's phone: today, and eight head on a screen", () => onPhone(walk));
  await job("an animal by its whole tag", async () => {
    await person.search(herd.whole.lf);
    ensure(isAnimal() && (await person.text()).includes(herd.whole.epc), page.url());
  });
  await job("the head of a batch", async () => {
    await person.follow(section("Batches"));
    await person.follow(page.getByRole("link", { name: LARGE_LOT }));
    ensure((await person.text()).includes("180"), "180 head are not on the page");
  });
  await job("the age of the newest read", async () => {
    const line = await (await person.find(page.locator("#live"))).innerText();
    ensure(/last read/i.test(line) && /\bago\b|now/.test(line), line);
    return `"${line.replaceAll("\n", " ")}"`;
  });
  await job("a sheet for a spreadsheet", async () => {
    await person.follow(section("Animals"));
    // The list has those on the yard, unless another state is chosen.
    const { text, name } = await person.download(page.getByRole("link", { name: /CSV/ }));
    equal("lines", text.trimEnd().split(/\r?\n/).length - 1, facts.onTheYard);
    return name;
  });
}

/** Opens Today and the animals on a phone, and counts what is on the first screen. */
async function onPhone(walk) {
  const phone = await walk.owner({ viewport: PHONE, hasTouch: true, isMobile: true });
  const { page } = phone;
  await phone.startAt("/");
  ensure(await isOnScreen(page.getByText(/head in$/).first(), PHONE), "the head in today is not on the first screen");
  await phone.startAt("/animals");
  const heads = page.locator("main tbody tr, main .rows > li");
  const boxes = await heads.evaluateAll((all) => all.map((row) => row.getBoundingClientRect().toJSON()));
  // A person scrolls past the filters; from the first one on, a screen is full of head.
  const first = boxes[0]?.top ?? 0;
  const whole = boxes.filter(({ top, bottom, height }) => height > 0 && top >= first && bottom - first <= PHONE.height);
  ensure(whole.length >= 8, `${whole.length} head fit on a screen`);
  return `${whole.length} head on a screen`;
}

async function isOnScreen(locator, { height }) {
  const box = await locator.boundingBox();
  return box !== null && box.y >= 0 && box.y + box.height <= height;
}

/** Returns a figure of Today by its name. */
async function figure(person, name) {
  const group = person.page.locator("dl.figures > div").filter({ has: person.page.getByText(name) });
  const text = await (await person.find(group)).innerText();
  return Number(text.match(/[\d,]+/)[0].replaceAll(",", ""));
}

/** Counts the rows of the page's list. */
async function rows(person) {
  await person.find(person.page.locator("main table"));
  return person.page.locator("main tbody tr").filter({ visible: true }).count();
}

function cells(row) {
  return row.split(/[\t\n]/).map((cell) => cell.trim());
}
