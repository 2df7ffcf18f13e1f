// The same without scripts: everything works, and each page says as of when it is.

import { ensure, equal } from "../claims.mjs";
import { openAnimal, send, unfold, waitUntilApplied } from "../forms.mjs";
import { logIn, logOut } from "../visit.mjs";
import { LATER_MS, until } from "../wait.mjs";

export async function run(walk, claim) {
  const { yard, herd } = walk;
  await walk.prepare();
  const person = await walk.stranger({ javaScriptEnabled: false });
  const { page } = person;
  const path = () => new URL(page.url()).pathname;

  await claim("the log-in leads to the page that was asked for", async () => {
    await person.startAt("/animals");
    await logIn(person);
    equal("the page", path(), "/animals");
  });
  await claim("every section of the bar opens", async () => {
    await person.startAt("/");
    const names = await page.getByRole("navigation").first().getByRole("link").allInnerTexts();
    for (const name of names) {
      await person.follow(page.getByRole("navigation").first().getByRole("link", { name, exact: true }));
      ensure((await page.getByRole("heading", { level: 1 }).count()) === 1, `${name} has no heading`);
    }
    return names.join(", ");
  });
  await claim("a page says as of when it is", async () => {
    await person.startAt("/");
    const text = await page.locator("body").innerText();
    ensure(/as of|generated at/i.test(text), "no time is on the page");
  });
  await claim("the search leads to an animal", async () => {
    await person.startAt("/");
    await person.search(herd.whole.lf);
    ensure(/\/animals\/\d+$/.test(path()), page.url());
    return person.count;
  });
  await claim("a correction is applied", async () => {
    await openAnimal(person, herd.of("24-119")[21]);
    const form = await unfold(person, "Move to a pen");
    await person.fill(form.getByLabel("Pen"), "P24");
    await send(person, form, "Move to a pen", "by hand, without scripts");
    await waitUntilApplied(person);
  });
  await claim("a page that is loaded again says that the barn is away", async () => {
    await yard.barn.stop();
    try {
      await until("the page says it", async () => {
        await person.startAt("/");
        return !/(^|\s)live\b/i.test(await page.locator(".mark").first().innerText());
      }, LATER_MS);
      return `"${await page.locator(".mark").first().innerText()}"`;
    } finally {
      await yard.barn.start();
      await yard.waitUntilLive();
    }
  });
  await claim("after the log-out, no page opens", async () => {
    await person.startAt("/");
    await logOut(person);
    await person.startAt("/animals");
    equal("the page", path(), "/login");
  });
}
