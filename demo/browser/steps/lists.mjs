// The list of animals: counts, filters, sorting, and paging both ways, all of it in the address.

import { ensure, equal } from "../claims.mjs";

export async function run(walk, claim) {
  const { facts } = walk.herd;
  const person = await walk.owner();
  const { page } = person;
  const chips = page.locator("nav.choices a");
  const names = () => page.locator("main tbody th[scope=row] a").allInnerTexts();

  await claim("each state has its count, and leads to as many head", async () => {
    await person.startAt("/animals");
    const counts = Object.fromEntries((await chips.allInnerTexts()).map((text) => text.match(/^(.*?)\s*([\d,]+)$/s).slice(1)));
    equal("on the yard", counts["On the yard"], String(facts.onTheYard));
    equal("exported", counts.Exported, String(facts.headOutToday + facts.headOutYesterday));
    equal("with a tag missing", counts["Tag missing"], String(facts.missing));
    await person.follow(chips.filter({ hasText: "Exported" }));
    equal("exported head", (await names()).length, facts.headOutToday + facts.headOutYesterday);
    return JSON.stringify(counts);
  });
  await claim("a filter of a pen leaves its head, and can be taken off", async () => {
    await person.startAt("/animals");
    await person.click(page.locator("details.filters summary"));
    await person.choose(page.getByLabel("Pen", { exact: true }), "P10");
    await person.follow(page.locator("details.filters").getByRole("button", { name: "Show" }));
    equal("head", (await names()).length, facts.byPenToday.P10);
    await person.follow(page.getByRole("link", { name: /remove this filter/ }).filter({ hasText: "P10" }));
    ensure((await names()).length > facts.byPenToday.P10, "the filter is still there");
    return person.count;
  });
  await claim("sorted by weight, the list ascends or descends", async () => {
    await person.startAt("/animals");
    await person.follow(page.getByRole("columnheader").getByRole("link", { name: /kg/ }).first());
    const texts = await page.locator("main tbody td.weight").allInnerTexts();
    const weights = texts.map((text) => parseFloat(text)).filter((weight) => !Number.isNaN(weight));
    const sorted = [...weights].sort((left, right) => left - right);
    if (weights[0] > weights.at(-1)) sorted.reverse();
    equal("weights", weights, sorted);
    ensure(weights.length > 10, `${weights.length} weights are on the page`);
    return `${weights[0]} to ${weights.at(-1)}`;
  });
  await claim("the next page and back is the first page again, and the last one ends the list", async () => {
    await person.startAt("/animals");
    const first = await names();
    await person.follow(page.getByRole("link", { name: /^(next|more animals)$/i }));
    const second = await names();
    equal("head on both pages", second.filter((name) => first.includes(name)), []);
    const address = page.url();
    await page.goto(address);
    equal("the page of the same address", await names(), second);
    await person.follow(page.getByRole("link", { name: /^previous$/i }));
    equal("the page before", await names(), first);
    await person.follow(page.getByRole("link", { name: /^last$/i }));
    equal("links to a next page", await page.locator("a[rel=next]").count(), 0);
  });
}
