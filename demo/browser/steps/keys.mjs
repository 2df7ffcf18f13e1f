// Keys of programs: an owner makes one on the page of users, and takes it back.

import { ensure, equal } from "../claims.mjs";

const NAME = "feed-mill";

export async function run(walk, claim) {
  const person = await walk.owner();
  const { page } = person;
  const program = await walk.stranger();
  let secret;

  const answer = async (path) => {
    const headers = { "X-API-Key": secret, Accept: "application/json" };
    const response = await program.page.request.get(`${walk.yard.address}${path}`, { headers });
    return response.status();
  };

  await claim("an owner makes a read key, which is shown once and reads", async () => {
    await person.startAt("/users");
    await person.fill(page.getByLabel("Name of a key"), NAME);
    await person.follow(page.getByRole("button", { name: "Make a read key, and show it" }));
    const { count } = person;
    secret = (await page.getByRole("status").locator("code").last().innerText()).trim();
    ensure(/^hxb_\S{43}$/.test(secret), `${secret} is no key`);
    equal("/animals with the key", await answer("/animals"), 200);
    equal("/users with the key", await answer("/users"), 403);
    await person.startAt("/users");
    ensure(!(await page.content()).includes(secret), "the key is shown again");
    return count;
  });
  await claim("a key that is revoked reads no more", async () => {
    const row = page.getByRole("row").filter({ hasText: NAME });
    await person.click(row.locator("summary"));
    await person.follow(row.getByRole("button", { name: "Revoke at once" }));
    equal("/animals with the key", await answer("/animals"), 401);
    ensure(!(await person.text()).includes(NAME), "the key is still listed");
    return person.count;
  });
  await claim("an answer with a link that is loaded again leaves the link as it is", async () => {
    const visitor = await walk.user("Rita", "viewer");
    await visitor.startAt("/");
    await person.startAt("/users");
    const row = page.getByRole("row").filter({ hasText: "Rita" });
    await person.click(row.locator("summary"));
    await person.follow(row.getByRole("button", { name: "New link for a password" }));
    const link = (await page.getByRole("status").locator("code").innerText()).trim();
    await page.reload();
    await person.find(page.getByRole("alert"));
    const response = await program.page.goto(link);
    equal("status of the link", response.status(), 200);
  });
}
