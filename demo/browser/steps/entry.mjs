// Getting in: the setup link, a password, the log-in, the pairing.

import { ensure, equal } from "../claims.mjs";
import { PASSWORD, chooseFirstPassword, logIn, logOut, pairByPasting } from "../visit.mjs";
import { LATER_MS, until } from "../wait.mjs";
import { SITE } from "../yard.mjs";

export async function run(walk, claim) {
  const { yard } = walk;
  const person = await walk.stranger();
  const { page } = person;
  const path = () => new URL(page.url()).pathname;

  await claim("without a session, every page leads to the log-in page", async () => {
    for (const asked of ["/", "/animals", "/users", "/status"]) {
      await person.startAt(asked);
      equal(asked, path(), "/login");
    }
  });
  await claim("the setup link in the office's log lets the first owner choose a password", async () => {
    await chooseFirstPassword(person, yard.setupLink());
    equal("the page", path(), "/");
    return person.count;
  });
  await claim("the setup link works once", async () => {
    const response = await page.goto(yard.setupLink());
    equal("status", response.status(), 410);
  });
  await claim("a wrong password is refused, and the right one leads to the page that was asked for", async () => {
    await person.startAt("/");
    await logOut(person);
    await person.startAt("/animals");
    await logIn(person, `${PASSWORD}!`);
    await person.find(page.getByRole("alert"));
    await logIn(person);
    equal("the page", path(), "/animals");
  });
  await claim("an owner pairs a barn by pasting its line, and its page says by itself when the copy is there", async () => {
    await person.startAt("/");
    await pairByPasting(person, yard.barn);
    equal("the page", path(), `/sites/${SITE}/status`);
    const { count } = person;
    await until("the site is live", async () => /^live/i.test(await page.locator("section.alive .mark").first().innerText()), LATER_MS);
    return count;
  });
  await claim("a pairing line of which a part is missing is refused, and what was typed stays", async () => {
    await person.startAt("/pair");
    await person.fill(page.getByLabel("Pairing line"), "herdlinx:1:Cm5vcnRo");
    await person.fill(page.getByLabel("Reason"), "a second yard");
    await person.follow(page.getByRole("button", { name: "Pair" }));
    await person.find(page.getByRole("alert"));
    equal("the reason", await page.getByLabel("Reason").inputValue(), "a second yard");
  });
  await claim("after the pairing, the office shows the barn's herd", async () => {
    await walk.untilIndexed(person);
    const response = await person.startAt("/animals");
    equal("status", response.status(), 200);
    ensure((await person.text()).includes("316"), "316 head on the yard are not on the page");
  });
  await walk.remember(person);
}
