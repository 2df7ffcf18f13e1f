// What the steps share: the yard, the browser, and people with a session.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Person } from "./person.mjs";
import { until } from "./wait.mjs";

/** The first owner, and the others by role. Roles are names enough. */
export const OWNER = "Olive";
export const PASSWORD = "the gate is green";

/** Width and height of a phone. */
export const PHONE = { width: 360, height: 740 };

export class Walk {
  #windows = [];
  #session;

  /**
   * @param {{ yard: import("./yard.mjs").Yard, browser: import("./browser.mjs").Browser,
   *           calendar: import("./days.mjs").Calendar, herd: ReturnType<import("./herd.mjs").makeHerd>, output: string }} parts
   */
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** Opens a window without a session. */
  async stranger(options) {
    const page = await this.browser.open(options);
    this.#windows.push(page.context());
    return new Person(page, this.yard.address);
  }

  /** Opens a window of the owner. The first call sets the office up, if no step has done so. */
  async owner(options) {
    await this.prepare();
    return this.stranger({ ...options, storageState: this.#session });
  }

  /** Makes the first owner and pairs the barn, once. */
  async prepare() {
    if (this.#session) return;
    const person = await this.stranger();
    await chooseFirstPassword(person, this.yard.setupLink());
    await person.startAt("/");
    await this.pair(person);
    await this.remember(person);
  }

  /** Pairs the barn on the page for that, and waits until the office has made its index of the copy. */
  async pair(person) {
    await pairByPasting(person, this.yard.barn);
    await this.untilIndexed(person);
  }

  /** Waits until the office has what the barn has, and its index of that. */
  async untilIndexed(person) {
    await this.yard.waitUntilLive();
    const { request } = person.page;
    await until("the office has its figures", async () => (await request.get(`${this.yard.address}/pens`)).status() !== 503);
  }

  /** Keeps the session of a person for later windows of the owner. */
  async remember(person) {
    this.#session = await person.page.context().storageState();
  }

  /** Adds a user on the page of users, and opens a window of theirs. The second call for a name only opens one. */
  async user(name, role) {
    const owner = await this.owner();
    await owner.startAt("/users");
    const { page } = owner;
    const person = await this.stranger();
    if ((await page.getByRole("row").filter({ hasText: name }).count()) === 0) {
      await owner.fill(page.getByLabel("Name"), name);
      await owner.choose(page.getByLabel("Role", { exact: true }), role);
      await owner.follow(page.getByRole("button", { name: "Add, and show a link" }));
      await person.page.goto((await page.getByRole("status").locator("code").innerText()).trim());
      await choosePassword(person);
    } else {
      await person.startAt("/login");
      await logIn(person, PASSWORD, name);
    }
    return person;
  }

  /** Begins a new session of the owner, after the old one has ended. */
  async renew() {
    const person = await this.stranger();
    await person.startAt("/login");
    await logIn(person);
    await this.remember(person);
  }

  /** Takes a picture of each open window, for a claim that failed. */
  async keepEvidence(name) {
    mkdirSync(join(this.output, "failures"), { recursive: true });
    for (const [at, context] of this.#windows.entries()) {
      for (const page of context.pages()) await page.screenshot({ path: join(this.output, "failures", `${name}-${at}.png`) });
    }
  }

  async closeWindows() {
    for (const context of this.#windows.splice(0)) await context.close();
  }
}

/** Opens a setup link, and chooses name and password of the first owner. */
export async function chooseFirstPassword(person, link) {
  await person.page.goto(link);
  const { page } = person;
  await person.fill(page.getByLabel("Name"), OWNER);
  await choosePassword(person);
}

/** Pastes the line of a barn on the page for pairing, and sends it. The window is then at the page of the site. */
export async function pairByPasting(person, barn) {
  const { page } = person;
  await person.follow(page.getByRole("link", { name: "Pair a barn" }));
  await person.fill(page.getByLabel("Pairing line"), barn.secret(["pair"]));
  await person.fill(page.getByLabel("Reason"), "the yard opens");
  await person.follow(page.getByRole("button", { name: "Pair" }));
}

async function choosePassword(person) {
  const { page } = person;
  await person.fill(page.getByLabel("Password", { exact: true }), PASSWORD);
  await person.fill(page.getByLabel("The same password again"), PASSWORD);
  await person.follow(page.getByRole("button", { name: "Choose this password" }));
}

/** Fills the log-in page that is open. */
export async function logIn(person, password = PASSWORD, name = OWNER) {
  const { page } = person;
  await person.fill(page.getByLabel("Name"), name);
  await person.fill(page.getByLabel("Password", { exact: true }), password);
  await person.follow(page.getByRole("button", { name: "Log in" }));
}

/** Logs out by the menu in the bar. */
export async function logOut(person) {
  const { page } = person;
  await person.click(page.locator("form.user summary"));
  await person.follow(page.getByRole("button", { name: "Log out", exact: true }));
}
