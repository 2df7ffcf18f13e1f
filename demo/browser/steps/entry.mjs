// Getting in: the setup link, a password, the log-in, the pairing.

import { ensure, equal } from "../claims.mjs";
import { PASSWORD, chooseFirstPassword, logIn, logOut } from "../visit.mjs";

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
  await claim("after the pairing, the office shows the barn's herd", async () => {
    await walk.pair(person);
    const response = await person.startAt("/animals");
    equal("status", response.status(), 200);
    ensure((await person.text()).includes("316"), "316 head on the yard are not on the page");
  });
  await walk.remember(person);
}
